//! What a Sentinel knows and what follows from it. No sockets: what is to be sent stands in `orders`.

use super::{Opinion, SentinelOptions, Vote};
use crate::address::Address;
use crate::info::Info;
use crate::server::run_id;
use gadwall_storage::Entropy;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a server has to contradict us before it is told whom to follow: four greetings, so that it is not us who
/// are behind the times.
const CONTRADICTION: Duration = Duration::from_secs(8);
/// How old an opinion of another Sentinel may be.
const FRESH: Duration = Duration::from_secs(5);
/// Up to so long a Sentinel waits before it asks for votes, so that not all ask at once.
const DESYNC_MS: u64 = 1000;

/// `sentinel.conf`, which a Sentinel rewrites before it says what it has written. Clones are the same file.
#[derive(Debug, Clone)]
pub struct SentinelFile(Arc<Mutex<Kept>>);

/// What outlives the process.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub id: Option<String>,
    pub epoch: u64,
    pub vote: Option<Vote>,
    pub master: Address,
    /// The epoch of the failover that made it the master.
    pub config_epoch: u64,
    pub replicas: BTreeSet<Address>,
}

impl SentinelFile {
    /// One that was only told the first master.
    pub fn monitor(master: Address) -> Self {
        let (replicas, id, vote) = (BTreeSet::new(), None, None);
        SentinelFile(Arc::new(Mutex::new(Kept { id, epoch: 0, vote, master, config_epoch: 0, replicas })))
    }

    fn read(&self) -> Kept {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, kept: &Kept) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kept.clone();
    }
}

pub(super) struct State {
    pub id: String,
    pub kept: Kept,
    pub file: SentinelFile,
    pub seen: BTreeMap<Address, Seen>,
    pub opinions: BTreeMap<Address, (Instant, Opinion)>,
    /// Commands to servers, not sent yet.
    pub orders: BTreeMap<Address, Vec<Vec<String>>>,
    pub failover: Failover,
    /// No failover of our own before.
    not_before: Instant,
    voters: usize,
    quorum: usize,
    down_after: Duration,
    timeout: Duration,
}

/// What is known of a server.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// When it last answered.
    pub answered: Instant,
    pub info: Option<Info>,
    /// Since when it says whom it follows now.
    pub said_since: Instant,
}

/// A failover of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failover {
    None,
    /// Votes are asked for.
    Election {
        epoch: u64,
        since: Instant,
    },
    /// A replica has been told to lead.
    Promotion {
        epoch: u64,
        since: Instant,
        chosen: Address,
    },
}

impl State {
    pub fn new(options: &SentinelOptions, now: Instant) -> Self {
        let mut kept = options.file.read();
        let id = kept.id.get_or_insert_with(|| run_id(&*options.entropy)).clone();
        options.file.write(&kept);
        State {
            id,
            kept,
            file: options.file.clone(),
            seen: BTreeMap::new(),
            opinions: BTreeMap::new(),
            orders: BTreeMap::new(),
            failover: Failover::None,
            not_before: now,
            voters: options.others.len() + 1,
            quorum: options.quorum,
            down_after: options.down_after,
            timeout: options.failover_timeout,
        }
    }

    fn keep(&self) {
        self.file.write(&self.kept);
    }

    /// Servers that are known and not watched yet.
    pub fn unwatched(&mut self, now: Instant) -> Vec<Address> {
        let known = self.kept.replicas.iter().chain([&self.kept.master]);
        let new: Vec<Address> = known.filter(|server| !self.seen.contains_key(*server)).cloned().collect();
        for server in &new {
            self.seen.insert(server.clone(), Seen { answered: now, info: None, said_since: now });
        }
        new
    }

    pub fn is_down(&self, server: &Address, now: Instant) -> bool {
        self.seen.get(server).is_some_and(|seen| {
            // A master that for long has said it is a replica is as good as none.
            let follows = seen.info.as_ref().is_some_and(|info| info.master.is_some());
            let denies = follows && now - seen.said_since > self.down_after + CONTRADICTION;
            now - seen.answered > self.down_after || (*server == self.kept.master && denies)
        })
    }

    pub fn master_is_down(&self, now: Instant) -> bool {
        self.is_down(&self.kept.master, now)
    }

