//! Hints and counters over Redis servers and Sentinels, which are killed, stopped and missing. The same claims for real
//! ones and for simulated ones: so these are held to reality.

use crate::redis_servers::{PATIENCE, free_port, until};
use gadwall_storage::redis::{RedisBus, RedisOptions, TcpDial};
use gadwall_storage::{
    AccountId, Count, Counters, Hint, HintBus, Lookups, MailboxId, ModSeq, SystemEntropy, Window,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, timeout};

/// A server, real or simulated, on a loopback port; gone with its owner.
pub trait Redis: Sized {
    type Cluster: Cluster<Server = Self>;

    async fn start() -> Self;
    async fn start_with_password(password: &str) -> Self;
    /// `None` when the port is taken.
    async fn start_on(port: u16) -> Option<Self>;
    fn port(&self) -> u16;
    /// SIGSTOP.
    fn stop(&self);
    /// SIGCONT.
    fn resume(&self);
    /// SIGKILL.
    fn kill(&mut self);

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// One command, words separated by spaces, on a connection of its own.
    async fn say<T: redis::FromRedisValue>(&self, words: &str) -> Option<T> {
        crate::redis_servers::say(&self.url(), words).await
    }
}

/// A master, a replica and three Sentinels.
pub trait Cluster: Sized {
    type Server: Redis;

    async fn start(name: &str) -> Self;
    fn master(&mut self) -> &mut Self::Server;
    fn replica(&self) -> &Self::Server;
    fn url(&self, name: &str) -> String;
}

/// Makes every claim a test of that kind of server.
macro_rules! redis_suite {
    ($server:ty) => {
        redis_suite! { $server:
            a_hint_of_one_node_is_heard_by_the_others_and_not_by_itself,
            hints_keep_their_order_and_all_arrive_while_nothing_breaks,
            databases_of_one_server_do_not_hear_each_other,
            counters_are_shared_and_forgotten,
            a_rate_ends_after_its_first_event_and_a_back_off_after_its_latest,
            a_password_and_a_database_are_given,
            without_redis_everything_answers_and_it_may_come_later,
            a_stopped_server_is_noticed_and_so_is_its_return,
            a_server_that_was_demoted_is_left_for_the_master,
            a_killed_master_is_replaced_by_its_replica,
            a_stopped_master_is_left_for_the_one_that_sentinel_names,
            what_one_node_has_looked_up_the_others_know,
            a_redis_that_hangs_costs_look_ups_next_to_nothing_and_is_not_given_up_for_it,
        }
    };
    ($server:ty: $($claim:ident,)*) => {
        $(#[tokio::test]
        async fn $claim() {
            $crate::redis_suite::$claim::<$server>().await;
        })*
    };
}

const MINUTE: Window = Window::AfterFirst(Duration::from_secs(60));
/// What one question may take however Redis is: its deadline and what a busy machine adds.
const SOON: Duration = Duration::from_secs(5);

/// A node. Its counters are patient, so that a busy machine makes none of them count for itself.
pub fn node(url: &str) -> RedisBus {
    node_with(url, Duration::from_secs(2))
}

fn node_with(url: &str, counter_patience: Duration) -> RedisBus {
    let url = url.parse().expect("an address of Redis");
    let options = RedisOptions::new(url, Arc::new(TcpDial), Arc::new(SystemEntropy));
    RedisBus::start(RedisOptions { counter_patience, ..options })
}

pub async fn up(bus: &RedisBus) {
    until("hints to flow", async || bus.is_up().then_some(())).await;
}

pub async fn down(bus: &RedisBus) {
    until("the loss to be noticed", async || (!bus.is_up()).then_some(())).await;
}

pub fn hint(n: u64) -> Hint {
    let (account, mailbox) = (AccountId([1; 12]), MailboxId([2; 12]));
    Hint::Mailbox { account, mailbox, modseq: ModSeq::new(n).expect("not zero") }
}

/// The next hint that is no resync.
pub async fn next(heard: &mut Receiver<Hint>) -> Hint {
    loop {
        match timeout(PATIENCE, heard.recv()).await.expect("a hint in time").expect("the bus lives") {
            Hint::Resync => {}
            hint => return hint,
        }
    }
}

pub async fn resync(heard: &mut Receiver<Hint>) {
    while timeout(PATIENCE, heard.recv()).await.expect("a resync in time").expect("the bus lives")
        != Hint::Resync
    {}
}

/// Counts, and fails the test when that took long.
pub async fn add(bus: &RedisBus, key: &str) -> u64 {
    let began = Instant::now();
    let count = bus.add(key, MINUTE).await;
    assert!(began.elapsed() < SOON, "a counter took {:?}", began.elapsed());
    count.events
}

pub async fn events(bus: &RedisBus, key: &str) -> Option<u64> {
    bus.count(key).await.map(|count| count.events)
}

pub async fn a_hint_of_one_node_is_heard_by_the_others_and_not_by_itself<S: Redis>() {
    let server = S::start().await;
    let (a, b) = (node(&server.url()), node(&server.url()));
    let (mut at_a, mut at_b) = (a.subscribe(), b.subscribe());
    up(&a).await;
    up(&b).await;
    a.publish(hint(1));
    assert_eq!(next(&mut at_b).await, hint(1));
    b.publish(hint(2));
    assert_eq!(next(&mut at_a).await, hint(2), "its own came first, and was not told");
}

