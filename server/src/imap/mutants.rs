//! Deliberate mistakes that the conformance suite has to notice: stores that break a promise under this engine, and
//! responses that are spoilt on their way out. Each names cases that must fail; the same cases pass without it.

use super::serve;
use crate::testing::World;
use crate::{Env, Limits};
use gadwall_conformance::{Case, Dial, Dialing, Stream, Target, Verdict, registry, run};
use gadwall_storage::contract::faults::{Fault, Faulty};
use gadwall_storage::contract::{Backend, MemoryBackend};
use gadwall_storage::{ManualClock, SeededEntropy};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};

/// What becomes of one response, literals included: any number of responses. `held` is the mistake's memory.
type Spoil = fn(response: &str, held: &mut Vec<String>) -> Vec<String>;

struct Mutant {
    world: World,
    spoil: Spoil,
}

impl Mutant {
    async fn new(fault: Fault, spoil: Spoil) -> Mutant {
        let clock = Arc::new(ManualClock::default());
        let env = Env::inline(clock.clone(), Arc::new(SeededEntropy::new(1)));
        let faulty = Faulty { backend: MemoryBackend, fault };
        let store = faulty.open(env.clock.clone(), env.entropy.clone()).await.store();
        Mutant { world: World::over(store, env, clock, Limits::default(), 100_000_000).await, spoil }
    }
}

impl Dial for Mutant {
    fn dial(&self) -> Dialing<'_> {
        let (conn, talk) = self.world.connection();
        tokio::spawn(serve(conn, self.world.services.clone()));
        let (client, middle) = tokio::io::duplex(1 << 20);
        tokio::spawn(spoilt(middle, talk.io, self.spoil));
        Box::pin(async move { Ok(Box::new(client) as Box<dyn Stream>) })
    }
}

