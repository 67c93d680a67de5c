//! A simulated Redis with Sentinel, over the engines' `Net`.
