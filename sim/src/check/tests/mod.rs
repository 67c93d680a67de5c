//! Tests of the checkers: histories made by hand, and thousands made by a model that keeps every promise, each of
//! which is then spoilt in one way that has to be found.

mod build;
mod chance;
mod mail;
mod model;
mod promises;
mod random;
mod reader;
mod spoil;
mod windows;
