//! Power cuts, full disks and damage, in memory.

use std::collections::BTreeSet;

use super::support::*;
use crate::journal::store::{Op, Store};
use crate::journal::{Commit, Disk, Error, Journal, Lane, MemoryStore, rescue, verify};
use crate::record::{LinkId, Value};

#[test]
fn a_power_cut_loses_what_was_not_synced_and_nothing_else() {
    let disk = Disk::new();
    let mut store = MemoryStore::open(&disk);
    store.write(&[Op::Put(b"a".to_vec(), b"1".to_vec())]).unwrap();
    store.sync().unwrap();
    store
        .write(&[Op::Put(b"a".to_vec(), b"2".to_vec()), Op::Put(b"b".to_vec(), b"1".to_vec())])
        .unwrap();
    store.write(&[Op::Delete(b"a".to_vec())]).unwrap();
    let image = disk.image();
    assert_eq!(disk.crash(), 2);
    assert_eq!(store.get(b"a"), Err(Error::Closed), "a store of an earlier life is cut off");
    for disk in [disk, image] {
        let store = MemoryStore::open(&disk);
        assert_eq!(store.get(b"a").unwrap().unwrap(), b"1");
        assert_eq!(store.get(b"b").unwrap(), None);
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut_at_every_moment() {
    let disk = Disk::new();
    for life in 0..20 {
        let journal = inline(&disk);
        for past in 0..life {
            let id = LinkId(past + 1);
            assert!(journal.link(id).await.unwrap().is_some(), "{id} is lost in life {life}");
            assert_eq!(journal.history(id, None, 10).await.unwrap().len(), 1);
        }
        let id = life + 1;
        let mut commit = Commit::new();
        commit
            .link(link(id, &format!("{id}"), &format!("00Q{id}")))
            .history(line(id, 1, "score", Value::Blank))
            .hear(heard(hs(&format!("{id}")), Lane::Ordinary, 1));
        journal.commit(commit).await.unwrap();
        disk.crash();
        assert_eq!(journal.ping().await, Ok(()), "asks the store nothing");
        assert_eq!(journal.link(LinkId(1)).await, Err(Error::Closed));
    }
}

/// Every kind of journal, on a disk that fails.
fn both(disk: &Disk) -> [Journal; 2] {
    let image = disk.image();
    let threaded = Journal::on_thread(Box::new(MemoryStore::open(&image))).unwrap();
    image.fail_write(2);
    disk.fail_write(2);
    [inline(disk), threaded]
}

#[tokio::test]
async fn a_full_disk_is_said_and_work_goes_on_once_there_is_room() {
    let disk = Disk::new();
    inline(&disk);
    for journal in both(&disk) {
        let commit = |id: u64| {
            let mut commit = Commit::new();
            commit.link(link(id, &id.to_string(), &format!("00Q{id}")));
            commit
        };
        journal.commit(commit(1)).await.unwrap();
        let error = journal.commit(commit(2)).await.unwrap_err();
        assert!(matches!(error, Error::Full { .. }) && error.is_transient(), "{error}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(error.hint().unwrap(), @"make room; nothing that was acknowledged is lost, and work goes on by itself once there is room");
        }
        assert_eq!(journal.link(LinkId(2)).await.unwrap(), None);
        assert!(journal.link(LinkId(1)).await.unwrap().is_some());
        journal.commit(commit(2)).await.unwrap();
        assert!(journal.link(LinkId(2)).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_commit_whose_sync_failed_is_not_acknowledged() {
    let disk = Disk::new();
    let journal = inline(&disk);
    journal.hear(vec![heard(hs("1"), Lane::Ordinary, 1)], None).await.unwrap();
    let entry = journal.take(1, at(2), BTreeSet::new()).await.unwrap().remove(0);
    disk.fail_sync(1);
    let mut commit = Commit::new();
    commit.finish(entry.subject.clone(), entry.version);
    assert!(matches!(journal.commit(commit).await, Err(Error::Full { .. })));
    assert!(journal.pending(entry.subject).await.unwrap().is_some(), "it still waits");
}

#[tokio::test]
async fn every_flipped_byte_is_found_and_what_is_sound_is_saved() {
    let whole = Disk::new();
    let journal = inline(&whole);
    for id in 1..=4u64 {
        let mut entry = link(id, &id.to_string(), &format!("00Q{id}"));
        entry.fingerprints = [journal.fingerprint(&id.to_string())].into();
        entry.base.values.insert("notes".into(), Value::text("x".repeat(5_000)));
        let mut commit = Commit::new();
        commit
            .link(entry)
            .history(line(id, 1, "score", Value::Blank))
            .conflicts(LinkId(id), "people", [("score".to_owned(), conflict())].into())
            .hear(heard(hs(&id.to_string()), Lane::Ordinary, 1))
            .hear(heard(hs(&format!("9{id}")), Lane::Ordinary, 1));
        journal.commit(commit).await.unwrap();
    }
    assert!(verify(&MemoryStore::open(&whole)).unwrap().is_sound());
    for row in 0..whole.rows() {
        let damaged = whole.image();
        assert!(damaged.flip(row, row * 7 + 3));
        let report = verify(&MemoryStore::open(&damaged)).unwrap();
        assert!(!report.is_sound(), "row {row}");
        let saved = Disk::new();
        let mut store = MemoryStore::open(&saved);
        let salvaged = rescue(&mut MemoryStore::open(&damaged), &mut store).unwrap();
        let report = verify(&store).unwrap();
        assert!(report.is_sound(), "row {row}: {report:?}");
        assert!(salvaged.lost.problems.len() <= 1, "row {row}: {salvaged:?}");
        assert_eq!(salvaged.gaps, 0);
        assert!(salvaged.kept["link"] >= 3, "row {row}");
    }
}
