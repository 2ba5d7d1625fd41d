//! What the database's files go through.

use std::fs;
use std::os::unix::fs::FileExt as _;

use super::support::*;
use crate::journal::sled::SledStore;
use crate::journal::store::{Op, Span, Store};
use crate::journal::{Error, Options, check, compact, salvage};

fn rows(from: u32, to: u32) -> Vec<Op> {
    (from..to).map(|n| Op::Put(n.to_be_bytes().to_vec(), vec![b'v'; 300])).collect()
}

fn filled(dir: &Dir, count: u32) {
    let mut store = SledStore::open(dir.path(), &options()).unwrap();
    for from in (0..count).step_by(100) {
        store.write(&rows(from, from + 100)).unwrap();
    }
    store.sync().unwrap();
}

fn count(store: &SledStore) -> usize {
    store.scan(&Span::all(), usize::MAX).unwrap().len()
}

#[test]
fn a_second_opener_is_told_who_has_it() {
    let dir = Dir::new();
    let first = SledStore::open(dir.path(), &options()).unwrap();
    let error = SledStore::open(dir.path(), &options()).unwrap_err();
    let Error::InUse { holder, .. } = &error else { panic!("{error}") };
    let process = format!("process {} since 20", std::process::id());
    assert!(holder.starts_with(&process), "{holder}");
    assert!(holder.ends_with('Z'), "{holder}");
    drop(first);
    SledStore::open(dir.path(), &options()).unwrap();
}

#[test]
fn a_kill_while_opening_does_not_lock_it_out() {
    let dir = Dir::new();
    filled(&dir, 1_000);
    // What a process leaves that dies while sled writes its snapshot.
    let db = dir.path().join("db");
    let half = db.join("snap.00000000000FFFFF.generating");
    fs::write(&half, b"half a snapshot").unwrap();
    let raw = std::panic::catch_unwind(|| ::sled::Config::new().path(&db).open());
    assert!(!matches!(raw, Ok(Ok(_))), "the engine by itself refuses");
    assert!(half.exists());
    let store = SledStore::open(dir.path(), &options()).unwrap();
    assert_eq!(count(&store), 1_000);
    assert!(!half.exists());
}

#[test]
fn a_copy_that_was_interrupted_is_finished_or_undone() {
    // Both directories whole, between the two renames; and each leftover by itself.
    for step in ["between", "before", "after"] {
        let dir = Dir::new();
        filled(&dir, 200);
        let [db, new, old] = ["db", "db.new", "db.old"].map(|name| dir.path().join(name));
        match step {
            "between" => {
                copy_dir(&db, &new);
                fs::rename(&db, &old).unwrap();
            }
            "before" => {
                fs::create_dir(&new).unwrap();
                fs::write(new.join("db"), b"half a copy").unwrap();
            }
            _ => {
                copy_dir(&db, &old);
            }
        }
        let store = SledStore::open(dir.path(), &options()).unwrap();
        assert_eq!(count(&store), 200, "{step}");
        assert!(!new.exists() && !old.exists(), "{step}");
    }
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        } else {
            fs::create_dir_all(to.join(entry.file_name())).unwrap();
        }
    }
}

/// What was synced is in the files at that moment: a copy of them, taken while the store is open
/// and goes on writing, opens and has it. This shows that nothing is held back in the process; it
/// cannot show what a disk's own cache loses.
#[test]
fn the_files_have_what_was_synced() {
    let dir = Dir::new();
    let mut store = SledStore::open(dir.path(), &options()).unwrap();
    for round in 1..=5u32 {
        store.write(&rows(round * 100, round * 100 + 100)).unwrap();
        store.sync().unwrap();
        let image = Dir::new();
        copy_dir(&dir.path().join("db"), &image.path().join("db"));
        let copy = SledStore::open(image.path(), &options()).unwrap();
        let found = count(&copy);
        assert!(found >= round as usize * 100, "{found} rows after round {round}");
    }
}

