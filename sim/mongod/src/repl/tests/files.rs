//! The journal on a disk that fails.

use crate::disk::{Disk, DiskFaults, PowerCut, RealDisk, SimDisk};
use crate::oplog::{Body, Entry, Op, OpTime};
use crate::repl::event::{Recovered, Vote, Write};
use crate::repl::history::Record;
use crate::repl::journal::{Journal, JournalError};
use bson::doc;
use gadwall_storage::SeededEntropy;
use std::io;
use std::sync::Arc;

fn record(index: u64) -> Record {
    let op =
        Op::Put { ns: "a.b".into(), document: doc! { "_id": index.cast_signed(), "text": "x".repeat(50) } };
    let body = Body::Write { ops: vec![op], session: None };
    Record::encode(&Entry { at: OpTime { term: 1, index }, wall_ms: 3, body })
}

fn append(from: u64, to: u64) -> Write {
    let committed = OpTime { term: 1, index: from - 1 };
    Write::Append { records: (from..=to).map(record).collect(), committed }
}

fn sim(seed: u64) -> SimDisk {
    SimDisk::new(Arc::new(SeededEntropy::new(seed)))
}

async fn open(disk: &(impl Disk + Clone + 'static)) -> Result<(Journal, Recovered), JournalError> {
    Journal::recover(Arc::new(disk.clone())).await
}

async fn last(disk: &SimDisk) -> u64 {
    let (_, recovered) = open(&disk.reboot()).await.unwrap();
    let indexes: Vec<u64> = recovered.records.iter().map(|record| record.at.index).collect();
    let count = indexes.len() as u64;
    assert_eq!(indexes, (1..=count).collect::<Vec<_>>());
    assert!(recovered.records.iter().all(|known| *known == record(known.at.index)));
    count
}

#[tokio::test]
async fn what_is_synced_survives_any_power_cut_and_a_torn_tail_is_cut() {
    let (mut kept, mut lost, mut torn) = (0, 0, 0);
    for seed in 0..300 {
        let disk = sim(seed);
        let (mut journal, _) = open(&disk).await.unwrap();
        journal.write(append(1, 3)).await.unwrap();
        journal.sync().await.unwrap();
        for index in 4..8 {
            journal.write(append(index, index)).await.unwrap();
            // Handed to the disk, one by one, and not synced.
            journal.flush().await.unwrap();
        }
        let kind = [PowerCut::Clean, PowerCut::Torn, PowerCut::Garbage][seed as usize % 3];
        disk.power_cut(kind);
        let before = disk.reboot().read("journal").await.unwrap().len();
        let found = last(&disk).await;
        assert!((3..=7).contains(&found), "seed {seed}: {found}");
        assert!(kind != PowerCut::Clean || found == 3);
        kept += u64::from(found > 3);
        lost += u64::from(found < 7);
        torn += u64::from(disk.reboot().read("journal").await.unwrap().len() < before);
        // And it can be gone on with.
        let disk = disk.reboot();
        let (mut journal, _) = open(&disk).await.unwrap();
        journal.write(append(found + 1, found + 2)).await.unwrap();
        journal.sync().await.unwrap();
        disk.power_cut(PowerCut::Clean);
        assert_eq!(last(&disk).await, found + 2);
    }
    assert!(kept > 0 && lost > 0 && torn > 0, "{kept} {lost} {torn}");
}

#[tokio::test]
async fn damage_to_what_was_synced_is_loud() {
    let mut loud = 0;
    for seed in 0..200 {
        let disk = sim(seed);
        let (mut journal, _) = open(&disk).await.unwrap();
        for index in 1..=5 {
            journal.write(append(index, index)).await.unwrap();
            journal.sync().await.unwrap();
        }
        disk.rot("journal");
        match open(&disk.reboot()).await {
            Err(JournalError::Damaged { .. }) => loud += 1,
            Err(other) => panic!("seed {seed}: {other}"),
            // Nothing after the last entry says that it was synced.
            Ok((_, recovered)) => assert_eq!(recovered.records.len(), 4, "seed {seed}"),
        }
    }
    assert!(loud > 100, "{loud}");
}

#[tokio::test]
async fn a_rollback_is_in_the_journal_and_so_is_what_follows() {
    let disk = sim(1);
    let (mut journal, _) = open(&disk).await.unwrap();
    journal.write(append(1, 6)).await.unwrap();
    journal.sync().await.unwrap();
    journal.write(Write::Truncate { len: 2 }).await.unwrap();
    journal.write(append(3, 4)).await.unwrap();
    journal.sync().await.unwrap();
    disk.power_cut(PowerCut::Clean);
    assert_eq!(last(&disk).await, 4);
    let (_, recovered) = open(&disk.reboot()).await.unwrap();
    assert_eq!(recovered.committed, OpTime { term: 1, index: 2 });
}

#[tokio::test]
async fn a_vote_is_durable_when_it_is_written() {
    let disk = sim(1);
    let (mut journal, recovered) = open(&disk).await.unwrap();
    assert_eq!(recovered.vote, None);
    for term in 1..4 {
        let vote = Vote { term, candidate: 2 };
        journal.write(Write::Vote(vote)).await.unwrap();
        disk.power_cut(PowerCut::Clean);
        let (next, recovered) = open(&disk.reboot()).await.unwrap();
        assert_eq!(recovered.vote, Some(vote));
        journal = next;
    }
    disk.rot("vote");
    assert!(matches!(open(&disk.reboot()).await, Err(JournalError::Vote)));
}

#[tokio::test]
async fn a_full_disk_tears_an_entry_and_refuses_it() {
    let disk = sim(1);
    let (mut journal, _) = open(&disk).await.unwrap();
    journal.write(append(1, 2)).await.unwrap();
    journal.sync().await.unwrap();
    let used = disk.read("journal").await.unwrap().len();
    disk.set_faults(DiskFaults { capacity: Some(used + 10), ..DiskFaults::default() });
    journal.write(append(3, 3)).await.unwrap();
    let Err(JournalError::Disk(error)) = journal.sync().await else { panic!("it had no space") };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.read("journal").await.unwrap().len(), used + 10);
    assert_eq!(last(&disk).await, 2);
}

