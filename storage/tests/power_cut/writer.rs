//! The process whose files are recorded. It says what it begins and what was acknowledged in a file of its own, which
//! gets into the same record.

use crate::workload::{Kind, Step, Workload};
use gadwall_storage::body::Staged;
use gadwall_storage::contract::credentials;
use gadwall_storage::sled::{SledOptions, SledStore};
use gadwall_storage::*;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where the writer finds its [`Job`].
pub const JOB: &str = "GADWALL_POWER_CUT_JOB";
/// The store in the recorded directory: its parents are made with it.
pub const STORE: &str = "var/lib/gadwall/store";
/// What the writer says, in the recorded directory.
pub const SAID: &str = "said";

/// What a writer is to do.
#[derive(Debug, Clone)]
pub struct Job {
    pub workload: Workload,
    pub machine: PathBuf,
    /// Which life of the store this is.
    pub life: u64,
    /// The step each owner begins with.
    pub from: Vec<u64>,
    /// Steps of each.
    pub steps: u64,
    pub sync: bool,
}

impl Job {
    pub fn to_text(&self) -> String {
        let Workload { seed, owners, kind } = self.workload;
        let bulk = if let Kind::Bulk(count) = kind { count } else { 0 };
        let from: Vec<String> = self.from.iter().map(u64::to_string).collect();
        let numbers = [seed, owners, bulk, self.life, self.steps, u64::from(self.sync)];
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        format!("{}\n{}\n{}", self.machine.display(), numbers.join(" "), from.join(" "))
    }

    fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let mut line = || lines.next().unwrap();
        let machine = line().into();
        let mut numbers = || line().split(' ').map(|n| n.parse().unwrap()).collect::<Vec<u64>>();
        let (settings, from) = (numbers(), numbers());
        let [seed, owners, bulk, life, steps, sync] = settings[..] else { panic!("{settings:?}") };
        let kind = if bulk > 0 { Kind::Bulk(bulk) } else { Kind::Mixed };
        Self { workload: Workload { seed, owners, kind }, machine, life, from, steps, sync: sync == 1 }
    }
}

/// As the store is opened here, before and after a cut.
pub fn options(life: u64) -> SledOptions {
    let clock = ManualClock::default();
    // So that each life trims what the one before it has journaled.
    clock.advance(Duration::from_secs(3600 * life));
    let mut options = SledOptions::new(Arc::new(clock), Arc::new(SystemEntropy));
    options.limits.journal_retention = Duration::from_secs(1800);
    options.cache_bytes = 8 << 20;
    options.segment_bytes = 1 << 20;
    options
}

