//! The API's contract, over the memory store.

mod accounts;
mod world;