#[test]
fn a_damaged_file_is_an_error_with_a_way_out() {
    let cut = |dir: &Dir| {
        let file = fs::File::options().write(true).open(dir.path().join("db/db")).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length / 2).unwrap();
    };
    let flip = |dir: &Dir| {
        let file =
            fs::File::options().read(true).write(true).open(dir.path().join("db/db")).unwrap();
        let length = file.metadata().unwrap().len();
        let mut byte = [0];
        for place in (length / 8..length).step_by(4_099) {
            file.read_exact_at(&mut byte, place).unwrap();
            file.write_all_at(&[byte[0] ^ 0x40], place).unwrap();
        }
    };
    for (name, damage) in [("cut", &cut as &dyn Fn(&Dir)), ("flip", &flip)] {
        let dir = Dir::new();
        filled(&dir, 3_000);
        damage(&dir);
        let found = SledStore::open(dir.path(), &options())
            .and_then(|store| Ok(store.scan(&Span::all(), usize::MAX)?.len()));
        let error = found.unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{name}: {error}");
        assert!(error.hint().is_some(), "{name}: {error}");
    }
}

#[test]
fn the_files_stay_small_under_churn_and_a_copy_makes_them_small_again() {
    let dir = Dir::new();
    let mut store = SledStore::open(dir.path(), &options()).unwrap();
    let mut peak = 0;
    for round in 0..300u32 {
        let mut batch = rows(round * 100, round * 100 + 100);
        if round >= 10 {
            let old = (round - 10) * 100;
            batch.extend((old..old + 100).map(|n| Op::Delete(n.to_be_bytes().to_vec())));
        }
        for part in batch.chunks(100) {
            store.write(part).unwrap();
        }
        store.sync().unwrap();
        peak = peak.max(store.usage().disk);
    }
    assert!(peak < 48 << 20, "{} MiB for 300 KiB that live", peak >> 20);
    drop(store);
    let (mut grown, eager) = (0, Options { copy_above: 0, dead_factor: 1, ..options() });
    for file in fs::read_dir(dir.path().join("db")).unwrap() {
        grown += file.unwrap().metadata().unwrap().len();
    }
    let store = SledStore::open(dir.path(), &eager).unwrap();
    assert_eq!(count(&store), 1_000);
    assert!(store.usage().disk <= grown, "{} of {grown}", store.usage().disk);
}

#[test]
fn a_journal_is_compacted_on_demand_by_one_process_that_has_it() {
    let dir = Dir::new();
    let mut store = SledStore::open(dir.path(), &options()).unwrap();
    for round in 0..40u32 {
        store.write(&rows(0, 500)).unwrap();
        store.write(&rows(round * 500, round * 500 + 500)).unwrap();
        store.sync().unwrap();
    }
    let all = store.scan(&Span::all(), usize::MAX).unwrap();
    let dead = (1_000..20_000u32).map(|n| Op::Delete(n.to_be_bytes().to_vec()));
    for part in dead.collect::<Vec<_>>().chunks(100) {
        store.write(part).unwrap();
    }
    store.sync().unwrap();
    let nobody = &mut |_, _| panic!("it began although another has the journal");
    let error = compact(dir.path(), &options(), nobody).unwrap_err();
    assert!(matches!(&error, Error::InUse { holder, .. } if holder.contains("process")), "{error}");
    drop(store);

    // Without room for both copies nothing is begun and nothing is lost.
    let narrow = Options { reserve_bytes: u64::MAX / 2, ..options() };
    let nobody = &mut |_, _| panic!("it began although there is no room");
    assert!(matches!(compact(dir.path(), &narrow, nobody), Err(Error::Full { .. })));

    let mut told = Vec::new();
    let done = compact(dir.path(), &options(), &mut |done, of| told.push((done, of))).unwrap();
    assert_eq!(done.rows, 1_000);
    assert!(done.after < done.before, "{done:?}");
    assert_eq!((told[0], told[told.len() - 1]), ((0, 1_000), (1_000, 1_000)));
    assert!(told.is_sorted(), "{told:?}");
    let mut store = SledStore::open(dir.path(), &options()).unwrap();
    assert_eq!(store.scan(&Span::all(), usize::MAX).unwrap(), all[..1_000]);
    // The number of the last flush came along: what follows is not taken for a cut file.
    store.write(&rows(5_000, 5_001)).unwrap();
    store.sync().unwrap();
    drop(store);
    assert_eq!(count(&SledStore::open(dir.path(), &options()).unwrap()), 1_001);
    for leftover in ["db.new", "db.old"] {
        assert!(!dir.path().join(leftover).exists(), "{leftover}");
    }
}