pub async fn hints_keep_their_order_and_all_arrive_while_nothing_breaks<S: Redis>() {
    let server = S::start().await;
    let (a, b) = (node(&server.url()), node(&server.url()));
    let mut at_b = b.subscribe();
    up(&a).await;
    up(&b).await;
    (1..=900).for_each(|n| a.publish(hint(n)));
    for n in 1..=900 {
        assert_eq!(next(&mut at_b).await, hint(n));
    }
}

pub async fn databases_of_one_server_do_not_hear_each_other<S: Redis>() {
    let server = S::start().await;
    let (a, b) = (node(&format!("{}/0", server.url())), node(&format!("{}/1", server.url())));
    let listener = node(&format!("{}/1", server.url()));
    let mut heard = listener.subscribe();
    for bus in [&a, &b, &listener] {
        up(bus).await;
    }
    a.publish(hint(1));
    add(&a, "k").await;
    b.publish(hint(2));
    assert_eq!(next(&mut heard).await, hint(2));
    assert_eq!(events(&b, "k").await, None);
}

pub async fn counters_are_shared_and_forgotten<S: Redis>() {
    let server = S::start().await;
    let (a, b) = (node(&server.url()), node(&server.url()));
    up(&a).await;
    up(&b).await;
    assert_eq!(a.count("k").await, None);
    assert_eq!((add(&a, "k").await, add(&b, "k").await, add(&a, "k").await), (1, 2, 3));
    let Some(Count { events: 3, remembered_for }) = b.count("k").await else { panic!("three were counted") };
    assert!(remembered_for <= MINUTE.length() && remembered_for > Duration::from_secs(30));
    Counters::forget(&b, "k").await;
    assert_eq!((events(&a, "k").await, events(&b, "k").await), (None, None));
}

pub async fn a_rate_ends_after_its_first_event_and_a_back_off_after_its_latest<S: Redis>() {
    let server = S::start().await;
    let bus = node(&server.url());
    up(&bus).await;
    let (short, long) = (Duration::from_secs(30), Duration::from_secs(1000));
    bus.add("rate", Window::AfterFirst(short)).await;
    assert!(bus.add("rate", Window::AfterFirst(long)).await.remembered_for <= short);
    bus.add("back-off", Window::AfterLatest(short)).await;
    assert!(bus.add("back-off", Window::AfterLatest(long)).await.remembered_for > short);
    bus.add("brief", Window::AfterFirst(Duration::from_millis(50))).await;
    until("it to be forgotten", async || bus.count("brief").await.is_none().then_some(())).await;
    // Were it without an end it would be remembered for ever.
    let ends: i64 = server.say("PTTL gadwall:count:rate").await.expect("an answer");
    assert!(ends > 0, "{ends}");
}

pub async fn a_password_and_a_database_are_given<S: Redis>() {
    let server = S::start_with_password("s3:cret").await;
    let bus = node(&format!("redis://:s3%3Acret@127.0.0.1:{}/5", server.port()));
    up(&bus).await;
    assert_eq!(add(&bus, "k").await, 1);
    let wrong = node(&format!("redis://:other@127.0.0.1:{}/5", server.port()));
    assert_eq!(add(&wrong, "k").await, 1, "it counts for itself");
    assert_eq!(add(&bus, "k").await, 2);
    assert!(!wrong.is_up());
}

pub async fn without_redis_everything_answers_and_it_may_come_later<S: Redis>() {
    let (bus, server) = loop {
        let port = free_port();
        let bus = node(&format!("redis://127.0.0.1:{port}"));
        assert!(!bus.is_up());
        bus.publish(hint(1));
        assert_eq!((add(&bus, "k").await, add(&bus, "k").await), (1, 2));
        assert_eq!(events(&bus, "k").await, Some(2));
        Counters::forget(&bus, "k").await;
        assert_eq!(events(&bus, "k").await, None);
        assert!(!bus.is_up());
        // Somebody else may have taken the port: then with another.
        if let Some(server) = S::start_on(port).await {
            break (bus, server);
        }
    };
    let mut heard = bus.subscribe();
    resync(&mut heard).await;
    up(&bus).await;
    let other = node(&server.url());
    up(&other).await;
    other.publish(hint(2));
    assert_eq!(next(&mut heard).await, hint(2));
    until("counts to be shared", async || (add(&bus, "k").await > 1).then_some(())).await;
}

pub async fn a_stopped_server_is_noticed_and_so_is_its_return<S: Redis>() {
    let server = S::start().await;
    let bus = node_with(&server.url(), Duration::from_millis(150));
    up(&bus).await;
    server.stop();
    assert_eq!(add(&bus, "k").await, 1, "counted here");
    down(&bus).await;
    assert_eq!(add(&bus, "k").await, 2, "counted here");
    let mut heard = bus.subscribe();
    server.resume();
    resync(&mut heard).await;
    up(&bus).await;
}

