//! Configuration: one table of settings, each a flag, an environment variable and a key of one TOML file.
//!
//! [`Settings`] is what was said, [`Config`] is what follows from it. Knows no backend and opens nothing.

mod listen_on;
mod networks;
mod resolve;
mod settings;
mod units;

pub use listen_on::*;
pub use networks::*;
pub use resolve::*;
pub use settings::*;
pub use units::*;
