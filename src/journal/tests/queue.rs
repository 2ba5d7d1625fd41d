//! In which order entries are taken.

use std::collections::BTreeSet;

use super::support::*;
use crate::journal::{Commit, Disk, Journal, Lane, Subject};
use crate::record::{Change, ChangeKind, LinkId, Source};

async fn take(journal: &Journal, limit: usize, second: i64) -> Vec<String> {
    let entries = journal.take(limit, at(second), BTreeSet::new()).await.unwrap();
    entries.iter().map(|entry| entry.subject.to_string().replace("HubSpot contacts ", "")).collect()
}

#[tokio::test]
async fn a_hot_lead_passes_a_bulk_import_and_the_import_still_moves() {
    let journal = inline(&Disk::new());
    let bulk = (0..200).map(|id| heard(hs(&format!("b{id}")), Lane::Backfill, 0)).collect();
    journal.hear(bulk, None).await.unwrap();
    let hot = (0..30).map(|id| heard(hs(&format!("h{id}")), Lane::Handoff, 5)).collect();
    journal.hear(hot, None).await.unwrap();
    let first = take(&journal, 20, 10).await;
    assert_eq!(first[..8], ["h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7"]);
    assert_eq!(first.iter().filter(|it| it.starts_with('b')).count(), 2, "{first:?}");
    // The count goes on from call to call, also where each takes one.
    let mut singles = Vec::new();
    for _ in 0..9 {
        singles.extend(take(&journal, 1, 10).await);
    }
    assert_eq!(singles.iter().filter(|it| it.starts_with('b')).count(), 1, "{singles:?}");
}

#[tokio::test]
async fn the_oldest_comes_first_and_nothing_before_it_is_due() {
    let journal = inline(&Disk::new());
    let mut late = heard(hs("late"), Lane::Ordinary, 0);
    late.not_before = Some(at(60));
    let other = {
        let mut heard = heard(hs("other"), Lane::Ordinary, 1);
        heard.mapping = "accounts".into();
        heard
    };
    let changes =
        vec![heard(hs("b"), Lane::Ordinary, 2), other, late, heard(hs("a"), Lane::Ordinary, 3)];
    journal.hear(changes, None).await.unwrap();
    let skip: BTreeSet<String> = ["accounts".to_owned()].into();
    let entries = journal.take(10, at(59), skip).await.unwrap();
    let ids: Vec<_> = entries.iter().map(|entry| entry.subject.to_string()).collect();
    assert_eq!(ids, ["HubSpot contacts b", "HubSpot contacts a"]);
    assert_eq!(take(&journal, 10, 59).await, ["other"]);
    assert_eq!(take(&journal, 10, 60).await, ["late"]);
    let oldest = journal.statistics().await.unwrap().oldest;
    assert_eq!(oldest[&("accounts".to_owned(), Lane::Ordinary)], at(1));
    assert_eq!(oldest[&("people".to_owned(), Lane::Ordinary)], at(2));
}

#[tokio::test]
async fn a_postponed_entry_waits_unless_it_is_heard_of_again() {
    let journal = inline(&Disk::new());
    journal.hear(vec![heard(hs("1"), Lane::Ordinary, 0)], None).await.unwrap();
    let entry = journal.take(1, at(1), BTreeSet::new()).await.unwrap().remove(0);
    let mut commit = Commit::new();
    commit.postpone(entry.subject.clone(), entry.version, at(100), Some("busy".into()));
    journal.commit(commit).await.unwrap();
    assert_eq!(take(&journal, 1, 99).await, Vec::<String>::new());
    let waiting = journal.pending(entry.subject.clone()).await.unwrap().unwrap();
    assert_eq!((waiting.attempts, waiting.last_error.as_deref()), (1, Some("busy")));
    journal.hear(vec![heard(hs("1"), Lane::Ordinary, 50)], None).await.unwrap();
    let again = journal.take(1, at(50), BTreeSet::new()).await.unwrap().remove(0);
    // Heard of while it is being settled: the attempt that ends now does not put it off.
    journal.hear(vec![heard(hs("1"), Lane::Ordinary, 51)], None).await.unwrap();
    let mut commit = Commit::new();
    commit.postpone(again.subject.clone(), again.version, at(500), Some("busy".into()));
    journal.commit(commit).await.unwrap();
    assert_eq!(take(&journal, 1, 52).await, ["1"]);
}

