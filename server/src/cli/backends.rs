//! What `main.rs` hands in: the backends, none of which is known by name here.

use super::Failure;
use crate::config::Config;
use crate::{Backend, Env};
use futures_util::future::BoxFuture;
use gadwall_storage::operate::{Cluster, Finding};
use std::sync::Arc;

/// Opens the store that a configuration names, and what goes with it.
pub type OpenStore = for<'a> fn(&'a Config, &'a Env) -> BoxFuture<'a, Result<Backend, Failure>>;

/// Looks at what the backends of a configuration need outside of this process.
pub type Examine = for<'a> fn(&'a Config, &'a Env) -> BoxFuture<'a, Vec<Finding>>;

/// Reaches the database that several nodes share, for its operator; refused when the store is none of that kind.
pub type OpenCluster = for<'a> fn(&'a Config, &'a Env) -> BoxFuture<'a, Result<Arc<dyn Cluster>, Failure>>;

/// What can be done with backends.
#[derive(Clone, Copy)]
pub struct Backends {
    pub open: OpenStore,
    pub examine: Examine,
    pub cluster: OpenCluster,
}