#[tokio::test]
async fn a_failed_sync_may_lose_what_was_written_for_ever() {
    for failed_sync_loses in [false, true] {
        let disk = sim(1);
        let (mut journal, _) = open(&disk).await.unwrap();
        disk.set_faults(DiskFaults { sync_errors: 1_000_000, failed_sync_loses, ..DiskFaults::default() });
        journal.write(append(1, 2)).await.unwrap();
        assert!(matches!(journal.sync().await, Err(JournalError::Disk(_))));
        disk.set_faults(DiskFaults::default());
        assert_eq!(last(&disk).await, if failed_sync_loses { 0 } else { 2 });
    }
}

#[tokio::test]
async fn a_dead_process_writes_nothing() {
    let disk = sim(1);
    let next = disk.reboot();
    assert!(disk.append("journal", b"x").await.is_err());
    next.append("journal", b"y").await.unwrap();
    assert_eq!(next.read("journal").await.unwrap(), b"y");
}

#[tokio::test]
async fn real_files_do_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(directory.path().join("member")).unwrap();
    let (mut journal, _) = open(&disk).await.unwrap();
    let vote = Vote { term: 7, candidate: 1 };
    for write in [append(1, 6), Write::Vote(vote), Write::Truncate { len: 4 }, append(5, 5)] {
        journal.write(write).await.unwrap();
    }
    journal.sync().await.unwrap();
    disk.append("journal", b"\xf5jnl and then the power went").await.unwrap();
    let (_, recovered) = open(&disk).await.unwrap();
    assert_eq!(recovered.records, (1..=5).map(record).collect::<Vec<_>>());
    assert_eq!(recovered.vote, Some(vote));
}