/// Does the job, if this process was started for one.
pub fn was_asked() -> bool {
    let Some(job) = std::env::var_os(JOB) else { return false };
    let job = Job::parse(&std::fs::read_to_string(job).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(work(job));
    true
}

async fn work(job: Job) {
    let said = OpenOptions::new().append(true).create(true).open(job.machine.join(SAID)).unwrap();
    let said = Arc::new(said);
    let store = open(&job);
    let owners = (0..job.workload.owners).map(|owner| {
        let (store, said, job) = (store.clone(), said.clone(), job.clone());
        tokio::spawn(async move { run(&*store, &said, &job, owner).await })
    });
    for owner in owners.collect::<Vec<_>>() {
        owner.await.unwrap();
    }
    // No orderly end: what it would sync is not to be seen.
    std::process::exit(0);
}

fn open(job: &Job) -> Arc<dyn MailStore> {
    let mut options = options(job.life);
    options.unsafe_without_sync = !job.sync;
    Arc::new(SledStore::open(&job.machine.join(STORE), options).unwrap())
}

async fn run(store: &dyn MailStore, said: &File, job: &Job, owner: u64) {
    let from = job.from[owner as usize];
    let mut has = job.workload.history(owner, from).pop().unwrap();
    for n in from..from + job.steps {
        let step = job.workload.step(owner, n, &has);
        say(said, &format!("begin {owner} {n}"));
        let account = account(&job.workload, owner, has.account.as_ref().map_or(n, |holdings| holdings.made));
        do_step(store, &job.workload, account, &step, n).await.unwrap_or_else(|e| panic!("{step:?}: {e}"));
        let made = match step {
            Step::CreateAccount | Step::CreateMailbox(_) => uidvalidities(store, account).await,
            _ => String::new(),
        };
        say(said, &format!("done {owner} {n}{made}"));
        has.apply(n, &step);
        if n % 5 == 4 {
            store.sweep().await.unwrap();
        }
    }
}

/// One write each, so that lines of several owners stay whole.
fn say(mut said: &File, line: &str) {
    said.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// The account an owner made in step `n`.
pub fn account(workload: &Workload, owner: u64, n: u64) -> AccountId {
    let digest = blake3::hash(format!("{} {owner} {n}", workload.seed).as_bytes());
    AccountId(digest.as_bytes()[..12].try_into().unwrap())
}

async fn uidvalidities(store: &dyn MailStore, account: AccountId) -> String {
    let all = store.mailboxes(account).await.unwrap();
    all.iter().map(|m| format!(" {}={}", m.name.as_str(), m.uidvalidity.0)).collect()
}

pub fn flags(bits: u8) -> Flags {
    let all = [SystemFlag::Seen, SystemFlag::Flagged, SystemFlag::Deleted];
    all.into_iter()
        .enumerate()
        .filter(|(bit, _)| bits & (1 << bit) != 0)
        .fold(Flags::new(), |f, (_, flag)| f.with(flag))
}

async fn do_step(
    store: &dyn MailStore,
    workload: &Workload,
    id: AccountId,
    step: &Step,
    n: u64,
) -> Result<()> {
    let mut op = [0; 16];
    op[..12].copy_from_slice(&id.0);
    op[12..].copy_from_slice(&(n as u32).to_be_bytes());
    let op = OpId(op);
    let name = |text: &str| MailboxName::parse(text).unwrap();
    let at = async |text: &str| -> Result<MailboxRef> {
        let mailbox = store.mailbox_by_name(id, &name(text)).await?.id;
        Ok(MailboxRef { account: id, mailbox })
    };
    let set = |uids: &[u32]| uids.iter().filter_map(|uid| Uid::new(*uid)).collect::<UidSet>();
    match step {
        Step::CreateAccount => _ = store.create_account(op, new_account(id)).await?,
        Step::DeleteAccount => store.delete_account(op, id).await?,
        Step::CreateMailbox(new) => _ = store.create_mailbox(op, id, &name(new), None).await?,
        Step::DeleteMailbox(old) => store.delete_mailbox(op, at(old).await?).await?,
        Step::Rename(from, to) => store.rename_mailbox(op, at(from).await?, &name(to)).await?,
        Step::Append { to, contents } => {
            let message = |id: &u64| NewMessage {
                body: Staged::from_bytes(workload.content(*id)),
                flags: Flags::new(),
                internal_date: None,
                delivery: None,
                made_from: None,
            };
            _ = store.append(op, at(to).await?, contents.iter().map(message).collect()).await?;
        }
        Step::Flag { at: mailbox, uids, flag, set: to } => {
            let flags = flags(*flag);
            let change = if *to { FlagChange::Add(flags) } else { FlagChange::Remove(flags) };
            _ = store.set_flags(op, at(mailbox).await?, &set(uids), &change, None).await?;
        }
        Step::Copy { from, uids, to } => {
            _ = store.copy(op, at(from).await?, &set(uids), at(to).await?.mailbox).await?;
        }
        Step::Move { from, uids, to } => {
            _ = store.move_messages(op, at(from).await?, &set(uids), at(to).await?.mailbox).await?;
        }
        Step::Expunge { at: mailbox, uids } => {
            _ = store.expunge(op, at(mailbox).await?, &set(uids), Which::All).await?;
        }
    }
    Ok(())
}

fn new_account(id: AccountId) -> NewAccount {
    NewAccount {
        id,
        address: Address::parse(&format!("{id}@example.org")).unwrap(),
        name: String::new(),
        credentials: credentials(1),
        quota_bytes: u64::MAX,
        expires_at: None,
        retention_secs: None,
        mailboxes: vec![(MailboxName::parse("Archive").unwrap(), None)],
    }
}

/// The program that records, built once per test process.
pub fn recorder(scratch: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/power_cut/recorder.c");
    let built = scratch.join("recorder.so");
    let mut cc = std::process::Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&built).arg(source).arg("-ldl");
    let status =
        cc.status().unwrap_or_else(|e| panic!("cc does not start: {e}. ./test installs what the tests need"));
    assert!(status.success(), "cc: {status}");
    built
}
