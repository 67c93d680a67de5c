//! Each promise with a history that only looks broken, and some that are.

use super::build::*;
use crate::check::{Facts, marks, story};
use crate::history::*;
use std::collections::BTreeMap;
use std::time::Duration;

#[test]
fn a_mail_of_unknown_outcome_may_be_there_or_not_and_its_next_attempt_too() {
    for there in [vec![], vec![shown(1)], vec![Shown { attempt: Some(mail(2)), ..shown(1) }], all(&[1, 2])] {
        let mut b = Build::default();
        b.unknown(1, submit(1));
        let op = b.begin(1, submit(2));
        b.end(1, op, Outcome::Unknown("reset".into()));
        b.list(2, "INBOX", there);
        b.fine();
    }
}

#[test]
fn an_acknowledged_mail_that_an_unknown_expunge_may_have_taken_is_not_lost() {
    let mut b = Build::default();
    b.append(&[1, 2]);
    b.unknown(2, expunge(&[2]));
    b.list(3, "INBOX", all(&[1]));
    b.fine();
}

#[test]
fn an_acknowledged_mail_is_missed() {
    let mut b = Build::default();
    b.append(&[1, 2]);
    b.list(3, "INBOX", all(&[1]));
    b.broken("lost");
    let mut b = Build::default();
    b.done(1, submit(1), Reply::Done);
    b.list(3, "INBOX", vec![]);
    b.broken("lost");
    b.broken("read your writes");
}

#[test]
fn a_listing_asked_for_before_the_acknowledgement_may_lack_the_mail() {
    let mut b = Build::default();
    b.list(2, "INBOX", vec![]);
    let since = b.now();
    b.append(&[1]);
    b.answer(2, "INBOX", since, vec![]);
    b.list(2, "INBOX", all(&[1]));
    b.fine();
}

#[test]
fn a_second_copy_needs_a_reason() {
    let twice = || vec![shown(1), Shown { attempt: Some(mail(1)), ..shown(2) }];
    let mut b = Build::default();
    b.done(1, submit(1), Reply::Done);
    b.list(2, "INBOX", twice());
    b.broken("doubled");
    // A copy within the mailbox explains it, even one whose reply was lost.
    let mut b = Build::default();
    b.done(1, submit(1), Reply::Done);
    b.list(2, "INBOX", all(&[1]));
    let (login, from, to) = (ME.to_owned(), "INBOX".to_owned(), "INBOX".to_owned());
    b.unknown(1, Call::Copy { login, from, validity: 1, uids: vec![1], to });
    b.list(2, "INBOX", twice());
    b.fine();
}

#[test]
fn what_was_refused_is_not_there() {
    let mut b = Build::default();
    let op = b.begin(1, append(1));
    b.end(1, op, Outcome::Refused("NO [UNAVAILABLE]".into()));
    b.list(2, "INBOX", all(&[1]));
    b.broken("doubled");
}

#[test]
fn modseqs_seen_late_are_no_step_back() {
    let mut b = Build::default();
    b.append(&[1]);
    let since = b.now();
    b.done(1, store(1, add("$A"), None), stored(1, 3));
    b.status(2, 3, 1);
    b.answer(2, "INBOX", since, vec![flagged(1, 2, &[])]);
    b.fine();
    b.list(3, "INBOX", vec![flagged(1, 2, &[])]);
    b.broken("modseq");
}

#[test]
fn highest_modseq_does_not_go_back() {
    let mut b = Build::default();
    b.append(&[1]);
    b.status(2, 5, 1);
    b.status(2, 5, 1);
    b.fine();
    b.status(2, 4, 1);
    b.broken("modseq");
}

#[test]
fn changed_is_complete() {
    let mut b = Build::default();
    b.append(&[1, 2]);
    b.list(2, "INBOX", vec![flagged(1, 2, &[]), flagged(2, 3, &[])]);
    b.done(1, store(1, add("$A"), None), stored(1, 4));
    b.changed(2, (3, 4), vec![flagged(1, 4, &["$A"])], &[]);
    b.list(3, "INBOX", vec![flagged(1, 4, &["$A"]), flagged(2, 3, &[])]);
    b.fine();
    b.changed(2, (3, 4), vec![], &[]);
    b.broken("modseq");
}

