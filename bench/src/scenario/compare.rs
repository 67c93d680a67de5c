//! Gadwall and Dovecot in one run, turn by turn, on the same processor: the same messages in, the same questions asked.

use crate::client::{Imap, Smtp};
use crate::dovecot::{Dovecot, Layout};
use crate::load::{self, Burst};
use crate::mail::Mix;
use crate::report::Report;
use crate::server::{Account, Place, Server};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Mail goes over so many connections, each to a user of its own.
const CONNECTIONS: usize = 10;
/// Bytes of the small messages.
const SMALL: usize = 4096;
/// How long a store's size on disk has to stay the same until it counts as settled, and how long that is waited for.
const SETTLED: Duration = Duration::from_secs(3);
const SETTLES: Duration = Duration::from_secs(90);

#[derive(clap::Args)]
pub struct Args {
    /// One round of few messages: whether it works, and about how figures compare
    #[arg(long)]
    pub short: bool,
    /// Rounds, in each of which every server has its turn; medians of all are told [default: 3; short: 1]
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Messages of 4 KiB a round [default: 5000; short: 1000]
    #[arg(long)]
    pub small: Option<usize>,
    /// Messages of the mix a round [default: 1500; short: 300]
    #[arg(long)]
    pub mix: Option<usize>,
    /// What the mix is drawn from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gadwall,
    Dovecot(Layout),
}

const KINDS: [Kind; 4] = [
    Kind::Gadwall,
    Kind::Dovecot(Layout::Maildir),
    Kind::Dovecot(Layout::Sdbox),
    Kind::Dovecot(Layout::SdboxZlib),
];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Gadwall => "Gadwall sled",
            Kind::Dovecot(layout) => layout.name(),
        }
    }
}

/// One that runs.
enum Running {
    Gadwall(Server, Vec<Account>),
    Dovecot(Dovecot),
}

impl Running {
    async fn start(place: &Place, kind: Kind) -> io::Result<Running> {
        let Kind::Dovecot(layout) = kind else {
            let server = place.start().await?;
            let mut accounts = Vec::new();
            for _ in 0..CONNECTIONS {
                accounts.push(server.account().await?);
            }
            return Ok(Running::Gadwall(server, accounts));
        };
        Ok(Running::Dovecot(Dovecot::start(place, layout).await?))
    }

    async fn sender(&self, user: usize) -> io::Result<Smtp> {
        match self {
            Running::Gadwall(server, accounts) => Smtp::login(server.port("smtp"), &accounts[user]).await,
            Running::Dovecot(dovecot) => Smtp::lmtp(dovecot.lmtp, &dovecot.account(user)).await,
        }
    }

    async fn reader(&self, user: usize) -> io::Result<Imap> {
        match self {
            Running::Gadwall(server, accounts) => Imap::login(server.port("imap"), &accounts[user]).await,
            Running::Dovecot(dovecot) => Imap::login(dovecot.imap, &dovecot.account(user)).await,
        }
    }

    fn disk_bytes(&self) -> io::Result<u64> {
        match self {
            Running::Gadwall(server, _) => server.disk_bytes(),
            Running::Dovecot(dovecot) => dovecot.disk_bytes(),
        }
    }

    /// Bytes on disk once they stay the same.
    async fn settled_bytes(&self) -> io::Result<u64> {
        let began = Instant::now();
        let (mut bytes, mut since) = (self.disk_bytes()?, Instant::now());
        while since.elapsed() < SETTLED && began.elapsed() < SETTLES {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = self.disk_bytes()?;
            if now != bytes {
                (bytes, since) = (now, Instant::now());
            }
        }
        Ok(bytes)
    }
}

