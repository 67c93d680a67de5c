//! The engine's contract, over the memory store.

mod accounts;
mod messages;
mod pages;
mod submit;
mod updates;
mod world;