#[test]
fn what_came_and_went_may_be_left_out_of_changed() {
    let mut b = Build::default();
    b.append(&[1]);
    b.status(2, 2, 1);
    b.append(&[2]);
    b.list(3, "INBOX", vec![flagged(1, 2, &[]), flagged(2, 3, &[])]);
    b.done(1, expunge(&[2]), Reply::Expunged { uids: vec![2] });
    b.changed(2, (2, 4), vec![], &[]);
    b.list(3, "INBOX", vec![flagged(1, 2, &[])]);
    b.fine();
    // One that had been there before may not.
    let mut b = Build::default();
    b.append(&[1, 2]);
    b.status(3, 3, 2);
    b.list(3, "INBOX", vec![flagged(1, 2, &[]), flagged(2, 3, &[])]);
    b.done(1, expunge(&[2]), Reply::Expunged { uids: vec![2] });
    b.changed(2, (3, 4), vec![], &[]);
    b.broken("modseq");
}

#[test]
fn a_new_mailbox_is_listed_and_a_deleted_one_is_not() {
    let list = |b: &mut Build, names: &[&str]| {
        let since = b.now();
        b.event(3, What::Asked);
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        b.saw(3, Sight::Mailboxes { login: ME.into(), since, names });
    };
    let work = || (ME.to_owned(), "Work".to_owned());
    let mut b = Build::default();
    let (login, mailbox) = work();
    b.done(1, Call::Create { login, mailbox }, Reply::Done);
    list(&mut b, &["INBOX", "Work"]);
    b.fine();
    let (login, mailbox) = work();
    b.unknown(1, Call::Delete { login, mailbox });
    list(&mut b, &["INBOX"]);
    b.fine();
    let mut b = Build::default();
    let (login, mailbox) = work();
    b.done(1, Call::Create { login, mailbox }, Reply::Done);
    list(&mut b, &["INBOX"]);
    b.broken("read your writes");
    let mut b = Build::default();
    let (login, mailbox) = work();
    b.done(1, Call::Delete { login, mailbox }, Reply::Done);
    list(&mut b, &["INBOX", "Work"]);
    b.broken("read your writes");
}

#[test]
fn concurrent_changes_of_a_flag_may_end_either_way() {
    for flags in [&[][..], &["$A"]] {
        let mut b = Build::default();
        b.append(&[1]);
        let set = b.begin(1, store(1, add("$A"), None));
        let clear = b.begin(2, store(1, remove("$A"), None));
        b.ack(2, clear, Reply::Done);
        b.ack(1, set, Reply::Done);
        b.list(3, "INBOX", vec![flagged(1, 9, flags)]);
        b.fine();
    }
}

#[test]
fn an_unknown_change_may_take_effect_late() {
    let mut b = Build::default();
    b.facts.quiet_from = Some(Duration::from_secs(1));
    b.append(&[1]);
    b.unknown(1, store(1, add("$A"), None));
    b.list(3, "INBOX", vec![flagged(1, 2, &[])]);
    b.list(3, "INBOX", vec![flagged(1, 3, &["$A"])]);
    b.fine();
    // But nobody asked to take it away again.
    b.list(3, "INBOX", vec![flagged(1, 4, &[])]);
    b.broken("flags");
}

#[test]
fn an_acknowledged_flag_is_missed() {
    let mut b = Build::default();
    b.append(&[1]);
    b.done(1, store(1, add("$A"), None), Reply::Done);
    b.list(3, "INBOX", vec![flagged(1, 3, &["$A"])]);
    b.fine();
    b.list(3, "INBOX", vec![flagged(1, 4, &[])]);
    b.broken("flags");
}

