//! The list of claims, and what runs them.

use super::{Backend, World, claims};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::time::Duration;

/// One promise: a name and what checks it. It panics when the promise is broken.
#[derive(Clone, Copy)]
pub struct Claim {
    /// `group::claim`.
    pub name: &'static str,
    pub check: Check,
}

type Check = for<'a> fn(&'a mut World) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A claim that takes this long hangs.
const HANG: Duration = Duration::from_secs(120);

/// Checks one claim on a fresh store of `backend`, then audits the store. Panics when either fails.
///
/// `exceptions` are the claims, with reasons, that this backend is known not to keep: they have to fail, so that an
/// exception goes when it is no longer needed.
pub fn run(backend: &dyn Backend, claim: Claim, exceptions: &[(&str, &str)]) {
    let known = all_claims().iter().map(|c| c.name).collect::<Vec<_>>();
    for (name, _) in exceptions {
        assert!(known.contains(name), "there is no claim {name}, so there can't be an exception");
    }
    let verdict = check(backend, claim);
    match (exceptions.iter().find(|(name, _)| *name == claim.name), verdict) {
        (None, Ok(())) | (Some(_), Err(_)) => {}
        (None, Err(panic)) => resume_unwind(panic),
        (Some((_, why)), Ok(())) => panic!("{} holds: take out the exception ({why})", claim.name),
    }
}

/// Checks one claim and hands back the panic if it is violated.
pub fn check(backend: &dyn Backend, claim: Claim) -> std::thread::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a test can start two threads");
    catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut world = World::new(backend).await;
            tokio::time::timeout(HANG, (claim.check)(&mut world)).await.expect("the claim hangs");
            world.assert_sound().await;
        });
    }))
}

/// Every claim there is.
pub fn all_claims() -> &'static [Claim] {
    ALL
}

