//! The three ways of storage designs to go wrong that the checkers have to know: the order window, the lost
//! notification and the half-done MOVE; and UIDs in general.

use super::build::*;
use crate::history::*;
use std::time::Duration;

#[test]
fn a_higher_uid_seen_first_in_overlapping_listings_is_fine() {
    let mut b = Build::default();
    b.unknown(1, append(1));
    let since = b.now();
    b.append(&[2]);
    b.list(3, "INBOX", all(&[1, 2]));
    // Asked for before, and answered after.
    b.answer(2, "INBOX", since, all(&[1]));
    b.fine();
}

#[test]
fn order_window_a_uid_appears_below_one_that_a_listing_had() {
    let mut b = Build::default();
    let ten = b.begin(1, append(10));
    let eleven = b.begin(2, append(11));
    b.ack(2, eleven, Reply::Appended { validity: 1, uids: vec![11] });
    b.list(3, "INBOX", all(&[11]));
    b.ack(1, ten, Reply::Appended { validity: 1, uids: vec![10] });
    b.list(3, "INBOX", all(&[10, 11]));
    b.broken("uid");
}

#[test]
fn order_window_a_uid_below_the_uidnext_of_an_empty_mailbox() {
    let mut b = Build::default();
    let op = b.begin(1, append(4));
    b.status(6, 2, 0);
    b.ack(1, op, Reply::Appended { validity: 1, uids: vec![4] });
    b.list(3, "INBOX", all(&[4]));
    b.broken("uid");
}

#[test]
fn order_window_a_session_is_told_of_a_uid_it_has_passed() {
    for (known, late) in [(vec![5], 4), (vec![], 4)] {
        let mut b = Build::default();
        b.begin(1, append(late));
        b.begin(1, append(5));
        b.select(3, &[3, 5], 7);
        b.event(3, What::Idling);
        b.notice(3, &known, &[]);
        b.notice(3, &[late], &[]);
        b.broken("uid");
    }
}

#[test]
fn a_uid_names_one_message() {
    let mut b = Build::default();
    b.append(&[1]);
    b.begin(1, append(2));
    b.list(3, "INBOX", vec![Shown { attempt: None, ..shown(1) }]);
    b.fine();
    b.list(3, "INBOX", vec![Shown { attempt: Some(mail(2)), ..shown(1) }]);
    b.broken("uid");
}

#[test]
fn uidnext_is_above_all_that_was_told() {
    let mut b = Build::default();
    b.append(&[1, 2]);
    b.status(3, 2, 2);
    b.fine();
    b.status(2, 2, 2);
    b.broken("uid");
}

#[test]
fn a_mailbox_made_anew_has_a_higher_uidvalidity() {
    let work = |b: &mut Build, validity: UidValidity| {
        b.event(4, What::Asked);
        let (login, mailbox) = (ME.into(), "Work".into());
        b.saw(4, Sight::Status { login, mailbox, validity, uid_next: 1, highest_modseq: 1, exists: 0 });
    };
    let anew = |b: &mut Build| {
        b.done(1, Call::Delete { login: ME.into(), mailbox: "Work".into() }, Reply::Done);
        b.done(1, Call::Create { login: ME.into(), mailbox: "Work".into() }, Reply::Done);
    };
    let mut b = Build::default();
    work(&mut b, 2);
    anew(&mut b);
    work(&mut b, 3);
    b.fine();
    anew(&mut b);
    work(&mut b, 3);
    b.broken("uid");
    // Nor does it change with no reason.
    let mut b = Build::default();
    work(&mut b, 2);
    work(&mut b, 3);
    b.broken("uid");
}

/// A session that listens from the first mail on, and a second mail.
fn listens(told: &[&[Uid]], healing: u64) -> Build {
    let mut b = Build::default();
    b.facts.healing = Duration::from_millis(healing);
    b.append(&[1]);
    b.select(3, &[1], 2);
    b.list(3, "INBOX", all(&[1]));
    b.event(3, What::Idling);
    b.append(&[2]);
    for uids in told {
        b.notice(3, uids, &[]);
    }
    b.list(4, "INBOX", all(&[1, 2]));
    b.list(4, "INBOX", all(&[1, 2]));
    b
}

#[test]
fn a_late_notification_is_fine_and_a_lost_one_is_not() {
    listens(&[&[2]], 1).fine();
    listens(&[], 1).broken("notice");
    // There was no time to hear of it.
    listens(&[], 1_000).fine();
}

