//! The official driver against three processes that are killed, as whoever runs the set by hand has them.

mod process;

use bson::{Document, doc};
use mongodb::{Client, Collection};
use process::{Process, addresses};

async fn ids(all: &Collection<Document>) -> Vec<i32> {
    let mut found = all.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
    let mut ids = vec![];
    while found.advance().await.unwrap() {
        ids.push(found.current().get_i32("_id").unwrap());
    }
    ids
}

#[tokio::test]
async fn what_is_acknowledged_outlives_the_primary_and_then_all_processes() {
    let (members, data) = (addresses().await, tempfile::tempdir().unwrap());
    let start = |me: usize| Process::start(&members, me, data.path());
    let mut processes = [0, 1, 2].map(|me| Some(start(me)));
    let uri = format!("mongodb://{}/?replicaSet=drill&heartbeatFrequencyMS=500", members.join(","));
    let client = Client::with_uri_str(uri).await.unwrap();
    let all = client.database("db").collection::<Document>("c");
    all.insert_one(doc! { "_id": 1 }).await.unwrap();
    let hello = client.database("admin").run_command(doc! { "hello": 1 }).await.unwrap();
    let primary = members.iter().position(|member| member == hello.get_str("primary").unwrap()).unwrap();
    processes[primary] = None;
    all.insert_one(doc! { "_id": 2 }).await.unwrap();
    assert_eq!(ids(&all).await, [1, 2]);
    processes.iter_mut().for_each(|process| *process = None);
    (0..3).for_each(|me| processes[me] = Some(start(me)));
    all.insert_one(doc! { "_id": 3 }).await.unwrap();
    assert_eq!(ids(&all).await, [1, 2, 3]);
}
