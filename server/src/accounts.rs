//! Making accounts, for the API, the web, the command line and the accept-anything switch alike.

use crate::Env;
use crate::auth::generate_password;
use gadwall_storage::{
    Account, AccountId, Address, MailStore, MailboxName, NewAccount, OpId, SpecialUse, StoreError,
};
use std::time::Duration;

/// What a new account gets unless told otherwise.
#[derive(Debug, Clone)]
pub struct AccountDefaults {
    /// The domain of generated addresses.
    pub domain: String,
    pub quota_bytes: u64,
    /// How long an account lives; `None`: for ever.
    pub lifetime: Option<Duration>,
    /// How long a message lives; `None`: as long as the account.
    pub retention: Option<Duration>,
}

impl Default for AccountDefaults {
    fn default() -> Self {
        let week = Duration::from_secs(7 * 24 * 3600);
        Self {
            domain: "gadwall.test".into(),
            quota_bytes: 100_000_000,
            lifetime: Some(week),
            retention: Some(week),
        }
    }
}

/// What the caller wants of a new account; what is `None` is generated or taken from the defaults.
#[derive(Debug, Clone, Default)]
pub struct AccountRequest {
    pub address: Option<Address>,
    pub name: Option<String>,
    pub password: Option<String>,
    pub quota_bytes: Option<u64>,
    pub lifetime: Option<Option<Duration>>,
}

/// A new account with the only copy of its password in clear.
#[derive(Debug, Clone)]
pub struct CreatedAccount {
    pub account: Account,
    pub password: String,
}

/// Mailboxes every account starts with.
const MAILBOXES: [(&str, Option<SpecialUse>); 6] = [
    ("INBOX", None),
    ("Archive", Some(SpecialUse::Archive)),
    ("Drafts", Some(SpecialUse::Drafts)),
    ("Junk", Some(SpecialUse::Junk)),
    ("Sent", Some(SpecialUse::Sent)),
    ("Trash", Some(SpecialUse::Trash)),
];

/// Makes an account. Errors are the store's; `AlreadyExists(Address)` only if the caller chose the address.
pub async fn create(
    store: &dyn MailStore,
    env: &Env,
    defaults: &AccountDefaults,
    op: OpId,
    request: AccountRequest,
) -> Result<CreatedAccount, StoreError> {
    let (name, address) = match request.address {
        Some(address) => (request.name.unwrap_or_default(), address),
        None => random_identity(env, &defaults.domain)?,
    };
    let password = request.password.unwrap_or_else(|| generate_password(&*env.entropy));
    let now = env.clock.now();
    let credentials = env.credentials(password.clone()).await?;
    let new = NewAccount {
        id: AccountId::mint(&*env.clock, &*env.entropy),
        address,
        name,
        credentials,
        quota_bytes: request.quota_bytes.unwrap_or(defaults.quota_bytes),
        expires_at: request.lifetime.unwrap_or(defaults.lifetime).map(|d| now.after(d)),
        retention_secs: defaults.retention.map(|d| d.as_secs()),
        mailboxes: MAILBOXES
            .iter()
            .map(|(name, role)| (MailboxName::parse(name).expect("a name without fault"), *role))
            .collect(),
    };
    let account = store.create_account(op, new).await?;
    Ok(CreatedAccount { account, password })
}

const FIRST: [&str; 32] = [
    "ada", "alan", "anna", "ben", "clara", "david", "edith", "emil", "erik", "frida", "grace", "hedy", "ida",
    "ivan", "jana", "karl", "lena", "leo", "lise", "marie", "max", "mila", "nils", "nora", "olga", "oskar",
    "paul", "rosa", "sven", "tilda", "vera", "yuri",
];
const LAST: [&str; 32] = [
    "auk",
    "bittern",
    "brant",
    "bunting",
    "coot",
    "crane",
    "curlew",
    "dabbler",
    "dunlin",
    "eider",
    "finch",
    "garganey",
    "godwit",
    "goosander",
    "grebe",
    "heron",
    "ibis",
    "knot",
    "lapwing",
    "mallard",
    "merganser",
    "pintail",
    "plover",
    "pochard",
    "rail",
    "ruff",
    "scaup",
    "scoter",
    "shoveler",
    "smew",
    "teal",
    "wigeon",
];

/// A name and an address nobody has: two words and 40 random bits.
fn random_identity(env: &Env, domain: &str) -> Result<(String, Address), StoreError> {
    const DIGITS: &[u8; 32] = b"abcdefghijkmnopqrstuvwxyz2345678";
    let r: [u8; 10] = env.entropy.bytes();
    let (first, last) = (FIRST[usize::from(r[0]) % 32], LAST[usize::from(r[1]) % 32]);
    let tail: String = r[2..].iter().map(|b| char::from(DIGITS[usize::from(*b) % 32])).collect();
    let address = Address::parse(&format!("{first}.{last}.{tail}@{domain}"))
        .map_err(|e| StoreError::unavailable(format!("the configured domain {domain:?}: {e}")))?;
    let capital = |w: &str| w[..1].to_uppercase() + &w[1..];
    Ok((format!("{} {}", capital(first), capital(last)), address))
}