#[test]
fn a_damaged_journal_is_left_as_it_is_by_a_compaction() {
    let dir = Dir::new();
    filled(&dir, 3_000);
    let path = dir.path().join("db/db");
    let file = fs::File::options().write(true).open(&path).unwrap();
    let cut = file.metadata().unwrap().len() / 2;
    file.set_len(cut).unwrap();
    let error = compact(dir.path(), &options(), &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(path.exists() && !dir.path().join("db.new").exists());
}

#[test]
fn nothing_is_written_where_there_is_hardly_room() {
    let dir = Dir::new();
    let greedy = Options { reserve_bytes: u64::MAX, ..options() };
    let mut store = SledStore::open(dir.path(), &greedy).unwrap();
    let error = store.write(&rows(0, 1)).unwrap_err();
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert!(store.usage().free.unwrap() > 0);
}

#[tokio::test]
async fn a_directory_is_checked_copied_and_salvaged() {
    use crate::journal::{Commit, Journal};
    use crate::record::LinkId;

    let [dir, copy, saved] = [Dir::new(), Dir::new(), Dir::new()];
    let journal = Journal::open(dir.path(), &options()).unwrap();
    for id in 1..=50u64 {
        let mut commit = Commit::new();
        commit.link(link(id, &id.to_string(), &format!("00Q{id}")));
        journal.commit(commit).await.unwrap();
    }
    assert!(matches!(check(dir.path(), &options()), Err(Error::InUse { .. })));
    assert!(journal.copy_to(copy.path(), &options()).await.unwrap() > 200);
    assert!(matches!(journal.copy_to(copy.path(), &options()).await, Err(Error::Unfit { .. })));
    journal.close().await;
    assert_eq!(journal.ping().await, Err(Error::Closed));
    for place in [&dir, &copy] {
        let report = check(place.path(), &options()).unwrap();
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(report.rows["link"], 50);
    }
    let salvaged = salvage(dir.path(), saved.path(), &options()).unwrap();
    assert!(salvaged.lost.is_sound() && salvaged.gaps == 0, "{salvaged:?}");
    assert!(check(saved.path(), &options()).unwrap().is_sound());
    let journal = Journal::open(saved.path(), &options()).unwrap();
    assert!(journal.link(LinkId(50)).await.unwrap().is_some());
    let elsewhere = Dir::new();
    let nowhere = elsewhere.path().join("none");
    assert!(matches!(check(&nowhere, &options()), Err(Error::Absent { .. })));
    assert!(!nowhere.exists());
}

#[tokio::test]
async fn what_is_left_of_a_cut_file_is_salvaged() {
    use crate::journal::{Commit, Journal};

    let [dir, saved] = [Dir::new(), Dir::new()];
    let journal = Journal::open(dir.path(), &options()).unwrap();
    for from in (1..3_000u64).step_by(50) {
        let mut commit = Commit::new();
        for id in from..from + 50 {
            commit.link(link(id, &id.to_string(), &format!("00Q{id}")));
        }
        journal.commit(commit).await.unwrap();
    }
    journal.close().await;
    let file = fs::File::options().write(true).open(dir.path().join("db/db")).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let error = Journal::open(dir.path(), &options()).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    match salvage(dir.path(), saved.path(), &options()) {
        Ok(salvaged) => {
            let report = check(saved.path(), &options()).unwrap();
            assert!(report.is_sound(), "{:?}", report.problems);
            assert_eq!(report.rows.get("link"), salvaged.kept.get("link"));
        }
        // Cut in another place, the engine cannot open the file at all, and says so.
        Err(error) => assert!(matches!(error, Error::Damaged { .. }), "{error}"),
    }
}
