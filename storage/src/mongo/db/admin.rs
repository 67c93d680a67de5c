//! Commands that operators need and mail does not.

use super::client::Db;
use super::error::DbError;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::{ReadPreference, SelectionCriteria};

impl Db {
    /// What the replica set says of its members, asked of any member that can be reached.
    pub async fn members(&self) -> Result<Document, DbError> {
        let nearest = SelectionCriteria::ReadPreference(ReadPreference::Nearest { options: None });
        self.within("asking for the members", async move |database| {
            let admin = database.client().database("admin");
            admin.run_command(doc! { "replSetGetStatus": 1 }).selection_criteria(nearest).await
        })
        .await
    }

    pub async fn collections(&self) -> Result<Vec<String>, DbError> {
        let command = doc! { "listCollections": 1, "nameOnly": true, "cursor": { "batchSize": 1000 } };
        self.run("listing collections", command).await.map(|reply| names(&reply))
    }

    /// The names of a collection's indexes; none when the collection is not there.
    pub async fn indexes(&self, collection: &str) -> Result<Vec<String>, DbError> {
        let command = doc! { "listIndexes": collection, "cursor": { "batchSize": 1000 } };
        match self.run("listing indexes", command).await {
            Err(e) if e.is_code("NamespaceNotFound", 26) => Ok(Vec::new()),
            reply => reply.map(|reply| names(&reply)),
        }
    }
}

fn names(reply: &Document) -> Vec<String> {
    let batch = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    let name = |entry: &Bson| Some(entry.as_document()?.get_str("name").ok()?.to_owned());
    batch.map(|batch| batch.iter().filter_map(name).collect()).unwrap_or_default()
}

impl DbError {
    /// Whether the server refused with this code.
    pub fn is_code(&self, name: &str, code: i32) -> bool {
        self.to_string().ends_with(&format!("({name}, {code})"))
    }
}