    /// The server said PONG and this.
    pub fn heard(&mut self, from: &Address, info: Info, now: Instant) {
        let Some(seen) = self.seen.get_mut(from) else { return };
        seen.answered = now;
        if seen.info.as_ref().is_none_or(|before| before.master != info.master) {
            seen.said_since = now;
        }
        let said_since = seen.said_since;
        seen.info = Some(info.clone());
        if *from == self.kept.master {
            let before = self.kept.replicas.len();
            self.kept.replicas.extend(info.replicas);
            if self.kept.replicas.len() != before {
                self.keep();
            }
        } else {
            self.correct(from, info.master.as_ref(), now - said_since, now);
        }
    }

    /// Tells a server that leads, or follows another, whom to follow.
    fn correct(&mut self, server: &Address, follows: Option<&Address>, since: Duration, now: Instant) {
        if let Failover::Promotion { chosen, epoch, .. } = &self.failover
            && chosen == server
            && follows.is_none()
        {
            let (chosen, epoch) = (chosen.clone(), *epoch);
            self.failover = Failover::None;
            // The old master is told once it is back and has had its time to contradict.
            let others: Vec<Address> = self.kept.replicas.iter().filter(|r| **r != chosen).cloned().collect();
            self.adopt(chosen, epoch);
            others.iter().for_each(|other| self.order_to_follow(other));
            return;
        }
        let master = self.seen.get(&self.kept.master);
        let leads = master.and_then(|seen| seen.info.as_ref()).is_some_and(|info| info.master.is_none());
        let sane = leads && !self.master_is_down(now) && self.failover == Failover::None;
        let patience = if follows.is_none() { CONTRADICTION } else { self.timeout };
        if sane && follows != Some(&self.kept.master) && since > patience {
            self.order_to_follow(server);
        }
    }

    /// Clients of a server that is demoted are sent away, so that they ask again.
    fn order_to_follow(&mut self, server: &Address) {
        let Address { host, port } = self.kept.master.clone();
        let words = |text: &[&str]| text.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let orders = vec![
            words(&["SLAVEOF", &host, &port.to_string()]),
            words(&["CLIENT", "KILL", "TYPE", "normal"]),
            words(&["CLIENT", "KILL", "TYPE", "pubsub"]),
        ];
        self.orders.insert(server.clone(), orders);
    }

    /// Another server is the master, by the failover of that epoch.
    fn adopt(&mut self, master: Address, config_epoch: u64) {
        let old = std::mem::replace(&mut self.kept.master, master);
        self.kept.replicas.insert(old);
        self.kept.replicas.remove(&self.kept.master);
        self.kept.config_epoch = config_epoch;
        self.opinions.clear();
        // The real one forgets what each said before (sentinelResetMasterAndChangeAddress): whoever leads has its time to
        // contradict from when it is heard next.
        self.seen.values_mut().for_each(|seen| seen.info = None);
        self.keep();
    }

    /// Another Sentinel says what it believes.
    pub fn greeted(&mut self, epoch: u64, master: Address, config_epoch: u64) {
        if epoch > self.kept.epoch {
            self.kept.epoch = epoch;
            self.keep();
        }
        if config_epoch > self.kept.config_epoch {
            if master == self.kept.master {
                self.kept.config_epoch = config_epoch;
                self.keep();
            } else {
                self.failover = Failover::None;
                self.adopt(master, config_epoch);
            }
        }
    }

    /// One vote an epoch, for who asks first. It is in the file before it is told.
    pub fn vote(&mut self, leader: &str, epoch: u64, now: Instant, entropy: &dyn Entropy) -> Option<Vote> {
        self.kept.epoch = self.kept.epoch.max(epoch);
        let voted = self.kept.vote.as_ref().map_or(0, |vote| vote.epoch);
        if voted < epoch && self.kept.epoch <= epoch {
            self.kept.vote = Some(Vote { leader: leader.to_owned(), epoch });
            if leader != self.id {
                // Another is about it: we wait our turn.
                self.not_before = now + 2 * self.timeout + desync(entropy);
            }
        }
        self.keep();
        self.kept.vote.clone()
    }

    pub fn decide(&mut self, now: Instant, entropy: &dyn Entropy) {
        match self.failover.clone() {
            Failover::None => self.begin(now, entropy),
            Failover::Election { epoch, since } if now >= since => self.count(epoch, since, now, entropy),
            Failover::Promotion { since, .. } if now - since > self.timeout => self.failover = Failover::None,
            Failover::Election { .. } | Failover::Promotion { .. } => {}
        }
    }