#[tokio::test]
async fn what_was_taken_is_due_again_after_a_release_and_after_a_restart() {
    let disk = Disk::new();
    let journal = inline(&disk);
    journal.hear(vec![heard(hs("1"), Lane::Ordinary, 0)], None).await.unwrap();
    assert_eq!(take(&journal, 1, 1).await, ["1"]);
    assert_eq!(journal.statistics().await.unwrap().taken, 1);
    let subject = Subject::Record { mapping: "people".into(), record: hs("1") };
    journal.release(vec![subject]).await.unwrap();
    assert_eq!(take(&journal, 1, 1).await, ["1"]);
    assert_eq!(take(&inline(&disk), 1, 1).await, ["1"]);
}

#[tokio::test]
async fn an_erasure_is_not_forgotten_over_later_word() {
    let journal = inline(&Disk::new());
    let mut commit = Commit::new();
    commit.link(link(1, "1", "00Q1"));
    journal.commit(commit).await.unwrap();
    let mut erased = heard(hs("1"), Lane::Ordinary, 1);
    erased.change =
        Change { kind: ChangeKind::Erased, ..Change::touched(hs("1"), Source::Webhook) };
    let changes = vec![
        heard(hs("1"), Lane::Backfill, 0),
        erased,
        heard(hs("1"), Lane::Ordinary, 2),
        heard(sf("00Q1"), Lane::Ordinary, 3),
    ];
    journal.hear(changes, None).await.unwrap();
    let entry = journal.pending(Subject::Link(LinkId(1))).await.unwrap().unwrap();
    let told = [(hs("1"), ChangeKind::Erased), (sf("00Q1"), ChangeKind::Touched)].into();
    assert_eq!((entry.told, entry.lane), (told, Lane::Ordinary));
    assert_eq!(entry.sources, [Source::Poll, Source::Webhook].into());
    assert_eq!((entry.first_heard, entry.last_heard), (at(0), at(3)));
}

#[tokio::test]
async fn a_share_of_the_lanes_is_taken_and_counted_by_itself() {
    let journal = inline(&Disk::new());
    let bulk = (0..30).map(|id| heard(hs(&format!("b{id}")), Lane::Backfill, 0)).collect();
    journal.hear(bulk, None).await.unwrap();
    assert_eq!(journal.next_due(&[Lane::Handoff, Lane::Ordinary]).await.unwrap(), None);
    journal.hear(vec![heard(hs("1"), Lane::Ordinary, 7)], None).await.unwrap();
    assert_eq!(journal.next_due(&[Lane::Handoff, Lane::Ordinary]).await.unwrap(), Some(at(7)));
    assert_eq!(journal.count_due(Lane::Backfill, at(7), 100).await.unwrap(), 30);
    assert_eq!(journal.count_due(Lane::Backfill, at(7), 20).await.unwrap(), 20);
    let lanes = &[Lane::Handoff, Lane::Ordinary];
    let taken = journal.take_of(lanes, 10, at(7), BTreeSet::new()).await.unwrap();
    assert_eq!(taken.len(), 1);
    let slow = journal.take_of(&[Lane::Backfill], 10, at(7), BTreeSet::new()).await.unwrap();
    assert!(slow.len() == 10 && slow.iter().all(|entry| entry.lane == Lane::Backfill));
}

#[tokio::test]
async fn what_is_heard_of_while_it_is_settled_keeps_its_distance() {
    let journal = inline(&Disk::new());
    journal.hear(vec![heard(hs("1"), Lane::Ordinary, 0)], None).await.unwrap();
    let entry = journal.take(1, at(1), BTreeSet::new()).await.unwrap().remove(0);
    for second in 1..50 {
        journal.hear(vec![heard(hs("1"), Lane::Ordinary, second)], None).await.unwrap();
    }
    let mut commit = Commit::new();
    commit.finish_until(entry.subject.clone(), entry.version, at(60));
    let done = journal.commit(commit).await.unwrap();
    assert_eq!(done.again, [entry.subject]);
    assert_eq!(take(&journal, 1, 59).await, Vec::<String>::new());
    assert_eq!(take(&journal, 1, 60).await, ["1"], "fifty changes are one more settlement");
}
