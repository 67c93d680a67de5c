//! What a client believes of its selected mailbox: which message has which number. A server that contradicts it breaks
//! the protocol.

use super::response::Data;
use crate::history::*;

/// The selected mailbox, as the server has told of it.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// By message number, less one; `None` while the UID has not been told.
    uids: Vec<Option<Uid>>,
}

/// Something the client did not ask for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct News {
    /// Numbers of new messages, the first and the last.
    pub new: Option<(u32, u32)>,
    pub changed: Vec<Shown>,
    pub gone: Vec<Uid>,
    /// Messages that went before their UID had been told.
    pub gone_unknown: u32,
    /// The selected mailbox itself is gone.
    pub closed: bool,
}

impl News {
    pub fn is_empty(&self) -> bool {
        *self == News::default()
    }
}

impl View {
    pub fn exists(&self) -> u32 {
        self.uids.len() as u32
    }

    /// Takes over the UIDs that a client kept from an earlier session and has brought up to date; it does not know of
    /// all that is new.
    pub fn assume(&mut self, uids: &[Uid], news: &News) -> Result<(), String> {
        let new = news.new.map_or(0, |(first, last)| (last + 1 - first) as usize);
        if uids.len() > self.uids.len() || uids.len() + new < self.uids.len() {
            return Err(format!(
                "after resynchronisation there are {} messages, and EXISTS told {}",
                uids.len(),
                self.uids.len()
            ));
        }
        // New messages come last (RFC 3501 §2.3.1.1).
        for (number, uid) in (1..).zip(uids) {
            self.learn(number, *uid)?;
        }
        Ok(())
    }

    /// UIDs that were told.
    pub fn uids(&self) -> Vec<Uid> {
        self.uids.iter().flatten().copied().collect()
    }

    pub fn all_known(&self) -> bool {
        self.uids.iter().all(Option::is_some)
    }

    /// Takes in EXISTS. An error is what the server must not do.
    pub fn exists_now(&mut self, count: u32, news: &mut News) -> Result<(), String> {
        let before = self.exists();
        if count < before {
            // RFC 3501 §7.3.1, §7.4.1: only EXPUNGE makes it smaller.
            return Err(format!("EXISTS went from {before} down to {count} without EXPUNGE"));
        }
        self.uids.resize(count as usize, None);
        if count > before {
            let first = news.new.map_or(before + 1, |(first, _)| first);
            news.new = Some((first, count));
        }
        Ok(())
    }

    pub fn expunge(&mut self, number: u32, news: &mut News) -> Result<(), String> {
        let Some(at) = number.checked_sub(1).filter(|_| number <= self.exists()) else {
            return Err(format!("EXPUNGE of number {number} where there are {}", self.exists()));
        };
        match self.uids.remove(at as usize) {
            Some(uid) => news.gone.push(uid),
            None => news.gone_unknown += 1,
        }
        news.new = news.new.and_then(|(first, last)| {
            let first = if number < first { first - 1 } else { first };
            (first < last).then_some((first, last - 1))
        });
        Ok(())
    }

    /// Takes in VANISHED (RFC 7162 §3.2.10). EARLIER is about messages that aren't counted; otherwise each UID is a message
    /// that is, though its UID may not have been told yet: one of those between its neighbours.
    pub fn vanished(&mut self, uids: &[Uid], earlier: bool, news: &mut News) -> Result<(), String> {
        for uid in uids {
            let known = self.uids.iter().position(|known| *known == Some(*uid));
            match known {
                Some(at) if earlier => {
                    return Err(format!("VANISHED (EARLIER) of UID {uid}, which is number {}", at + 1));
                }
                None if earlier => {}
                known => {
                    let at = known.or_else(|| self.unknown_between(*uid));
                    let at = at.ok_or_else(|| format!("VANISHED of UID {uid}, which is no message's"))?;
                    self.expunge(at as u32 + 1, news)?;
                }
            }
        }
        Ok(())
    }

    /// Where there is a message that may have this UID, which none is known to have: the first one, since what the client has
    /// not got round to asking for is the last.
    fn unknown_between(&self, uid: Uid) -> Option<usize> {
        let below = self.uids.iter().rposition(|known| known.is_some_and(|known| known < uid));
        let at = below.map_or(0, |below| below + 1);
        self.uids.get(at)?.is_none().then_some(at)
    }