fn modified(uid: Uid) -> Reply {
    Reply::Stored { modseqs: Default::default(), modified: vec![uid] }
}

#[test]
fn a_condition_is_decided_by_the_modseq() {
    let mut b = Build::default();
    b.append(&[1]);
    b.list(3, "INBOX", vec![flagged(1, 5, &[])]);
    let concurrent = b.begin(2, store(1, add("$B"), None));
    b.done(1, store(1, add("$A"), Some(5)), modified(1));
    b.ack(2, concurrent, stored(1, 6));
    b.fine();
    b.done(1, store(1, add("$A"), Some(5)), stored(1, 7));
    b.broken("flags");
    let mut b = Build::default();
    b.append(&[1]);
    b.list(3, "INBOX", vec![flagged(1, 5, &[])]);
    b.done(1, store(1, add("$A"), Some(5)), modified(1));
    b.broken("flags");
}

#[test]
fn of_conditional_changes_at_once_one_wins() {
    for (second, is_fine) in [(modified(1), true), (stored(1, 7), false)] {
        let mut b = Build::default();
        b.append(&[1]);
        b.list(3, "INBOX", vec![flagged(1, 5, &[])]);
        let slow = b.begin(2, store(1, add("$B"), Some(5)));
        b.done(1, store(1, add("$A"), Some(5)), stored(1, 6));
        b.ack(2, slow, second);
        if is_fine { b.fine() } else { b.broken("flags") }
    }
}

#[test]
fn expunged_stays_expunged() {
    let mut b = Build::default();
    b.append(&[1, 2]);
    let since = b.now();
    b.done(1, expunge(&[1]), Reply::Expunged { uids: vec![1] });
    b.answer(2, "INBOX", since, all(&[1, 2]));
    b.list(2, "INBOX", all(&[2]));
    b.fine();
    b.list(2, "INBOX", all(&[1, 2]));
    b.broken("expunged");
}

#[test]
fn nothing_goes_unasked() {
    let mut b = Build::default();
    b.done(1, submit(1), Reply::Done);
    b.list(2, "INBOX", all(&[1]));
    b.list(2, "INBOX", vec![]);
    b.broken("expunged");
    // UID EXPUNGE took nothing: the message had no \Deleted, so its absence has a reason only until then.
    let mut b = Build::default();
    b.append(&[1]);
    b.done(1, expunge(&[1]), Reply::Expunged { uids: vec![] });
    b.list(2, "INBOX", all(&[1]));
    b.fine();
}

fn keeping(retention: Duration) -> Facts {
    let terms = Terms { retention: Some(retention), ends: None };
    Facts { terms: BTreeMap::from([(ME.to_owned(), terms)]), ..Facts::default() }
}

#[test]
fn what_has_expired_is_shown_to_nobody() {
    let listed = |sweeping: u64, healed: u64| {
        let mut b = Build::default();
        b.append(&[1]);
        b.facts = keeping(Duration::from_millis(2));
        b.facts.sweeping = Duration::from_millis(sweeping);
        b.facts.healed = Duration::from_millis(healed);
        // Known at 1 ms, to be gone at 3 ms, asked for at 4 ms.
        b.append(&[2]);
        b.list(2, "INBOX", all(&[1, 2]));
        b
    };
    listed(0, 0).broken("expired");
    listed(1, 0).fine();
    listed(0, 4).fine();
    let mut b = listed(0, 0);
    b.facts.skew = Duration::from_millis(1);
    b.fine();
}

#[test]
fn an_account_that_has_ended_is_not_served() {
    let mut b = Build::default();
    b.append(&[1]);
    b.list(2, "INBOX", all(&[1]));
    let ended = |first, last| {
        let ends = Some((Duration::from_millis(first), Duration::from_millis(last)));
        let terms = Terms { retention: None, ends };
        Facts { terms: BTreeMap::from([(ME.to_owned(), terms)]), ..Facts::default() }
    };
    b.facts = ended(9, 9);
    b.fine();
    b.facts = ended(1, 1);
    b.broken("expired");
    b.list(2, "INBOX", vec![]);
    b.facts = ended(4, 8);
    b.fine();
    b.facts = ended(8, 8);
    b.broken("expunged");
}

