//! The servers that are compared.

use crate::servers::uri;
use bson::doc;
use gadwall::net::{Net, TokioNet};
use gadwall_sim_mongod::engine::Faulty;
use gadwall_sim_mongod::{Engine, Member, Standalone, serve_on};
use gadwall_storage::SystemClock;
use mongodb::Client;
use std::sync::Arc;

pub struct Server {
    pub uri: String,
    pub kind: Kind,
}

/// Which server it is, as waivers name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Simulated,
    /// SecantusDB in Rust, which `./test` starts.
    SecantusRs,
    /// SecantusDB in Python.
    SecantusPy,
    /// A mongod.
    Real,
}

/// The Python implementation of SecantusDB, which is more lenient than a mongod.
pub const SECANTUS_PY: &[Kind] = &[Kind::SecantusPy];

/// The Rust implementation, which follows MongoDB 8.2 closely.
pub const SECANTUS_RS: &[Kind] = &[Kind::SecantusRs];

/// Those that may speak for a later version than the simulated one does.
pub const NEWER: &[Kind] = &[Kind::SecantusRs, Kind::SecantusPy, Kind::Real];

impl Server {
    /// The simulated one, on a port of its own.
    pub async fn simulated(faulty: Faulty) -> Self {
        let listener = TokioNet.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Standalone::new("sim", address.to_string());
        let member = Member::new(Engine::new(60), Box::new(log), Arc::new(SystemClock), None);
        member.with(|engine, _| engine.be(faulty));
        tokio::spawn(serve_on(listener, member));
        Server::at(format!("mongodb://{address}/?replicaSet=sim")).await
    }

    /// The one it is compared with: see `storage/tests/mongodb`.
    pub async fn other() -> Self {
        Server::at(uri()).await
    }

    pub async fn at(uri: String) -> Self {
        let client = Client::with_uri_str(&uri).await.unwrap();
        let info = client.database("admin").run_command(doc! { "buildInfo": 1 }).await.unwrap();
        let kind = match (info.get_array("modules"), info.get_str("secantusVersion")) {
            (Ok(modules), _) if modules.contains(&"simulated".into()) => Kind::Simulated,
            (_, Ok(version)) if version.contains("beta") => Kind::SecantusRs,
            (_, Ok(_)) => Kind::SecantusPy,
            _ => Kind::Real,
        };
        Server { uri, kind }
    }
}

/// A name for a database that nothing else uses.
pub use crate::servers::database_name;
