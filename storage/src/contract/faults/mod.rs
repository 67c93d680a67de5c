//! Negative controls: stores that break one promise each, and the claims that have to notice.
//!
//! Each is a good store behind a wrapper that spoils some of its answers. The faults are those that real stores have
//! had: an operation id that is forgotten, a UID that is taken apart from the insertion, a condition that is checked
//! before the change, a reference count that is off.

mod body;
mod store;

use super::{Backend, Instance};
use crate::{Clock, Entropy, MailStore, Timestamp};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// None: the wrapper itself changes nothing.
    None,
    /// Retries are new operations.
    ForgetsOperations,
    /// An id that is known is answered from the record, whatever was asked.
    AnswersAnyRepetition,
    /// A mail that was there before is not stored again.
    DropsIdenticalMail,
    /// A batch is a loop.
    AppendsOneByOne,
    /// Line ends become CRLF.
    NormalisesLineEnds,
    /// A UID is taken before the message is inserted, by different transactions.
    InsertsApartFromUid,
    /// UNCHANGEDSINCE is checked before the change.
    DecidesConditionBefore,
    /// Takes a modseq although nothing changed.
    CountsNoChange,
    /// Copies, and leaves the source where it is.
    LeavesMovedBehind,
    /// Copies, then expunges.
    MovesInTwoSteps,
    /// Appends, then expunges.
    ReplacesInTwoSteps,
    /// Content goes with the first message that had it.
    CollectsSharedContent,
    /// A body is looked up again for each piece.
    ReopensBodies,
    /// The journal forgets what vanished.
    LosesVanished,
    /// The journal forgets the last message that changed.
    LosesChanged,
    /// A journal that was trimmed answers with what it has left.
    AnswersInPart,
    /// The space used is what it was when the account was made.
    ReportsStaleQuota,
    /// The mailbox is found by its id alone.
    IgnoresOwner,
    /// UIDVALIDITY is a constant.
    RepeatsUidValidity,
    /// A deleted mailbox is unsubscribed.
    UnsubscribesDeleted,
    /// Every session is told of all messages.
    TellsRecentTwice,
    /// Nobody hears of anything.
    LosesHints,
    /// Everybody hears of everything.
    MisdirectsHints,
    /// Accounts expire an hour late.
    ExpiresLate,
    /// A sweep that says it is done when it is not.
    StopsSweeping,
    /// The counters do not agree.
    FailsAudit,
    /// Statistics count copies as arrivals.
    CountsCopies,
    /// Nothing survives a restart.
    LosesAllOnRestart,
    /// The last operations do not survive a restart.
    LosesOperationsOnRestart,
}

