//! Each lie planted in the simulated mongod turns the suite red.

use crate::case::Case;
use crate::cases;
use crate::server::{Server, database_name};
use crate::{findings, played};
use gadwall_sim_mongod::engine::Faulty;

/// A lie, its switch, and cases that have to find it.
type Lie = (&'static str, fn(&mut Faulty), &'static [&'static str]);

const LIES: [Lie; 11] = [
    (
        "no TransientTransactionError",
        |f| f.no_transient_label = true,
        &["the_first_of_two_writers_wins", "a_commit_may_be_repeated_and_an_abort_not"],
    ),
    (
        "a write conflict told as LockTimeout",
        |f| f.code_told_as = Some((112, 24)),
        &["the_first_of_two_writers_wins", "what_was_committed_since_is_a_conflict"],
    ),
    (
        "a duplicate key told as another",
        |f| f.code_told_as = Some((11000, 11001)),
        &["a_duplicate_key_is_told_with_its_pattern", "a_duplicate_key_ends_the_transaction"],
    ),
    (
        "an unknown transaction told as an unknown session",
        |f| f.code_told_as = Some((251, 206)),
        &["transactions_that_nobody_has_begun", "any_error_ends_the_transaction"],
    ),
    (
        "a committed transaction told as an unknown one",
        |f| f.code_told_as = Some((256, 251)),
        &["a_commit_may_be_repeated_and_an_abort_not"],
    ),
    (
        "a number that is too old told as a transaction that is unknown",
        |f| f.code_told_as = Some((225, 251)),
        &["an_older_number_is_too_old", "an_older_write_is_too_old"],
    ),
    (
        "an index that is not unique",
        |f| f.unique_not_enforced = true,
        &["a_duplicate_key_is_told_with_its_pattern", "a_lease_is_taken_or_not"],
    ),
    (
        "a retried write that happens again",
        |f| f.retry_done_again = true,
        &["an_update_that_is_repeated", "a_delete_that_is_repeated", "a_findandmodify_that_is_repeated"],
    ),
    ("a transaction that sees later commits", |f| f.no_snapshot = true, &["a_transaction_sees_one_moment"]),
    (
        "a transaction that overwrites later commits",
        |f| f.no_conflict_with_the_past = true,
        &["what_was_committed_since_is_a_conflict"],
    ),
    (
        "an error that does not end its transaction",
        |f| f.errors_end_nothing = true,
        &["any_error_ends_the_transaction", "a_duplicate_key_ends_the_transaction"],
    ),
];

/// A finding of one case is one of the whole suite: so only those are run that have to have one.
#[tokio::test]
async fn every_lie_is_found_by_the_scripted_cases() {
    let (other, all, name) = (Server::other().await, cases::all(), database_name());
    for (lie, plant, caught_by) in LIES {
        let cases: Vec<Case> = all.iter().filter(|case| caught_by.contains(&case.name)).cloned().collect();
        assert_eq!(cases.len(), caught_by.len(), "{lie}: {caught_by:?}");
        let theirs = played(&other, &name, &cases).await;
        let honest = played(&Server::simulated(Faulty::default()).await, &name, &cases).await;
        assert!(
            findings(&cases, &honest, &theirs, &other).is_empty(),
            "without a lie there is nothing to find"
        );
        let mut faulty = Faulty::default();
        plant(&mut faulty);
        let lies = played(&Server::simulated(faulty).await, &name, &cases).await;
        let found = findings(&cases, &lies, &theirs, &other);
        for case in caught_by {
            assert!(found.iter().any(|finding| finding.case == *case), "{lie}: {case} does not find it");
        }
    }
}
