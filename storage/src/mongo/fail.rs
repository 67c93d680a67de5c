//! Why a step of a mutation or a read did not come about.

use super::db::DbError;
use crate::StoreError;

#[derive(Debug)]
pub enum Fail {
    /// The answer to the caller: nothing was changed.
    Refused(StoreError),
    /// The database did not do its part.
    Db(DbError),
    /// Content that was counted on has been collected meanwhile: it has to be written again.
    Raced,
}

pub type Step<T> = Result<T, Fail>;

impl From<StoreError> for Fail {
    fn from(error: StoreError) -> Self {
        Fail::Refused(error)
    }
}

impl From<DbError> for Fail {
    fn from(error: DbError) -> Self {
        Fail::Db(error)
    }
}