/// Figures of all rounds, by what they are of and whose they are.
#[derive(Default)]
struct Rounds(BTreeMap<(&'static str, usize), Vec<f64>>);

impl Rounds {
    fn add(&mut self, what: &'static str, kind: usize, value: f64) {
        eprintln!("{}: {what}: {value:.2}", KINDS[kind].name());
        self.0.entry((what, kind)).or_default().push(value);
    }

    fn median(&self, what: &'static str, kind: usize) -> f64 {
        let mut all = self.0.get(&(what, kind)).cloned().unwrap_or_default();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Ours, as a part of what the best of some others has.
    fn ratio(&self, what: &'static str, others: &[Layout]) -> f64 {
        let better = if WHATS.iter().any(|(name, _, better)| *name == what && *better == Better::More) {
            f64::max
        } else {
            f64::min
        };
        let theirs = (0..KINDS.len())
            .filter(|kind| matches!(KINDS[*kind], Kind::Dovecot(layout) if others.contains(&layout)))
            .map(|kind| self.median(what, kind));
        self.median(what, 0) / theirs.reduce(better).unwrap_or(f64::NAN)
    }
}

#[derive(PartialEq)]
enum Better {
    More,
    Less,
}

const INGEST: &str = "ingest of 4 KiB, synced";
const INGEST_P50: &str = "ingest of 4 KiB, MAIL to 250, p50";
const INGEST_P99: &str = "ingest of 4 KiB, MAIL to 250, p99";
const ENVELOPES: &str = "FETCH of envelopes, 4 KiB";
const BODIES: &str = "FETCH of bodies, 4 KiB";
const MIX: &str = "ingest of the mix, synced";
const MIX_BODIES: &str = "FETCH of bodies, the mix";
const DISK: &str = "bytes on disk per byte received, the mix, settled";

/// What is measured, in which unit, and what is better.
const WHATS: [(&str, &str, Better); 8] = [
    (INGEST, "messages/s", Better::More),
    (INGEST_P50, "ms", Better::Less),
    (INGEST_P99, "ms", Better::Less),
    (ENVELOPES, "messages/s", Better::More),
    (BODIES, "messages/s", Better::More),
    (MIX, "messages/s", Better::More),
    (MIX_BODIES, "MB/s", Better::More),
    (DISK, "", Better::Less),
];

pub async fn run(place: &Place, args: &Args, report: &mut Report) -> io::Result<()> {
    let or =
        |given: Option<usize>, short, full| given.unwrap_or(if args.short { short } else { full }).max(1);
    let (rounds, small, count) =
        (or(args.rounds, 1, 3), or(args.small, 1_000, 5_000), or(args.mix, 300, 1_500));
    let mut mix = Mix::new(args.seed);
    let mix: Arc<Vec<Vec<u8>>> = Arc::new((0..count).map(|_| mix.message()).collect());
    let bytes: usize = mix.iter().map(Vec::len).sum();
    report.condition(&format!(
        "{rounds} rounds, medians; {small} messages of {SMALL} B; a mix of {count} messages (seed {}) of {:.0} KB on \
         average, the largest of {:.1} MB; {CONNECTIONS} connections, a user each; servers on processor {}, load on {}; \
         Dovecot {}, LMTP, mail_fsync = optimized",
        args.seed,
        bytes as f64 / count as f64 / 1e3,
        mix.iter().map(Vec::len).max().unwrap_or_default() as f64 / 1e6,
        place.cores.as_deref().unwrap_or("any"),
        place.load_cores.as_deref().unwrap_or("any"),
        crate::dovecot::version().await?,
    ));
    let mut measured = Rounds::default();
    for round in 0..rounds {
        for turn in 0..KINDS.len() {
            // Whoever begins in one round does not in the next.
            let kind = (turn + round) % KINDS.len();
            small_messages(place, kind, small, &mut measured).await?;
            mixed(place, kind, &mix, bytes, &mut measured).await?;
        }
    }
    for (what, unit, _) in WHATS {
        for (kind, whose) in KINDS.iter().enumerate() {
            report.add(what, whose.name(), measured.median(what, kind), unit);
        }
    }
    let plain = [Layout::Maildir, Layout::Sdbox];
    report.ratio("ingest_vs_dovecot_lmtp", measured.ratio(INGEST, &plain));
    report.ratio("ingest_mix_vs_dovecot_lmtp", measured.ratio(MIX, &plain));
    let [envelopes, bodies] = [ENVELOPES, BODIES].map(|what| measured.ratio(what, &plain));
    report.ratio("fetch_envelopes_vs_dovecot", envelopes);
    report.ratio("fetch_bodies_vs_dovecot", bodies);
    report.ratio("fetch_mix_bodies_vs_dovecot", measured.ratio(MIX_BODIES, &plain));
    // The lesser of both.
    report.ratio("fetch_vs_dovecot", envelopes.min(bodies));
    report.ratio("bytes_vs_maildir", measured.ratio(DISK, &[Layout::Maildir]));
    report.ratio("bytes_vs_dovecot_zlib", measured.ratio(DISK, &[Layout::SdboxZlib]));
    Ok(())
}

async fn small_messages(place: &Place, kind: usize, count: usize, measured: &mut Rounds) -> io::Result<()> {
    let running = Running::start(place, KINDS[kind]).await?;
    // Neither logins nor the first pages are measured.
    send(&running, count / 20 + CONNECTIONS, Arc::new(|number| load::message(number, SMALL))).await?;
    let burst = send(&running, count, Arc::new(|number| load::message(number, SMALL))).await?;
    measured.add(INGEST, kind, count as f64 / burst.took.as_secs_f64());
    let mut latencies = burst.latencies;
    latencies.sort();
    for (what, part) in [(INGEST_P50, 50), (INGEST_P99, 99)] {
        measured.add(what, kind, latencies[latencies.len() * part / 100].as_secs_f64() * 1e3);
    }
    let mut reader = running.reader(0).await?;
    for (what, items) in
        [(ENVELOPES, "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"), (BODIES, "(UID BODY.PEEK[])")]
    {
        let (messages, _, took) = fetch(&mut reader, items).await?;
        measured.add(what, kind, messages as f64 / took.as_secs_f64());
    }
    Ok(())
}

async fn mixed(
    place: &Place,
    kind: usize,
    mix: &Arc<Vec<Vec<u8>>>,
    received: usize,
    measured: &mut Rounds,
) -> io::Result<()> {
    let running = Running::start(place, KINDS[kind]).await?;
    let before = running.disk_bytes()?;
    let mails = mix.clone();
    let burst = send(&running, mix.len(), Arc::new(move |number| Shared(mails.clone(), number))).await?;
    measured.add(MIX, kind, mix.len() as f64 / burst.took.as_secs_f64());
    let mut bytes = 0.0;
    let mut took = Duration::ZERO;
    for user in 0..CONNECTIONS {
        let (_, of_user, time) = fetch(&mut running.reader(user).await?, "(UID BODY.PEEK[])").await?;
        bytes += of_user as f64;
        took += time;
    }
    measured.add(MIX_BODIES, kind, bytes / took.as_secs_f64() / 1e6);
    let settled = running.settled_bytes().await?;
    measured.add(DISK, kind, settled.saturating_sub(before) as f64 / received as f64);
    Ok(())
}

/// One message of many, without a copy.
struct Shared(Arc<Vec<Vec<u8>>>, usize);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0[self.1]
    }
}

async fn send<M: AsRef<[u8]> + Send + 'static>(
    running: &Running,
    count: usize,
    message: Arc<dyn Fn(usize) -> M + Send + Sync>,
) -> io::Result<Burst> {
    let mut senders = Vec::new();
    for user in 0..CONNECTIONS {
        senders.push(running.sender(user).await?);
    }
    load::send_over(senders, count, message).await
}

/// Fetches all of INBOX once unmeasured, so that caches are warm, and then until a second has passed, but three times at
/// least: how many messages it has, how many bytes came, and the median time.
async fn fetch(reader: &mut Imap, items: &str) -> io::Result<(usize, u64, Duration)> {
    reader.command("SELECT INBOX").await?;
    let command = format!("FETCH 1:* {items}");
    let (messages, bytes) = reader.count(&command).await?;
    let (mut all, began) = (Vec::new(), Instant::now());
    while all.len() < 3 || began.elapsed() < Duration::from_secs(1) {
        let began = Instant::now();
        reader.command(&command).await?;
        all.push(began.elapsed());
    }
    all.sort();
    Ok((messages, bytes, all[all.len() / 2]))
}
