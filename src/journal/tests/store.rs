//! The narrow interface: one suite for both stores.

use super::support::*;
use crate::journal::Disk;
use crate::journal::memory::MemoryStore;
use crate::journal::sled::SledStore;
use crate::journal::store::{Op, Span, Store};

fn put(key: &[u8], value: &[u8]) -> Op {
    Op::Put(key.to_vec(), value.to_vec())
}

fn keys(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<Vec<u8>> {
    rows.into_iter().map(|(key, _)| key).collect()
}

fn suite(store: &mut dyn Store) {
    assert_eq!(store.get(b"a").unwrap(), None);
    store
        .write(&[put(b"a", b"1"), put(b"ab", b"2"), put(b"b", b"3"), put(b"\xff\xff", b"4")])
        .unwrap();
    store.sync().unwrap();
    assert_eq!(store.get(b"ab").unwrap().unwrap(), b"2");
    store
        .write(&[put(b"a", b"9"), Op::Delete(b"b".to_vec()), Op::Delete(b"none".to_vec())])
        .unwrap();
    assert_eq!(store.get(b"a").unwrap().unwrap(), b"9");
    assert_eq!(store.get(b"b").unwrap(), None);
    store.write(&[]).unwrap();

    let all = Span::all();
    let expected: [&[u8]; 3] = [b"a", b"ab", b"\xff\xff"];
    assert_eq!(keys(store.scan(&all, 10).unwrap()), expected);
    assert_eq!(keys(store.scan(&all, 2).unwrap()), expected[..2]);
    assert_eq!(keys(store.scan_back(&all, 2).unwrap()), [expected[2], expected[1]]);
    assert_eq!(keys(store.scan(&Span::prefix(b"a"), 10).unwrap()), expected[..2]);
    assert_eq!(keys(store.scan(&Span::prefix(b"a").after(b"a"), 10).unwrap()), expected[1..2]);
    assert_eq!(keys(store.scan(&Span::prefix(b"a").before(b"ab"), 10).unwrap()), expected[..1]);
    assert_eq!(keys(store.scan(&Span::prefix(b"\xff"), 10).unwrap()), expected[2..]);
    let none = Span::prefix(b"a").after(b"z").before(b"b");
    assert!(none.is_empty());
    assert_eq!(store.scan(&none, 10).unwrap(), []);
    assert_eq!(store.scan_back(&none, 10).unwrap(), []);

    store.sync().unwrap();
    store.reopen().unwrap();
    assert_eq!(store.get(b"a").unwrap().unwrap(), b"9");
    assert!(store.usage().disk > 0);
    assert!(store.usage().syncs >= 2);
}

#[test]
fn the_memory_keeps_to_it() {
    suite(&mut MemoryStore::open(&Disk::new()));
}

#[test]
fn the_database_keeps_to_it() {
    let dir = Dir::new();
    suite(&mut SledStore::open(dir.path(), &options()).unwrap());
    let store = SledStore::open(dir.path(), &options()).unwrap();
    assert_eq!(store.get(b"a").unwrap().unwrap(), b"9", "the next process finds it");
}