#[test]
fn whoever_listens_is_told_of_what_expires() {
    let listens = |told: bool, sweeping: u64| {
        let mut b = Build::default();
        let terms = Terms { retention: Some(Duration::from_millis(5)), ends: None };
        b.facts.terms.insert(ME.into(), terms);
        b.facts.healing = Duration::from_millis(1);
        b.facts.sweeping = Duration::from_millis(sweeping);
        b.append(&[1]);
        b.select(3, &[1], 2);
        b.list(3, "INBOX", all(&[1]));
        b.event(3, What::Idling);
        if told {
            b.notice(3, &[], &[1]);
        }
        b.list(4, "INBOX", vec![]);
        b.list(4, "INBOX", vec![]);
        b
    };
    listens(true, 0).fine();
    listens(false, 0).broken("notice");
    // It may have gone just now.
    listens(false, 1_000).fine();
}

#[test]
fn noop_tells_all_there_is() {
    let poll = |told: &[Uid]| {
        let mut b = listens(&[], 1_000);
        b.event(3, What::Asked);
        b.notice(3, told, &[]);
        b.event(3, What::Polled);
        b
    };
    poll(&[2]).fine();
    poll(&[]).broken("notice");
}

#[test]
fn a_notice_comes_once() {
    listens(&[&[2], &[2]], 1).broken("notice");
    let gone = |times: usize| {
        let mut b = Build::default();
        b.append(&[1, 2]);
        b.select(3, &[1, 2], 2);
        b.list(3, "INBOX", all(&[1, 2]));
        b.done(1, expunge(&[1]), Reply::Done);
        for _ in 0..times {
            b.notice(3, &[], &[1]);
        }
        b
    };
    gone(1).fine();
    gone(2).broken("notice");
    let mut b = gone(1);
    b.notice(3, &[], &[77]);
    b.broken("notice");
}

/// Two mails, moved with an outcome nobody heard of, and then these listings of both mailboxes.
fn moved(inbox: &[Uid], work: &[(Uid, u32)]) -> Build {
    let mut b = Build::default();
    b.append(&[1, 2]);
    b.list(2, "INBOX", all(&[1, 2]));
    b.unknown(1, move_to_work(&[1, 2]));
    let copies = || work.iter().map(|(uid, n)| Shown { attempt: Some(mail(*n)), ..shown(*uid) }).collect();
    for _ in 0..2 {
        b.list(2, "INBOX", all(inbox));
        b.list(2, "Work", copies());
    }
    b
}

#[test]
fn a_move_of_unknown_outcome_is_whole_or_not_at_all() {
    moved(&[1, 2], &[]).fine();
    moved(&[], &[(1, 1), (2, 2)]).fine();
}

#[test]
fn half_done_moves_are_found() {
    // In both, in neither, and a part of the set.
    moved(&[1, 2], &[(1, 1), (2, 2)]).broken("moved");
    moved(&[], &[]).broken("moved");
    moved(&[2], &[(1, 1)]).broken("moved");
}

#[test]
fn a_move_seen_from_both_sides_at_once_is_fine() {
    let mut b = Build::default();
    b.append(&[1]);
    b.list(2, "INBOX", all(&[1]));
    let op = b.begin(1, move_to_work(&[1]));
    let since = b.now();
    b.list(3, "Work", vec![]);
    b.answer(2, "INBOX", since, vec![]);
    b.list(3, "Work", all(&[1]));
    b.answer(4, "INBOX", since, all(&[1]));
    b.ack(1, op, Reply::Copied { validity: 2, from: vec![1], to: vec![1] });
    b.list(2, "INBOX", vec![]);
    b.list(3, "Work", all(&[1]));
    b.fine();
}

#[test]
fn a_part_of_a_copy_is_found() {
    let copy = |there: &[Uid]| {
        let mut b = Build::default();
        b.append(&[1, 2]);
        b.list(2, "INBOX", all(&[1, 2]));
        b.unknown(1, copy_to_work(&[1, 2]));
        b.list(3, "Work", all(there));
        b
    };
    copy(&[]).fine();
    copy(&[1, 2]).fine();
    copy(&[2]).broken("moved");
}

#[test]
fn a_copy_is_what_its_client_has_taken_over() {
    let resync = |takes_over: bool| {
        let mut b = Build::default();
        b.append(&[1]);
        b.select(3, &[1], 2);
        b.list(3, "INBOX", all(&[1]));
        b.done(1, expunge(&[1]), Reply::Done);
        let (login, mailbox) = (ME.into(), "INBOX".into());
        b.event(3, What::Asked);
        b.saw(3, Sight::Selected { login, mailbox, validity: 1, uid_next: 2, highest_modseq: 3, exists: 0 });
        if takes_over {
            b.changed(3, (2, 3), vec![], &[1]);
        }
        // In this session the client hears of one that is gone when it comes again.
        b.append(&[2]);
        b.notice(3, &[2], &[]);
        b.done(1, expunge(&[2]), Reply::Done);
        b.append(&[3]);
        b.select(3, &[3], 6);
        b.changed(3, (2, 6), all(&[3]), &[1]);
        b
    };
    // Its copy is still that of the first session, which never had the one that came and went.
    resync(false).fine();
    resync(true).broken("modseq");
}