/// Commands go through as they are, responses spoilt.
async fn spoilt(client: DuplexStream, server: DuplexStream, spoil: Spoil) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (from_server, mut to_server) = tokio::io::split(server);
    let commands = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    let responses = async {
        let (mut from_server, mut held) = (BufReader::new(from_server), Vec::new());
        while let Some(response) = response(&mut from_server).await {
            for line in spoil(&response, &mut held) {
                if to_client.write_all(line.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
        let _ = to_client.shutdown().await;
    };
    tokio::join!(commands, responses);
}

/// One response with its literals. The cases that are run here have only text in them.
async fn response(io: &mut BufReader<impl tokio::io::AsyncRead + Unpin>) -> Option<String> {
    let mut all = Vec::new();
    loop {
        let from = all.len();
        if io.read_until(b'\n', &mut all).await.ok()? == 0 {
            return None;
        }
        let line = String::from_utf8_lossy(&all[from..]).into_owned();
        let size =
            line.strip_suffix("}\r\n").and_then(|l| l.rsplit_once('{')).and_then(|(_, n)| n.parse().ok());
        let Some(size) = size else { return Some(String::from_utf8_lossy(&all).into_owned()) };
        io.take(size).read_to_end(&mut all).await.ok()?;
    }
}

fn faithful(response: &str, _: &mut Vec<String>) -> Vec<String> {
    vec![response.to_owned()]
}

fn case(name: &str) -> Case {
    let cases = registry::cases().expect("cases that parse");
    cases.into_iter().find(|case| case.name == name).unwrap_or_else(|| panic!("there is no case {name}"))
}

/// The cases pass without the mistake and fail with it.
async fn notices(fault: Fault, spoil: Spoil, cases: &[&str]) {
    for name in cases {
        let good = Mutant::new(Fault::None, faithful).await;
        let verdict = run(&Target::new(&good, "ann@example.org", "secret"), &case(name)).await;
        assert_eq!(verdict, Verdict::Pass, "{name} without a mistake");
        let bad = Mutant::new(fault, spoil).await;
        let verdict = run(&Target::new(&bad, "ann@example.org", "secret"), &case(name)).await;
        let noticed = matches!(verdict, Verdict::Fail(_) | Verdict::ShouldDeviation(_));
        assert!(noticed, "{name} says {}: {}", verdict.word(), verdict.why());
    }
}

/// Waiting is cut short: what a case waits for in vain is not waited for in real time.
macro_rules! stores {
    ($($test:ident: $fault:ident => $($case:literal),+;)*) => {
        $(#[tokio::test(start_paused = true)]
        async fn $test() {
            notices(Fault::$fault, faithful, &[$($case),+]).await;
        })*
    };
}

macro_rules! responses {
    ($($test:ident: $spoil:expr => $($case:literal),+;)*) => {
        $(#[tokio::test(start_paused = true)]
        async fn $test() {
            notices(Fault::None, $spoil, &[$($case),+]).await;
        })*
    };
}

stores! {
    a_moved_message_stays_behind: LeavesMovedBehind => "rfc6851-3.1-move-of-a-range", "rfc6851-3.3-other-sessions-see-a-move-as-expunge-and-arrival";
    identical_mail_is_dropped: DropsIdenticalMail => "rfc3501-6.3.11-two-identical-messages-are-two";
    what_vanished_is_forgotten: LosesVanished => "rfc3501-7.4.1-sync-two-foreign-expunges-renumber-rightly";
    what_changed_is_forgotten: LosesChanged => "rfc3501-7.4.2-sync-noop-tells-of-flags";
    uidvalidity_is_a_constant: RepeatsUidValidity => "rfc3501-2.3.1.1-uidvalidity-differs-in-ten-quick-recreations";
    a_deleted_mailbox_is_unsubscribed: UnsubscribesDeleted => "rfc3501-6.3.6-lsub-keeps-a-deleted-name";
    recent_is_told_twice: TellsRecentTwice => "rfc3501-2.3.2-sync-recent-reaches-one-session";
    idle_hears_nothing: LosesHints => "rfc2177-3-idle-tells-of-a-message-within-five-seconds";
}

responses! {
    expunges_are_not_told: |r, _| if r.ends_with(" EXPUNGE\r\n") { vec![] } else { vec![r.into()] }
        => "rfc3501-7.4.1-sync-two-foreign-expunges-renumber-rightly", "rfc3501-6.4.3-expunge-takes-the-deleted";
    expunges_are_off_by_one: |r, _| vec![counted(r, " EXPUNGE\r\n", 1)]
        => "rfc3501-7.4.1-expunge-goes-through-the-numbers-rightly";
    exists_counts_one_too_few: |r, _| vec![counted(r, " EXISTS\r\n", -1)]
        => "rfc3501-7.3.1-exists-comes-with-noop";
    untagged_data_come_behind_the_tagged: |r, held| {
        if r.starts_with("* ") && !r.starts_with("* OK") {
            held.push(r.into());
            return vec![];
        }
        let mut out = vec![r.to_owned()];
        out.append(held);
        out
    } => "rfc3501-7.4.2-sync-noop-tells-of-flags", "rfc3501-6.3.10-status-items";
    uidnext_is_too_high: |r, _| vec![r.replace("[UIDNEXT ", "[UIDNEXT 1")]
        => "rfc3501-2.3.1.1-uidnext-survives-the-highest-message";
    highestmodseq_is_zero: |r, _| {
        vec![if r.contains("[HIGHESTMODSEQ ") { "* OK [HIGHESTMODSEQ 0] Highest\r\n".into() } else { r.into() }]
    } => "rfc7162-3.1.2.1-condstore-select-tells-the-highest-modseq", "rfc3501-6.3.1-select-answers-the-required-data";
    closed_is_not_said: |r, _| if r.contains("[CLOSED]") { vec![] } else { vec![r.into()] }
        => "rfc7162-3.2.11-select-another-says-closed-first";
    modified_is_not_said: |r, _| vec![without_code(r, "[MODIFIED")]
        => "rfc7162-3.1.3-condstore-unchangedsince-zero-always-fails", "rfc7162-3.1.3-a-change-of-another-session-makes-it-fail";
    copyuid_comes_after_the_expunge: |r, held| {
        if r.starts_with("* OK [COPYUID") {
            held.push(r.into());
            return vec![];
        }
        let mut out = vec![r.to_owned()];
        out.append(held);
        out
    } => "rfc6851-4.3-move-tells-where-to-before-it-expunges";
    trycreate_is_not_said: |r, _| vec![without_code(r, "[TRYCREATE")]
        => "rfc3501-6.4.7-copy-to-nowhere-is-trycreate";
    badcharset_has_no_list: |r, _| vec![r.replace("[BADCHARSET (", "[X-BADCHARSET (")]
        => "rfc3501-7.1-badcharset-names-what-is-supported";
    fetch_has_no_parentheses: |r, _| vec![r.replace(" FETCH (", " FETCH ").replace(")\r\n", "\r\n")]
        => "rfc3501-9-fetch-one-item-without-parentheses";
    enabled_lists_nothing: |r, _| vec![if r.starts_with("* ENABLED") { "* ENABLED\r\n".into() } else { r.into() }]
        => "rfc5161-3.1-enable-lists-what-it-enabled";
    nothing_found_is_not_said: |r, _| if r.trim_end() == "* SEARCH" { vec![] } else { vec![r.into()] }
        => "rfc3501-7.2.5-search-nothing-found-still-answers";
    an_esearch_has_no_count: |r, _| vec![r.replace(" COUNT ", " TALLY ")]
        => "rfc4731-3.1-count-is-how-many-match", "rfc4731-3.1-an-empty-mailbox-has-a-count-of-none";
    an_esearch_of_uids_does_not_say_so: |r, _| vec![r.replace(") UID ", ") ")]
        => "rfc4731-3.1-uid-search-tells-uids";
    an_esearch_has_another_tag: |r, _| vec![r.replace("(TAG \"", "(TAG \"x")]
        => "rfc4731-3.1-the-tag-is-the-command-s";
    a_search_that_saves_is_told: |r, _| match r.contains("OK Searched") {
        true => vec!["* SEARCH 1\r\n".into(), r.into()],
        false => vec![r.into()],
    } => "rfc5182-2.4-saving-alone-tells-nothing", "rfc4731-3.1-instead-of-a-search-response";
    a_search_that_saves_has_an_esearch: |r, _| match r.contains("OK Searched") {
        true => vec!["* ESEARCH (TAG \"a\")\r\n".into(), r.into()],
        false => vec![r.into()],
    } => "rfc5182-2.4-saving-alone-tells-nothing";
    a_name_is_listed_twice: |r, _| match r.starts_with("* LIST") {
        true => vec![r.into(), r.into()],
        false => vec![r.into()],
    } => "rfc5258-3-several-patterns-list-a-name-once";
    childinfo_is_not_said: |r, _| vec![r.replace(" (\"CHILDINFO\" (\"SUBSCRIBED\"))", "")]
        => "rfc5258-3.5-a-name-above-a-subscribed-one-has-childinfo";
    nonexistent_is_not_said: |r, _| vec![r.replace("\\NonExistent ", "")]
        => "rfc5258-3-a-name-that-is-gone-is-nonexistent";
    expunges_are_told_by_number: |r, _| vec![r.replace("* VANISHED 1", "* 1 EXPUNGE")]
        => "rfc7162-3.2.10-expunges-of-others-are-told-as-vanished", "rfc7162-3.2.10-idle-tells-of-vanished";
    what_vanished_earlier_is_not_said: |r, _| if r.starts_with("* VANISHED (EARLIER)") { vec![] } else { vec![r.into()] }
        => "rfc7162-3.2.5-changes-since-come-with-select", "rfc7162-3.2.6-vanished-comes-without-the-uids-that-are-there";
    an_earlier_vanished_is_told_as_of_now: |r, _| vec![r.replace("VANISHED (EARLIER)", "VANISHED")]
        => "rfc7162-3.2.5-examine-takes-the-parameter-too", "rfc7162-3.2.6-uid-fetch-vanished-tells-the-gone";
    all_that_vanished_vanished_earlier: |r, _| vec![r.replace("* VANISHED 1", "* VANISHED (EARLIER) 1")]
        => "rfc7162-3.2.10-an-earlier-vanished-changes-no-numbers";
    an_earlier_vanished_comes_last: |r, held| {
        if r.starts_with("* VANISHED (EARLIER)") {
            held.push(r.into());
            return vec![];
        }
        if r.starts_with("* ") { vec![r.into()] } else { std::mem::take(held).into_iter().chain([r.into()]).collect() }
    } => "rfc7162-3.2.6-uid-fetch-vanished-tells-the-gone", "rfc7162-3.2.5-changes-since-come-with-select";
    the_highest_modseq_runs_ahead: |r, _| {
        vec![if r.starts_with("* OK [HIGHESTMODSEQ") && r.contains("Go on") { r.replace("HIGHESTMODSEQ ", "HIGHESTMODSEQ 9") } else { r.into() }]
    } => "rfc7162-3.2-a-held-expunge-keeps-the-highest-modseq-low";
    a_mailbox_has_another_id_each_time: |r, held| {
        if !r.contains("MAILBOXID (F") {
            return vec![r.into()];
        }
        held.push(String::new());
        vec![r.replace("MAILBOXID (F", &format!("MAILBOXID (F{}", held.len()))]
    } => "rfc8474-4-a-rename-keeps-the-mailbox-id", "rfc8474-4.2-select-and-examine-tell-the-mailbox-id";
    all_mail_has_one_id: |r, _| {
        match r.split_once("EMAILID (M") {
            Some((before, after)) => vec![format!("{before}EMAILID (M{}", &after[24.min(after.len())..])],
            None => vec![r.into()],
        }
    } => "rfc8474-5.1-fetch-tells-the-email-id";
    create_has_no_mailbox_id: |r, _| vec![without_code(r, "[MAILBOXID")]
        => "rfc8474-4.1-create-tells-the-mailbox-id";
    a_mailbox_is_empty_however_full: |r, _| vec![r.replace("SIZE 26", "SIZE 0")]
        => "rfc8438-3-status-tells-the-size-of-a-mailbox", "rfc8438-3-list-tells-sizes-too";
    a_message_was_saved_when_it_was_dated: |r, _| {
        vec![if r.contains("SAVEDATE \"") { "* 1 FETCH (SAVEDATE \" 1-Feb-1994 21:52:25 +0000\")\r\n".into() } else { r.into() }]
    } => "rfc8514-4.2-fetch-tells-when-a-message-was-saved";
    a_preview_is_still_encoded: |r, _| vec![r.replace("Hello, base64.", "SGVsbG8sIGJhc2U2NC4=")]
        => "rfc8970-3-a-preview-is-text-whatever-the-encoding";
    select_does_not_tell_the_name: |r, _| if r.starts_with("* LIST") { vec![] } else { vec![r.into()] }
        => "rfc9051-6.3.2-select-tells-the-name", "rfc9051-6.3.4-a-name-that-is-normalised-is-told";
    an_old_name_is_not_said: |r, _| vec![r.replace("OLDNAME", "X-OLDNAME")]
        => "rfc9051-6.3.2-select-by-another-form-of-the-name-tells-both", "rfc9051-6.3.6-rename-tells-the-name-that-was-supplied";
    a_rev2_search_is_a_rev1_search: |r, _| {
        vec![if r.starts_with("* ESEARCH") { "* SEARCH 1 3\r\n".into() } else { r.into() }]
    } => "rfc9051-6.4.4-search-is-answered-by-esearch";
    a_name_stays_in_utf_7: |r, _| vec![r.replace('\u{fc}', "&APw-")]
        => "rfc9051-5.1-names-are-utf-8", "rfc9051-5.1-a-pattern-is-utf-8-too";
    the_deleted_are_not_counted: |r, _| vec![r.replace("DELETED 2", "DELETED 0")]
        => "rfc9051-6.3.11-status-counts-the-deleted";
    a_binary_part_is_still_encoded: |r, _| vec![r.replace("{13}\r\nHello, world.", "{20}\r\nSGVsbG8sIHdvcmxkLg==")]
        => "rfc3516-4.2-a-part-is-decoded";
    a_binary_size_is_that_of_the_encoded: |r, _| vec![r.replace("BINARY.SIZE[1] 35", "BINARY.SIZE[1] 57")]
        => "rfc3516-4.3-the-size-is-that-of-what-was-decoded";
    an_unknown_encoding_has_no_code: |r, _| vec![without_code(r, "[UNKNOWN-CTE")]
        => "rfc3516-4.3-an-unknown-encoding-is-unknown-cte";
    a_sort_is_a_search: |r, _| {
        let sorted = r.strip_prefix("* SORT ").map(|numbers| {
            let mut numbers: Vec<&str> = numbers.split_whitespace().collect();
            numbers.sort_unstable();
            format!("* SORT {}\r\n", numbers.join(" "))
        });
        vec![sorted.unwrap_or_else(|| r.to_owned())]
    } => "rfc5256-3-sort-by-subject", "rfc5256-2.2-sort-by-date-goes-by-the-moment-and-not-by-its-zone", "rfc5957-3-sort-by-display-names";
    an_esort_is_in_the_order_of_the_mailbox: |r, _| vec![r.replace(" ALL 1,3,2", " ALL 1:3")]
        => "rfc5267-3.1-return-all-is-in-the-order-of-the-sort";
    threads_are_flat: |r, _| {
        vec![if r.starts_with("* THREAD") { r.replace(" (", ")(") .replace("THREAD)(", "THREAD (") } else { r.into() }]
    } => "rfc5256-3-references-make-threads-of-answers", "rfc5256-3-ordered-subject-makes-threads-of-subjects";
    a_partial_is_all_there_is: |r, _| vec![r.replace("(1:2 1:2)", "(1:2 1:5)").replace("(-1:-2 2:3)", "(-1:-2 1:3)")]
        => "rfc9394-3.1-some-of-a-search", "rfc9394-3.1-some-of-a-search-from-its-end";
    a_partial_of_nothing_is_left_out: |r, _| vec![r.replace(" PARTIAL (3:4 NIL)", "")]
        => "rfc9394-3.1-what-is-not-there-is-nil";
    a_quota_is_of_nothing: |r, _| vec![r.replace("(STORAGE ", "(X-STORAGE ")]
        => "rfc9208-4.1.2-the-root-is-told-with-its-quota", "rfc9208-5.1-storage-is-counted-in-kilobytes";
    a_quota_is_in_octets: |r, _| {
        let used = r.strip_prefix("* QUOTA \"\" (STORAGE ").and_then(|r| r.split_once(' '));
        let octets = used.and_then(|(used, limit)| Some((used.parse::<u64>().ok()? * 1024, limit)));
        vec![octets.map_or_else(|| r.to_owned(), |(used, limit)| format!("* QUOTA \"\" (STORAGE {used} {limit}"))]
    } => "rfc9208-5.1-storage-is-counted-in-kilobytes";
    what_an_expunge_frees_is_not_counted: |r, _| vec![r.replace("DELETED-STORAGE 26", "DELETED-STORAGE 52")]
        => "rfc9208-4.1.4-status-tells-what-an-expunge-frees";
    a_comparator_is_never_another: |r, _| vec![r.replace("COMPARATOR i;ascii-casemap", "COMPARATOR i;unicode-casemap")]
        => "rfc5255-4.7-a-comparator-decides-what-is-found";
    a_search_of_mailboxes_names_none: |r, _| vec![r.replace(" MAILBOX ", " BOX ")]
        => "rfc7377-2.1-each-mailbox-that-has-some-is-told", "rfc7377-2.2-without-sources-it-is-the-selected-mailbox";
    a_message_is_called_by_its_number: |r, _| vec![r.replace(" UIDFETCH (", " FETCH (UID 1 ")]
        => "rfc9586-3-fetch-responses-begin-with-the-uid", "rfc9586-3-changes-of-others-are-told-by-uid";
    a_bad_url_has_no_code: |r, _| vec![without_code(r, "[BADURL")]
        => "rfc4469-4.1-a-url-of-nothing-is-badurl", "rfc4469-4.1-the-first-bad-url-is-named";
    a_part_is_left_out: |r, _| vec![r.replace("{40}\r\nX-Before: 1\r\n", "{27}\r\n")]
        => "rfc4469-3-a-url-stands-for-a-message";
    a_replaced_message_stays: |r, _| if r.ends_with(" EXPUNGE\r\n") { vec![] } else { vec![r.into()] }
        => "rfc8508-3.2-replace-takes-a-message-for-another", "rfc8508-3.4-others-see-both-at-once";
    a_replacement_is_told_afterwards: |r, _| if r.starts_with("* OK [APPENDUID") { vec![] } else { vec![r.into()] }
        => "rfc8508-4.3-the-uid-is-told-before-the-expunge";
    batches_begin_with_the_oldest: |r, _| vec![r.replace("1024:525,524:25,24:1", "1:500,501:1000,1001:1024")]
        => "rfc10022-3.1-batches-hold-so-many-messages-each";
    annotations_are_of_nobody: |r, _| {
        vec![if r.starts_with("* METADATA") { r.replace("\"mine\"", "NIL") } else { r.into() }]
    } => "rfc5464-4.3-several-at-once", "rfc5464-4.1-annotations-follow-a-renamed-mailbox", "rfc9590-3-list-tells-them";
    what_is_left_out_is_not_said: |r, _| vec![without_code(r, "[METADATA LONGENTRIES")]
        => "rfc5464-4.2.1-values-that-are-too-long-are-left-out";
    a_missing_filter_is_not_named: |r, _| vec![without_code(r, "[UNDEFINED-FILTER")]
        => "rfc5466-3.1-a-filter-that-is-not-there-is-undefined", "rfc5466-3.1-a-loop-is-undefined";
    all_is_as_relevant: |r, _| {
        vec![match r.split_once("RELEVANCY (") {
            Some((before, _)) => format!("{before}RELEVANCY ()\r\n"),
            None => r.into(),
        }]
    } => "rfc6203-4-relevancy-is-told-of-each-message", "rfc6203-6-a-sort-tells-it-too";
    the_least_relevant_comes_first: |r, _| vec![r.replace("* SORT 2 1", "* SORT 1 2")]
        => "rfc6203-6-the-most-relevant-comes-first";
    results_are_not_kept_up_to_date: |r, _| if r.contains(" ADDTO (") { vec![] } else { vec![r.into()] }
        => "rfc5267-4.3-a-new-message-is-added", "rfc5267-4.3-flags-of-others-add-and-remove";
    a_result_grows_by_any_message: |r, _| {
        let also = (r == "* 4 EXISTS\r\n").then(|| "* ESEARCH (TAG \"x\") ADDTO (0 4)\r\n".to_owned());
        std::iter::once(r.to_owned()).chain(also).collect()
    } => "rfc5267-4.3-a-new-message-is-added";
    a_search_that_was_cancelled_goes_on: |r, _| {
        let also = r.contains("(TAG \"x2\") ADDTO").then(|| r.replace("\"x2\"", "\"x1\""));
        std::iter::once(r.to_owned()).chain(also).collect()
    } => "rfc5267-4.3.5-cancelupdate-ends-it";
    a_position_is_always_zero: |r, _| vec![r.replace("ADDTO (2 3)", "ADDTO (0 3)")]
        => "rfc5267-4.3.3-a-sorted-result-says-where";
    a_removal_is_told_last: |r, held| {
        if r.contains(" REMOVEFROM (") {
            held.push(r.into());
            return vec![];
        }
        if r.ends_with(" EXPUNGE\r\n") {
            let mut all = vec![r.into()];
            all.append(held);
            return all;
        }
        vec![r.into()]
    } => "rfc5267-4.3.4-removed-before-it-is-expunged";
    a_watched_mailbox_is_forgotten: |r, _| if r.starts_with("* STATUS") { vec![] } else { vec![r.into()] }
        => "rfc5465-3.1-status-tells-how-mailboxes-stand", "rfc5465-5.2-a-message-in-another-mailbox",
           "rfc5465-4-idle-hears-the-same", "rfc5465-6.5-subtree-is-a-mailbox-and-what-is-below";
    a_new_message_comes_without_more: |r, _| if r.contains("RFC822.SIZE") { vec![] } else { vec![r.into()] }
        => "rfc5465-5.2-a-message-in-the-selected-mailbox", "rfc5465-7-an-updated-search-tells-more-of-what-it-finds";
    a_renamed_mailbox_has_no_old_name: |r, _| vec![r.replace("OLDNAME", "OTHER")]
        => "rfc5465-5.4-a-mailbox-is-renamed";
    an_expunge_is_told_at_once: |r, _| {
        vec![if r.starts_with("* 2 FETCH") { format!("* 1 EXPUNGE\r\n{r}") } else { r.into() }]
    } => "rfc5465-6.1.2-delayed-expunges-wait-for-a-command";
    the_events_are_not_named: |r, _| vec![without_code(r, "[BADEVENT")]
        => "rfc5465-3.1-an-unknown-event-is-badevent";
    the_delimiter_is_nil: |r, _| {
        vec![if r.starts_with("* LIST") { r.replace(" \"/\" ", " NIL ") } else { r.into() }]
    } => "rfc3501-6.3.8-an-empty-pattern-asks-for-the-delimiter";
    a_partial_has_no_origin: |r, _| vec![r.replace("BODY[]<0>", "BODY[]")]
        => "rfc3501-6.4.5-fetch-partial-sizes-are-exact", "rfc3501-6.4.5-every-partial-is-exact";
    a_uid_fetch_has_no_uid: |r, _| vec![r.replace("(UID 1 ", "(")]
        => "rfc3501-6.4.8-fetch-uid-form-always-has-the-uid";
    idle_tells_at_the_end: |r, held| {
        if r.starts_with('+') {
            held.push(String::new());
        } else if r.starts_with("* ") && !held.is_empty() {
            held.push(r.into());
            return vec![];
        }
        let told = if r.starts_with('+') { vec![] } else { std::mem::take(held) };
        told.into_iter().chain([r.to_owned()]).collect()
    } => "rfc2177-3-idle-hears-of-new-messages";
    status_comes_with_noop: |r, _| {
        if r.contains(" OK Done") { vec!["* STATUS INBOX (MESSAGES 1)\r\n".into(), r.into()] } else { vec![r.into()] }
    } => "rfc3501-6.1.2-noop-answers-ok";
    a_literal_is_one_byte_short: |r, _| vec![r.replace("{21}\r\n", "{20}\r\n")]
        => "rfc3501-6.4.5-fetch-rfc822-forms";
}

/// The number before `kind`, changed by `by`.
fn counted(response: &str, kind: &str, by: i64) -> String {
    let number =
        response.strip_prefix("* ").and_then(|r| r.strip_suffix(kind)).and_then(|n| n.parse::<i64>().ok());
    number.map_or_else(|| response.to_owned(), |number| format!("* {}{kind}", (number + by).max(0)))
}

/// The response without its code, if that begins so.
fn without_code(response: &str, code: &str) -> String {
    match (response.find(code), response.find("] ")) {
        (Some(from), Some(end)) => format!("{}{}", &response[..from], &response[end + 2..]),
        _ => response.to_owned(),
    }
}