    /// Takes in that number `number` has UID `uid`.
    pub fn learn(&mut self, number: u32, uid: Uid) -> Result<(), String> {
        let exists = self.exists();
        let Some(at) = number.checked_sub(1).map(|at| at as usize).filter(|at| *at < self.uids.len()) else {
            return Err(format!("FETCH of number {number} where there are {exists}"));
        };
        if let Some(known) = self.uids[at].filter(|known| *known != uid) {
            return Err(format!("number {number} has UID {known}, and now UID {uid}"));
        }
        // RFC 3501 §2.3.1.2: numbers ascend as UIDs do.
        let below = self.uids[..at].iter().flatten().next_back().is_some_and(|before| *before >= uid);
        let above = self.uids[at + 1..].iter().flatten().next().is_some_and(|after| *after <= uid);
        if below || above {
            return Err(format!("number {number} has UID {uid}, out of order"));
        }
        self.uids[at] = Some(uid);
        Ok(())
    }

    /// The UID of a number.
    pub fn uid(&self, number: u32) -> Option<Uid> {
        self.uids.get((number as usize).checked_sub(1)?).copied().flatten()
    }

    /// Takes in untagged data. What is not about the numbers of messages stays as it is.
    pub fn apply(&mut self, data: &Data, news: &mut News) -> Result<(), String> {
        match data {
            Data::Exists(count) => self.exists_now(*count, news),
            Data::Expunge(number) => self.expunge(*number, news),
            Data::Vanished { earlier, uids } => self.vanished(uids, *earlier, news),
            Data::Fetch(number, item) => match item.uid {
                Some(uid) => self.learn(*number, uid),
                None if *number == 0 || *number > self.exists() => {
                    Err(format!("FETCH of number {number} where there are {}", self.exists()))
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(uids: &[Uid]) -> View {
        View { uids: uids.iter().map(|uid| Some(*uid)).collect() }
    }

    #[test]
    fn numbers_follow_expunges_and_new_messages() {
        let (mut view, mut news) = (view(&[3, 5, 8]), News::default());
        view.exists_now(5, &mut news).unwrap();
        view.expunge(2, &mut news).unwrap();
        assert_eq!((news.new, &news.gone[..]), (Some((3, 4)), &[5][..]));
        view.learn(3, 9).unwrap();
        view.expunge(4, &mut news).unwrap();
        assert_eq!((news.new, news.gone_unknown), (Some((3, 3)), 1));
        view.vanished(&[1], true, &mut news).unwrap();
        view.vanished(&[9], false, &mut news).unwrap();
        assert_eq!((view.uids(), news.new, news.gone), (vec![3, 8], None, vec![5, 9]));
    }

    #[test]
    fn a_message_that_went_before_its_uid_was_told_hides_no_new_one() {
        let mut news = News::default();
        let mut view = View { uids: vec![Some(8), Some(11), None] };
        // UID 13 has come, while UID 12 was asked for in vain.
        view.exists_now(4, &mut news).unwrap();
        view.vanished(&[11, 12], false, &mut news).unwrap();
        assert_eq!((view.exists(), news.new, news.gone_unknown), (2, Some((2, 2)), 1));
    }

    #[test]
    fn contradictions_are_noticed() {
        let news = &mut News::default();
        assert!(view(&[3, 5]).exists_now(1, news).is_err());
        assert!(view(&[3, 5]).expunge(3, news).is_err());
        assert!(view(&[3, 5]).expunge(0, news).is_err());
        assert!(view(&[3, 5]).learn(3, 9).is_err());
        assert!(view(&[3, 5]).learn(2, 6).is_err());
        let mut unknown = View { uids: vec![Some(3), None, Some(5)] };
        assert!(unknown.learn(2, 5).is_err());
        assert!(unknown.learn(2, 2).is_err());
        assert!(unknown.learn(2, 4).is_ok());
        assert!(view(&[3, 5]).vanished(&[5], true, news).is_err());
        assert!(view(&[3]).vanished(&[5], true, news).is_ok());
        assert!(view(&[3, 7]).vanished(&[5], false, news).is_err());
        let mut unknown = View { uids: vec![Some(3), None, Some(7), None] };
        assert!(unknown.vanished(&[5, 9], false, news).is_ok());
        assert_eq!(unknown.uids, [Some(3), Some(7)]);
    }
}
