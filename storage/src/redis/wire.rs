//! A hint as it travels between nodes: a version, the sender, the hint.

use crate::Hint;

/// Nodes of different versions share a channel while a cluster is upgraded node by node.
const VERSION: u8 = 1;

/// Names one run of one node, so that it knows its own hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(pub [u8; 8]);

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

pub(super) fn encode(from: NodeId, hint: &Hint) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&from.0);
    postcard::to_extend(hint, out).expect("a hint is plain data, and a vector takes any amount of it")
}

/// The hint, unless it is the node's own. One that can't be read says at least that something changed.
pub(super) fn decode(me: NodeId, frame: &[u8]) -> Option<Hint> {
    match frame {
        [VERSION, rest @ ..] if rest.len() > 8 => {
            let (from, hint) = rest.split_at(8);
            if from == me.0 {
                return None;
            }
            Some(postcard::from_bytes(hint).unwrap_or(Hint::Resync))
        }
        _ => Some(Hint::Resync),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountId, MailboxId, ModSeq};

    const ME: NodeId = NodeId([1; 8]);
    const OTHER: NodeId = NodeId([2; 8]);

    #[test]
    fn a_hint_arrives_at_others_only() {
        let mailbox = Hint::Mailbox {
            account: AccountId([3; 12]),
            mailbox: MailboxId([4; 12]),
            modseq: ModSeq::new(u64::from(u32::MAX)).unwrap(),
        };
        for hint in [mailbox, Hint::Account { account: AccountId([5; 12]) }, Hint::Resync] {
            let frame = encode(OTHER, &hint);
            assert!(frame.len() <= 48, "{} bytes", frame.len());
            assert_eq!(decode(ME, &frame), Some(hint));
            assert_eq!(decode(OTHER, &frame), None);
        }
    }

    #[test]
    fn what_cannot_be_read_means_look_at_everything() {
        let mut newer = encode(OTHER, &Hint::Resync);
        newer[0] = VERSION + 1;
        for frame in [&b""[..], b"\x01", b"\x01\x02\x02\x02\x02\x02\x02\x02\x02\xff", &newer] {
            assert_eq!(decode(ME, frame), Some(Hint::Resync), "{frame:?}");
        }
    }
}