impl Fault {
    /// Claims that have to fail on a store with this fault.
    pub fn breaks(self) -> &'static [&'static str] {
        match self {
            Fault::None => &[],
            Fault::ForgetsOperations => &[
                "operations::create_account_happens_once",
                "operations::update_account_happens_once",
                "operations::delete_account_happens_once",
                "operations::add_address_happens_once",
                "operations::remove_address_happens_once",
                "operations::create_mailbox_happens_once",
                "operations::delete_mailbox_happens_once",
                "operations::rename_mailbox_happens_once",
                "operations::set_subscribed_happens_once",
                "operations::append_happens_once",
                "operations::set_flags_happens_once",
                "operations::copy_happens_once",
                "operations::move_happens_once",
                "operations::expunge_happens_once",
                "operations::an_outcome_without_effect_is_recorded_too",
                "operations::retries_that_overlap_happen_once",
            ],
            Fault::AnswersAnyRepetition => &["operations::an_id_is_good_for_one_operation_only"],
            Fault::DropsIdenticalMail => &["messages::identical_mails_are_two_mails"],
            Fault::AppendsOneByOne => &[
                "messages::an_append_takes_ascending_uids_and_one_modseq",
                "messages::too_many_keywords_are_refused",
                "quota::a_batch_over_quota_leaves_nothing",
            ],
            Fault::NormalisesLineEnds => {
                &["bodies::bytes_come_back_exactly", "bodies::bytes_of_a_batch_come_back_exactly"]
            }
            Fault::InsertsApartFromUid => &[
                "order::no_uid_appears_behind_one_that_was_seen",
                "order::no_change_appears_behind_a_modseq_that_was_seen",
            ],
            Fault::DecidesConditionBefore => &["flags::of_conditional_changes_at_once_one_wins"],
            Fault::CountsNoChange => &["flags::a_change_without_effect_takes_no_modseq"],
            Fault::LeavesMovedBehind => &[
                "transfer::a_move_takes_the_message_along_in_one_step",
                "transfer::a_move_within_one_mailbox_gives_new_uids",
                "transfer::of_movers_of_one_message_one_gets_it",
                "quota::copies_count_and_moves_do_not",
            ],
            Fault::MovesInTwoSteps => &[
                "transfer::a_moving_message_is_never_missing_and_never_twice",
                "transfer::a_move_within_one_mailbox_gives_new_uids",
                "quota::copies_count_and_moves_do_not",
            ],
            Fault::ReplacesInTwoSteps => &[
                "transfer::a_replacement_of_nothing_changes_nothing",
                "quota::a_replacement_needs_room_for_what_it_adds",
            ],
            Fault::CollectsSharedContent => &["transfer::a_copy_outlives_its_original"],
            Fault::ReopensBodies => &[
                "bodies::an_open_body_outlives_its_message",
                "bodies::several_bodies_are_opened_at_once_and_only_those_that_are_there",
            ],
            Fault::LosesVanished => &[
                "feed::a_client_that_follows_from_any_point_knows_the_mailbox",
                "feed::a_client_that_follows_step_by_step_knows_the_mailbox",
                "order::no_change_appears_behind_a_modseq_that_was_seen",
                "expiry::expiry_is_journaled_like_any_expunge",
            ],
            Fault::LosesChanged => &[
                "feed::a_client_that_follows_from_any_point_knows_the_mailbox",
                "feed::since_zero_is_since_the_beginning",
                "order::what_was_acknowledged_is_visible_to_everybody",
            ],
            Fault::AnswersInPart => &["feed::behind_the_journal_the_answer_is_to_resynchronise"],
            Fault::ReportsStaleQuota => {
                &["quota::quota_is_exact_to_the_byte", "messages::counters_follow_the_messages"]
            }
            Fault::IgnoresOwner => &[
                "isolation::a_mailbox_of_another_account_is_not_found",
                "isolation::nothing_is_copied_or_moved_to_another_account",
            ],
            Fault::RepeatsUidValidity => &[
                "mailboxes::uidvalidity_never_repeats_for_a_name",
                "mailboxes::uidvalidity_does_not_repeat_where_a_renamed_mailbox_was",
                "mailboxes::uidvalidity_does_not_repeat_for_an_account_made_anew",
            ],
            Fault::UnsubscribesDeleted => {
                &["mailboxes::subscriptions_are_names_whether_there_is_a_mailbox_or_not"]
            }
            Fault::TellsRecentTwice => &[
                "mailboxes::each_recent_message_is_told_once",
                "mailboxes::sessions_that_claim_at_once_share_out_the_recent_messages",
            ],
            Fault::LosesHints => &["hints::every_change_of_messages_is_hinted_at"],
            Fault::MisdirectsHints => &["hints::hints_go_to_the_account_they_concern"],
            Fault::ExpiresLate => &[
                "expiry::an_expired_account_is_gone_swept_or_not",
                "expiry::the_address_of_an_expired_account_is_free",
            ],
            Fault::StopsSweeping => &["expiry::many_messages_go_in_bounded_rounds"],
            Fault::FailsAudit => {
                &["lifecycle::an_open_store_is_ready_and_sound", "quota::what_goes_makes_room_at_once"]
            }
            Fault::CountsCopies => &["directory::statistics_count_what_there_is_and_what_ever_came"],
            Fault::LosesAllOnRestart => &[
                "restart::everything_is_as_it_was",
                "restart::numbers_go_on_where_they_were",
                "restart::operations_are_still_known",
                "restart::what_was_due_is_still_due",
                "restart::what_was_written_at_once_is_there_after_any_number_of_restarts",
            ],
            Fault::LosesOperationsOnRestart => &["restart::operations_are_still_known"],
        }
    }
}

/// A store behind the wrapper, for whoever has other means than claims to notice.
pub fn with_fault(store: Arc<dyn MailStore>, fault: Fault, entropy: Arc<dyn Entropy>) -> Arc<dyn MailStore> {
    store::wrap(store, fault, entropy)
}

/// Stores of another backend with a fault. To a backend that keeps nothing it adds a restart that keeps everything, so
/// that the claims about restarts are put to the test as well.
pub struct Faulty<B> {
    pub backend: B,
    pub fault: Fault,
}

struct FaultyInstance {
    instance: Box<dyn Instance>,
    store: Arc<dyn MailStore>,
    fault: Fault,
    entropy: Arc<dyn Entropy>,
    /// For a store that loses everything: the next one.
    spare: Option<Box<dyn Instance>>,
}

/// A clock that is slow.
struct LateClock(Arc<dyn Clock>);

impl Clock for LateClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.now().millis() - Duration::from_secs(3600).as_millis() as i64)
    }
}

#[async_trait]
impl<B: Backend> Backend for Faulty<B> {
    async fn open(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Box<dyn Instance> {
        let clock = if self.fault == Fault::ExpiresLate { Arc::new(LateClock(clock)) } else { clock };
        let instance = self.backend.open(clock.clone(), entropy.clone()).await;
        let spare = match self.fault {
            Fault::LosesAllOnRestart => Some(self.backend.open(clock, entropy.clone()).await),
            _ => None,
        };
        let store = store::wrap(instance.store(), self.fault, entropy.clone());
        Box::new(FaultyInstance { instance, store, fault: self.fault, entropy, spare })
    }
}

#[async_trait]
impl Instance for FaultyInstance {
    fn store(&self) -> Arc<dyn MailStore> {
        self.store.clone()
    }

    async fn reopen(&mut self) -> Option<Arc<dyn MailStore>> {
        if let Some(spare) = self.spare.take() {
            self.instance = spare;
        }
        let fault = match self.fault {
            Fault::LosesOperationsOnRestart => Fault::ForgetsOperations,
            fault => fault,
        };
        self.store = store::wrap(self.instance.store(), fault, self.entropy.clone());
        Some(self.store.clone())
    }
}
