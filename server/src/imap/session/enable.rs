//! ENABLE (RFC 5161), and what it makes of a session.

use super::{Outcome, Session};
use crate::imap::encode::{Code, Status, Untagged};
use crate::imap::types::Text;
use crate::imap::wire::Wire;

impl Session {
    /// RFC 5161 §3.1.
    pub(super) fn enable(&mut self, names: &[String], wire: &mut Wire) -> Outcome {
        self.authenticated()?;
        let has = |extension: &str| names.iter().any(|name| name == extension);
        let (condstore, qresync, rev2) = (has("CONDSTORE"), has("QRESYNC"), has("IMAP4REV2"));
        let uid_only = has("UIDONLY");
        let mut enabled = Vec::new();
        enabled.extend(condstore.then_some("CONDSTORE"));
        enabled.extend(qresync.then_some("QRESYNC"));
        enabled.extend(rev2.then_some("IMAP4rev2"));
        enabled.extend(uid_only.then_some("UIDONLY"));
        wire.untagged(&Untagged::Enabled(&enabled));
        self.qresync |= qresync;
        self.uid_only |= uid_only;
        if rev2 {
            self.speaks_rev2(wire);
        }
        if condstore || qresync {
            self.knows_modseqs(wire);
        }
        Ok(Status::ok("Enabled"))
    }

    /// RFC 9051 §6.3.1, Appendix E: names travel as UTF-8, nothing is `\Recent`, and SEARCH is answered by ESEARCH.
    fn speaks_rev2(&mut self, wire: &mut Wire) {
        self.rev2 = true;
        wire.decoder.set_text(Text::Utf8);
        if let Some(selected) = &mut self.selected {
            selected.view.forget_recent();
        }
    }

    /// RFC 7162 §3.1: from here on modseqs are told. A client that shows so late that it knows them is told where the mailbox
    /// stands.
    pub(super) fn knows_modseqs(&mut self, wire: &mut Wire) {
        if std::mem::replace(&mut self.condstore, true) {
            return;
        }
        if let Some(modseq) = self.selected.as_ref().and_then(|selected| selected.view.told_through()) {
            wire.status(None, &Status::ok("Highest").code(Code::HighestModSeq(modseq)));
        }
    }

    /// Whether a FETCH response names its message by UID although nobody has asked for it (RFC 7162 §3.2.4, RFC 9051 §7.5.2,
    /// RFC 5465 §5.1).
    pub(super) fn names_uids(&self) -> bool {
        self.condstore || self.rev2 || self.has_notify()
    }
}
