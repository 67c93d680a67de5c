//! The scripted cases, by what they are about.

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
        retries::cases(),
    ]
    .concat()
}
