//! Everything ends: what has expired is shown to nobody any more, and nothing goes before its time.
//!
//! Nodes date by clocks of their own: a message has its time from one, and is swept by another. So it goes earlier or
//! later than it should by no more than what lies between the two.

use super::Finding;
use super::log::{Key, Log, Place};
use crate::history::*;
use std::collections::BTreeSet;
use std::time::Duration;

impl<'a> Log<'a> {
    fn terms(&self, login: &str) -> Terms {
        self.facts.terms.get(login).copied().unwrap_or_default()
    }

    /// Whether something in this account may end by itself.
    pub fn fades(&self, login: &str) -> bool {
        self.terms(login) != Terms::default()
    }

    /// Whether the message may have expired by then. A copy goes with what it is a copy of.
    pub fn may_have_expired(&self, key: Key<'a>, upto: usize) -> bool {
        self.fades(key.place.login)
            && self.attempt_may_have_expired(key.place.login, self.index.attempt(key), upto)
    }

    /// Whether a message of this attempt may have. Without the attempt only the length of the run speaks against it.
    pub fn attempt_may_have_expired(&self, login: &str, attempt: Option<Attempt>, upto: usize) -> bool {
        let terms = self.terms(login);
        let born = attempt.and_then(|attempt| self.index.born.get(&attempt)).map(|&ix| self.events[ix].at);
        let at = self.events[upto.min(self.events.len() - 1)].at + self.facts.skew;
        terms.retention.is_some_and(|keep| at >= born.unwrap_or_default() + keep)
            || terms.ends.is_some_and(|(first, _)| at >= first)
    }

    /// When at the earliest that was asked for whose answer is not older than this event.
    fn asked(&self, from: usize) -> Duration {
        from.checked_sub(1).map_or(Duration::ZERO, |before| self.events[before].at)
    }

    /// When the message must have gone, if it has to.
    pub fn must_be_gone_by(&self, key: Key<'a>) -> Option<Duration> {
        let Terms { retention, ends } = self.terms(key.place.login);
        let skew = self.facts.skew;
        // An account is not shown from the moment on at which it ends.
        let with_account = ends.map(|(_, last)| last + skew);
        // What was shown or told had been there by then. A node that is ahead may have the lease.
        let first = self
            .index
            .known(key)
            .and_then(|known| known.shown.into_iter().chain(known.attempts.iter().map(|(_, ix)| *ix)).min());
        let swept = retention.zip(first).map(|(keep, first)| {
            (self.events[first].at + keep + skew).max(self.facts.healed) + skew + self.facts.sweeping
        });
        with_account.into_iter().chain(swept).min()
    }
}

pub fn check(log: &Log) -> Vec<Finding> {
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    for (ix, from, key) in looked_up(log) {
        let asked = log.asked(from);
        let Some(by) = log.must_be_gone_by(key).filter(|by| asked > *by) else { continue };
        if told.insert(key) {
            let text = format!(
                "{} is shown {key}, which had to be gone by {:.3} s, asking at {:.3} s",
                log.who(ix),
                by.as_secs_f64(),
                asked.as_secs_f64()
            );
            findings.push(Finding::new("expired", text, [from, ix]));
        }
    }
    findings.extend(accounts(log));
    findings
}

/// Messages that somebody was shown who had asked, with the moments of the answer and of the question.
fn looked_up<'a>(log: &Log<'a>) -> Vec<(usize, usize, Key<'a>)> {
    let shown = log.shown.iter().filter(|s| log.fades(s.key.place.login)).map(|s| (s.ix, s.from, s.key));
    let mut all: Vec<_> = shown.collect();
    for s in &log.seen {
        match s.sight {
            Sight::Maildrop { login, messages, .. } if log.fades(login) => {
                let key =
                    |&(validity, uid): &(UidValidity, Uid)| Key { place: Place { login, validity }, uid };
                all.extend(messages.iter().map(|message| (s.ix, s.from, key(message))));
            }
            Sight::Web { login, mailbox, page, .. } if log.fades(login) => {
                // Two mailboxes of one name after another: which of them it is of is not known.
                let places: Vec<Place> = log.index.places(login, mailbox).collect();
                if let [place] = places[..] {
                    all.extend(page.uids.iter().map(|&uid| (s.ix, s.from, Key { place, uid })));
                }
            }
            _ => {}
        }
    }
    all
}

/// Accounts that are served after their end, if only with an empty mailbox.
fn accounts(log: &Log) -> Vec<Finding> {
    let served = log.seen.iter().filter_map(|s| {
        let login = match s.sight {
            Sight::Selected { login, .. }
            | Sight::Listed { login, .. }
            | Sight::Status { login, .. }
            | Sight::Mailboxes { login, .. }
            | Sight::Maildrop { login, .. }
            | Sight::Web { login, .. } => login,
            _ => return None,
        };
        let (_, last) = log.terms(login).ends?;
        (log.asked(s.from) > last + log.facts.skew).then_some((s, login, last))
    });
    let text = |(s, login, last): (&super::log::Seen, &String, Duration)| {
        let text = format!(
            "{} is shown something of {login}, asking at {:.3} s; the account ended at {:.3} s",
            log.who(s.ix),
            log.asked(s.from).as_secs_f64(),
            last.as_secs_f64()
        );
        Finding::new("expired", text, [s.from, s.ix])
    };
    served.map(text).collect()
}
