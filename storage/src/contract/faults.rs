//! Negative controls (being written).
