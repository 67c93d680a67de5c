//! The scripted cases, by what they are about.

mod by_hand;
mod conflicts;
mod indexes;
mod modifies;
mod reads;
mod retries;
mod transactions;
mod updates;
mod writes;

use crate::case::Case;

pub fn all() -> Vec<Case> {
    [
        writes::cases(),
        updates::cases(),
        modifies::cases(),
        reads::cases(),
        indexes::cases(),
        transactions::cases(),
        conflicts::cases(),
        by_hand::cases(),
        retries::cases(),
    ]
    .concat()
}