/// The list. `$then` is a macro of this crate that gets it.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_claims {
    ($then:ident) => {
        $crate::$then! {
            bodies {
                bytes_come_back_exactly
                bytes_of_a_batch_come_back_exactly
                large_messages_come_back_exactly
                a_message_that_was_spooled_comes_back_exactly
                a_read_gives_no_more_than_about_a_chunk
                any_range_can_be_read
                reads_end_where_the_body_ends
                an_open_body_outlives_its_message
                several_bodies_are_opened_at_once_and_only_those_that_are_there
                content_that_is_shared_stays_while_one_message_has_it
                bodies_are_read_while_others_are_written
            }
            directory {
                a_new_account_has_inbox_and_what_was_asked_for
                an_address_belongs_to_one_account
                an_address_is_found_however_it_is_written
                an_alias_finds_its_account_and_is_taken
                an_alias_can_be_taken_away_and_the_primary_address_not
                an_address_with_detail_is_looked_up_without
                an_update_changes_what_it_names_and_nothing_else
                a_deleted_account_is_gone_for_every_call
                a_deleted_account_leaves_no_space_taken_and_a_free_address
                accounts_are_paged_by_id
                a_secret_is_made_once
                statistics_count_what_there_is_and_what_ever_came
                daily_statistics_include_quiet_days
                of_accounts_that_want_one_address_at_once_one_gets_it
            }
            expiry {
                a_message_goes_when_its_time_has_come
                expiry_is_journaled_like_any_expunge
                messages_without_retention_stay
                retention_counts_from_when_a_message_came
                a_copy_goes_with_its_original
                an_expired_account_is_gone_swept_or_not
                the_address_of_an_expired_account_is_free
                an_account_can_be_given_more_time
                a_sweep_tells_when_the_next_is_due
                a_sweep_with_nothing_due_changes_nothing
                many_messages_go_in_bounded_rounds
                sweeps_at_once_expire_each_message_once
            }
            feed {
                a_delta_is_the_net_effect
                since_zero_is_since_the_beginning
                a_caller_that_is_up_to_date_gets_an_empty_delta
                every_change_takes_exactly_one_modseq
                a_client_that_follows_from_any_point_knows_the_mailbox
                a_client_that_follows_step_by_step_knows_the_mailbox
                of_a_deleted_mailbox_the_journal_says_so
                the_journal_is_kept_for_seven_days
                behind_the_journal_the_answer_is_to_resynchronise
            }
            flags {
                flags_are_added_removed_and_replaced
                only_messages_that_change_get_the_modseq
                a_change_without_effect_takes_no_modseq
                keywords_are_compared_without_case_and_kept_as_first_written
                uids_that_do_not_exist_are_passed_over
                unchanged_since_leaves_newer_messages_alone
                of_conditional_changes_at_once_one_wins
                flag_changes_at_once_all_have_their_effect
            }
            hints {
                every_change_of_messages_is_hinted_at
                changes_of_the_list_of_mailboxes_and_of_the_account_are_hinted_at
                what_a_hint_announces_can_be_read
                hints_go_to_the_account_they_concern
                a_lagging_receiver_is_told_to_resync
                a_dropped_receiver_is_in_nobodys_way
                expiry_is_hinted_at
            }
            isolation {
                a_mailbox_of_another_account_is_not_found
                nothing_is_copied_or_moved_to_another_account
                what_one_account_does_another_does_not_see
            }
            lifecycle {
                an_open_store_is_ready_and_sound
                a_closed_store_refuses_every_change_as_temporary
            }
            annotations {
                annotations_are_set_changed_and_taken_away
                each_mailbox_and_each_account_has_its_own
                annotations_go_with_their_mailbox
                too_many_annotations_are_refused_as_a_whole
                annotate_happens_once
            }
            mailboxes {
                mailboxes_are_listed_by_name
                create_makes_missing_parents_and_subscribes_to_none
                a_taken_name_is_refused
                names_differ_by_case_and_keep_their_unicode
                inbox_and_parents_can_not_be_deleted
                a_deleted_mailbox_is_gone_with_its_messages_and_its_bytes
                uidvalidity_never_repeats_for_a_name
                uidvalidity_does_not_repeat_where_a_renamed_mailbox_was
                uidvalidity_does_not_repeat_for_an_account_made_anew
                rename_moves_the_hierarchy_and_keeps_what_is_in_it
                rename_within_its_own_parent_works
                a_rename_that_makes_no_sense_is_refused
                a_rename_that_makes_a_name_too_long_is_refused
                too_many_mailboxes_are_refused
                subscriptions_are_names_whether_there_is_a_mailbox_or_not
                a_rename_leaves_the_subscriptions_alone
                of_creators_of_one_name_at_once_one_makes_it
                each_recent_message_is_told_once
                sessions_that_claim_at_once_share_out_the_recent_messages
            }
            messages {
                an_append_takes_ascending_uids_and_one_modseq
                an_append_of_nothing_changes_nothing
                identical_mails_are_two_mails
                what_is_said_of_a_message_comes_back
                counters_follow_the_messages
                messages_are_paged_in_either_order
                uids_come_with_the_mailbox_of_that_moment
                a_uid_is_not_used_again
                too_many_keywords_are_refused
                what_is_not_there_is_not_found
            }
            operations {
                create_account_happens_once
                update_account_happens_once
                delete_account_happens_once
                add_address_happens_once
                remove_address_happens_once
                create_mailbox_happens_once
                delete_mailbox_happens_once
                rename_mailbox_happens_once
                set_subscribed_happens_once
                append_happens_once
                set_flags_happens_once
                copy_happens_once
                move_happens_once
                replace_happens_once
                expunge_happens_once
                an_outcome_without_effect_is_recorded_too
                a_message_is_known_again_by_what_it_was_made_from
                an_id_is_good_for_one_operation_only
                an_id_is_good_for_one_set_of_arguments_only
                a_refusal_is_not_recorded
                retries_that_overlap_happen_once
                a_repetition_is_answered_though_all_it_was_about_is_gone
            }
            order {
                no_uid_appears_behind_one_that_was_seen
                no_change_appears_behind_a_modseq_that_was_seen
                a_mailbox_is_listed_as_of_one_moment
                writers_at_once_lose_nothing_and_leave_no_gap
                what_was_acknowledged_is_visible_to_everybody
                moves_in_both_directions_at_once_come_to_an_end_and_lose_nothing
                what_is_deleted_under_its_writers_is_gone_with_all_they_wrote
            }
            quota {
                quota_is_exact_to_the_byte
                a_batch_over_quota_leaves_nothing
                copies_count_and_moves_do_not
                a_replacement_needs_room_for_what_it_adds
                what_goes_makes_room_at_once
                a_quota_that_was_lowered_costs_no_mail
                appends_at_once_do_not_overshoot
            }
            restart {
                everything_is_as_it_was
                numbers_go_on_where_they_were
                operations_are_still_known
                what_was_due_is_still_due
                what_was_written_at_once_is_there_after_any_number_of_restarts
            }
            transfer {
                a_copy_keeps_flags_dates_and_email_id
                a_copy_takes_what_exists_in_order_in_one_step
                a_copy_or_move_of_nothing_changes_nothing
                a_mailbox_can_be_copied_into_itself
                a_copy_outlives_its_original
                a_move_takes_the_message_along_in_one_step
                a_move_within_one_mailbox_gives_new_uids
                a_moving_message_is_never_missing_and_never_twice
                of_movers_of_one_message_one_gets_it
                a_replacement_takes_a_message_for_another_in_one_step
                a_replacement_within_one_mailbox_has_the_next_uid
                a_replacement_of_nothing_changes_nothing
                expunge_takes_the_deleted_ones_or_all
                an_expunge_of_nothing_changes_nothing
                a_batch_is_all_or_nothing
                ten_thousand_messages_are_one_batch
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __contract_table {
    ($($group:ident { $($claim:ident)* })*) => {
        const ALL: &[Claim] = &[$($(Claim {
            name: concat!(stringify!($group), "::", stringify!($claim)),
            check: |world| Box::pin(claims::$group::$claim(world)),
        }),*),*];
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __contract_tests {
    ($($group:ident { $($claim:ident)* })*) => {
        $(mod $group {
            $(#[test]
            fn $claim() {
                let claim = $crate::contract::Claim {
                    name: concat!(stringify!($group), "::", stringify!($claim)),
                    check: |world| Box::pin($crate::contract::claims::$group::$claim(world)),
                };
                $crate::contract::run(&super::contract_backend(), claim, super::CONTRACT_EXCEPTIONS);
            })*
        })*
    };
}

/// Runs every claim as a test of its own, in one module a group.
///
/// ```ignore
/// gadwall_storage::contract_suite!(MyBackend::new());
/// gadwall_storage::contract_suite!(MyBackend::new(), except {
///     "hints::a_lagging_receiver_is_told_to_resync": "hints go through a server here",
/// });
/// ```
#[macro_export]
macro_rules! contract_suite {
    ($backend:expr) => {
        $crate::contract_suite!($backend, except {});
    };
    ($backend:expr, except { $($claim:literal: $why:literal),* $(,)? }) => {
        fn contract_backend() -> impl $crate::contract::Backend {
            $backend
        }
        const CONTRACT_EXCEPTIONS: &[(&str, &str)] = &[$(($claim, $why)),*];
        $crate::__contract_claims!(__contract_tests);
    };
}

__contract_claims!(__contract_table);
