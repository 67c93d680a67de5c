//! The memory backend: the executable specification.
