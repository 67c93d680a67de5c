//! Cores on a network of chance, thousands of seeds in seconds.

mod campaign;
mod faults;
mod files;
mod member;
mod rules;
mod set;
mod world;