pub async fn a_server_that_was_demoted_is_left_for_the_master<S: Redis>() {
    let (a, b) = (S::start().await, S::start().await);
    b.say::<()>(&format!("REPLICAOF 127.0.0.1 {}", a.port())).await.expect("it follows");
    let bus = node(&format!("redis://127.0.0.1:{},127.0.0.1:{}", b.port(), a.port()));
    up(&bus).await;
    add(&bus, "k").await;
    assert_eq!(
        a.say::<u64>("GET gadwall:count:k").await,
        Some(1),
        "the replica, though named first, was passed by"
    );
    b.say::<()>("REPLICAOF NO ONE").await.expect("it leads");
    a.say::<()>(&format!("REPLICAOF 127.0.0.1 {}", b.port())).await.expect("it follows");
    until("counts to go to the master", async || {
        add(&bus, "moved").await;
        b.say::<u64>("GET gadwall:count:moved").await
    })
    .await;
    let other = node(&b.url());
    let mut heard = bus.subscribe();
    until("the subscription to move", async || {
        other.publish(hint(1));
        timeout(Duration::from_millis(100), next(&mut heard)).await.ok()
    })
    .await;
}

/// Hints of `from` reach `to` again; how long that took.
async fn healed(from: &RedisBus, to: &mut Receiver<Hint>, since: Instant) -> Duration {
    let mut n = 1000;
    until("hints to flow again", async || {
        n += 1;
        from.publish(hint(n));
        timeout(Duration::from_millis(100), next(to)).await.ok()
    })
    .await;
    since.elapsed()
}

pub async fn a_killed_master_is_replaced_by_its_replica<S: Redis>() {
    let mut cluster = S::Cluster::start("mail").await;
    let (a, b) = (node(&cluster.url("mail")), node(&cluster.url("mail")));
    up(&a).await;
    up(&b).await;
    assert_eq!((add(&a, "k").await, add(&b, "k").await), (1, 2));
    let mut at_b = b.subscribe();
    cluster.master().kill();
    let killed = Instant::now();
    down(&a).await;
    down(&b).await;
    for n in 1..=3 {
        assert_eq!(add(&a, "meanwhile").await, n, "counted within the node");
    }
    resync(&mut at_b).await;
    let pause = healed(&a, &mut at_b, killed).await;
    eprintln!("hints flowed again {pause:?} after kill -9 of the master");
    assert_eq!(crate::redis_servers::info(&cluster.replica().url(), "role").await.as_deref(), Some("master"));
    until("counts to be shared", async || {
        let before = add(&a, "after").await;
        (add(&b, "after").await == before + 1 && before > 1).then_some(())
    })
    .await;
}

pub async fn a_stopped_master_is_left_for_the_one_that_sentinel_names<S: Redis>() {
    let mut cluster = S::Cluster::start("mail").await;
    let (a, b) = (node(&cluster.url("mail")), node(&cluster.url("mail")));
    up(&a).await;
    up(&b).await;
    let mut at_b = b.subscribe();
    cluster.master().stop();
    let stopped = Instant::now();
    down(&b).await;
    resync(&mut at_b).await;
    let pause = healed(&a, &mut at_b, stopped).await;
    eprintln!("hints flowed again {pause:?} after SIGSTOP of the master");
    // The old one wakes up and still believes that it leads, until Sentinel tells it otherwise.
    cluster.master().resume();
    assert_eq!(add(&a, "k").await + 1, add(&b, "k").await);
}

const KEEP: Duration = Duration::from_secs(600);

pub async fn what_one_node_has_looked_up_the_others_know<S: Redis>() {
    let server = S::start().await;
    let (a, b) = (node(&server.url()), node(&server.url()));
    up(&a).await;
    up(&b).await;
    // One at a time may be late on a busy machine, and is then looked up in the database.
    until("a value to be shared", async || {
        a.put("k", b"value".to_vec(), KEEP).await;
        b.get("k").await.filter(|value| value == b"value").map(|_| ())
    })
    .await;
    let left: i64 = server.say("PTTL gadwall:look:k").await.expect("an answer");
    assert!(left > 0 && left <= 600_000, "{left}");
    let length = gadwall_storage::LOOKUP_LIMIT;
    a.put("long", vec![0; length], KEEP).await;
    assert_eq!(a.get("long").await, None);
    let there: Option<Vec<u8>> = server.say("GET gadwall:look:long").await.expect("an answer");
    assert_eq!(there, None);
}

pub async fn a_redis_that_hangs_costs_look_ups_next_to_nothing_and_is_not_given_up_for_it<S: Redis>() {
    let server = S::start().await;
    let bus = node(&server.url());
    up(&bus).await;
    bus.put("known", b"here".to_vec(), KEEP).await;
    server.stop();
    let began = Instant::now();
    for n in 0..1000 {
        assert_eq!(bus.get(&format!("unknown {n}")).await, None);
    }
    assert_eq!(bus.get("known").await, Some(b"here".to_vec()), "this node has it itself");
    // Were each patient, it would take the two seconds until the silence of the server is noticed.
    let took = began.elapsed();
    println!("a thousand look-ups of a Redis that hangs: {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}
