//! Deliberate mistakes: negative controls of the suite that compares this server with others.

use bson::{Bson, Document};

/// All off by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faulty {
    /// Errors don't bear `TransientTransactionError`.
    pub no_transient_label: bool,
    /// Errors don't bear `RetryableWriteError`, from which drivers make `UnknownTransactionCommitResult`.
    pub no_retryable_label: bool,
    /// A reply doesn't say that its write concern was not met.
    pub no_write_concern_error: bool,
    /// The first code is told as the second.
    pub code_told_as: Option<(i32, i32)>,
    /// A document may be inserted under an `_id` that is taken.
    pub unique_not_enforced: bool,
    /// A retryable write that has been done is done again.
    pub retry_done_again: bool,
    /// A transaction sees what others have committed since it began.
    pub no_snapshot: bool,
    /// A transaction outlives an error.
    pub errors_end_nothing: bool,
    /// A transaction may write what another has committed since it began.
    pub no_conflict_with_the_past: bool,
}

impl Faulty {
    /// Takes from a reply, and changes in it, what is not to be as it should.
    pub(super) fn garble(self, reply: &mut Document, labels: &mut Vec<String>) {
        labels.retain(|label| match label.as_str() {
            "TransientTransactionError" => !self.no_transient_label,
            "RetryableWriteError" => !self.no_retryable_label,
            _ => true,
        });
        let Some((code, told)) = self.code_told_as else { return };
        if reply.get_i32("code").is_ok_and(|given| given == code) {
            reply.insert("code", told);
        }
        let errors = reply.get_array_mut("writeErrors").into_iter().flatten();
        for error in errors.filter_map(Bson::as_document_mut) {
            if error.get_i32("code").is_ok_and(|given| given == code) {
                error.insert("code", told);
            }
        }
    }
}