#[test]
fn old_messages_may_expire_when_the_run_is_long_enough() {
    let mut b = Build::default();
    b.append(&[1]);
    b.facts = keeping(Duration::from_millis(1));
    b.list(2, "INBOX", vec![]);
    b.fine();
    b.facts = keeping(Duration::from_secs(1));
    b.broken("lost");
}

#[test]
fn damaged_bytes_are_found_wherever_they_are_shown() {
    let mut b = Build::default();
    b.append(&[1]);
    b.list(2, "INBOX", vec![Shown { intact: Some(true), ..shown(1) }]);
    b.fine();
    b.list(2, "INBOX", vec![Shown { intact: Some(false), ..shown(1) }]);
    b.broken("bytes");
}

#[test]
fn nodes_and_protocols_agree_in_the_end() {
    let maildrop = |b: &mut Build, uids: &[Uid]| {
        b.event(7, What::Connected { node: "node2".into() });
        let since = b.now();
        let messages = uids.iter().map(|uid| (1, *uid)).collect();
        b.saw(7, Sight::Maildrop { login: ME.into(), since, messages });
    };
    let web = |b: &mut Build, uids: &[Uid]| {
        let since = b.now();
        b.event(8, What::Asked);
        let page = Page { uids: uids.to_vec(), more: true, below: None };
        b.saw(8, Sight::Web { login: ME.into(), since, mailbox: "INBOX".into(), page });
    };
    let mut b = Build::default();
    b.append(&[1, 2, 3]);
    b.list(2, "INBOX", all(&[1, 2, 3]));
    maildrop(&mut b, &[1, 2, 3]);
    // A page of the newest.
    web(&mut b, &[3, 2]);
    b.fine();
    maildrop(&mut b, &[1, 3]);
    b.broken("agree");
    let mut b = Build::default();
    b.append(&[1, 2, 3]);
    b.list(2, "INBOX", all(&[1, 2, 3]));
    web(&mut b, &[3, 1]);
    b.broken("agree");
}

#[test]
fn facts_become_findings() {
    let mut b = Build::default();
    b.fine();
    let line = |text: &str| vec![text.to_owned()];
    b.facts.audit = line("mailbox 1: 3 messages counted as 4");
    b.facts.inside = line("term 3 had primaries m1 and m2");
    b.facts.liveness = line("operation 9 has not ended");
    let promises: Vec<&str> = b.check().iter().map(|f| f.promise).collect();
    assert_eq!(promises, ["audit", "inside", "liveness"]);
}

#[test]
fn a_story_tells_what_was_around() {
    let mut b = Build::default();
    b.append(&[1, 2]);
    b.list(3, "INBOX", all(&[1]));
    let finding = b.check().remove(0);
    let text = story::story(b.events(), &finding);
    assert!(text.contains("lost: operation 2"), "{text}");
    assert!(text.lines().any(|l| l.starts_with('>') && l.contains("listed INBOX")), "{text}");
}

#[test]
fn marks_count_what_there_is_and_show_what_there_is_not() {
    let mut b = Build::default();
    b.append(&[1]);
    b.unknown(1, submit(2));
    b.list(3, "INBOX", all(&[1]));
    let marks = marks::marks(b.events(), &b.facts);
    let of = |name: &str| marks.get(name).copied();
    let counts =
        [of("append acknowledged"), of("submit unknown"), of("move acknowledged"), of("final listing")];
    assert_eq!(counts, [Some(1), Some(1), Some(0), Some(1)]);
}

#[test]
fn what_a_protocol_forbids_is_a_finding() {
    let mut b = Build::default();
    b.event(1, What::Asked);
    b.fine();
    b.event(1, What::Violated { rule: "is told of fewer messages without an EXPUNGE".into() });
    b.broken("protocol");
}
