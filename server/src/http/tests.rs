//! The engine's contract, over the memory store.

mod accounts;
mod doors;
mod messages;
mod pages;
mod submit;
mod updates;
mod world;

pub(crate) use world::{as_ann, basic, config};