    /// Begins a failover when enough Sentinels find the master down.
    fn begin(&mut self, now: Instant, entropy: &dyn Entropy) {
        if !self.master_is_down(now) || now < self.not_before {
            return;
        }
        let fresh = self.opinions.values().filter(|(at, _)| now - *at < FRESH);
        let down = 1 + fresh.filter(|(_, opinion)| opinion.down).count();
        if down >= self.quorum {
            self.kept.epoch += 1;
            self.keep();
            let wait = desync(entropy);
            tracing::debug!(id = self.id, epoch = self.kept.epoch, ?wait, "sentinel: failover");
            self.failover = Failover::Election { epoch: self.kept.epoch, since: now + wait };
            self.not_before = now + 2 * self.timeout + wait;
        }
    }

    fn count(&mut self, epoch: u64, since: Instant, now: Instant, entropy: &dyn Entropy) {
        let id = self.id.clone();
        self.vote(&id, epoch, now, entropy);
        let votes = self.opinions.values().filter_map(|(_, opinion)| opinion.vote.as_ref());
        let mine = Vote { leader: id, epoch };
        let count = votes.chain(&self.kept.vote).filter(|vote| **vote == mine).count();
        if count > self.voters / 2 && count >= self.quorum {
            match self.best_replica(now) {
                Some(chosen) => {
                    let order = ["SLAVEOF", "NO", "ONE"].map(str::to_owned).to_vec();
                    self.orders.insert(chosen.clone(), vec![order]);
                    self.failover = Failover::Promotion { epoch, since: now, chosen };
                }
                None => self.failover = Failover::None,
            }
        } else if now - since > self.timeout.min(Duration::from_secs(10)) {
            self.failover = Failover::None;
        }
    }

    /// The replica that has copied most, among those that answer.
    fn best_replica(&self, now: Instant) -> Option<Address> {
        let candidate = |server: &Address| {
            let seen = self.seen.get(server).filter(|_| !self.is_down(server, now))?;
            // One that leads already, because it heard an earlier order late, is welcome too.
            let info = seen.info.as_ref()?;
            Some((info.offset, std::cmp::Reverse(info.run_id.clone()), server.clone()))
        };
        let best = self.kept.replicas.iter().filter_map(candidate).max()?;
        Some(best.2)
    }
}

fn desync(entropy: &dyn Entropy) -> Duration {
    Duration::from_millis(u64::from_be_bytes(entropy.bytes()) % DESYNC_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::Handle;
    use gadwall_storage::SeededEntropy;
    use std::net::Ipv4Addr;

    fn server(name: &str) -> Address {
        Address::new(name, 6379)
    }

    fn state(master: &str, now: Instant) -> State {
        let options = SentinelOptions {
            bind: (Ipv4Addr::LOCALHOST, 26379).into(),
            address: Address::new("s0", 26379),
            others: vec![Address::new("s1", 26379), Address::new("s2", 26379)],
            name: "mail".to_owned(),
            quorum: 2,
            down_after: Duration::from_secs(2),
            failover_timeout: Duration::from_secs(10),
            server_password: None,
            password: None,
            file: SentinelFile::monitor(server(master)),
            entropy: Arc::new(SeededEntropy::new(1)),
            handle: Handle::default(),
        };
        State::new(&options, now)
    }

    fn leads(state: &mut State, name: &str, replicas: &[&str], now: Instant) {
        state.unwatched(now);
        let replicas = replicas.iter().map(|name| server(name)).collect();
        state.heard(&server(name), Info { replicas, ..Info::default() }, now);
    }

    #[test]
    fn an_old_master_has_its_time_to_contradict_however_long_it_led_and_was_gone() {
        let begin = Instant::now();
        let mut state = state("a", begin);
        leads(&mut state, "a", &["b"], begin);
        state.greeted(1, server("b"), 1);
        let back = begin + Duration::from_secs(60);
        leads(&mut state, "b", &[], back);
        leads(&mut state, "a", &[], back);
        assert_eq!(state.orders.len(), 0, "it has just come back");
        let later = back + CONTRADICTION + Duration::from_secs(1);
        leads(&mut state, "b", &[], later);
        leads(&mut state, "a", &[], later);
        assert_eq!(state.orders[&server("a")][0], ["SLAVEOF", "b", "6379"]);
    }
}
