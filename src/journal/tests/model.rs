//! Folding, taking and finishing, against a model that keeps a plain list.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::support::*;
use crate::journal::{Commit, Disk, Journal, Lane, PendingEntry, Subject};

#[derive(Debug, Clone)]
enum Act {
    Hear { id: u8, lane: u8 },
    Take { limit: u8 },
    Finish { which: u8 },
    Postpone { which: u8, by: u8 },
    Link { id: u8 },
    Release,
    Crash,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0..6u8, 0..3u8).prop_map(|(id, lane)| Act::Hear { id, lane }),
        3 => (1..4u8).prop_map(|limit| Act::Take { limit }),
        3 => any::<u8>().prop_map(|which| Act::Finish { which }),
        1 => (any::<u8>(), 1..9u8).prop_map(|(which, by)| Act::Postpone { which, by }),
        1 => (0..6u8).prop_map(|id| Act::Link { id }),
        1 => Just(Act::Release),
        1 => Just(Act::Crash),
    ];
    prop::collection::vec(act, 1..60)
}

/// What must hold: whatever was heard is settled after it was heard.
#[derive(Default)]
struct Model {
    /// When each record was last heard of.
    heard: BTreeMap<u8, u64>,
    /// When a settlement that ended well had begun, by record.
    settled: BTreeMap<u8, u64>,
}

struct World {
    disk: Disk,
    journal: Journal,
    model: Model,
    held: Vec<(PendingEntry, u64)>,
    clock: u64,
}

impl World {
    fn ids(entry: &PendingEntry) -> Vec<u8> {
        entry.told.keys().map(|record| record.id.parse().unwrap()).collect()
    }

    async fn act(&mut self, act: Act) {
        self.clock += 1;
        let second = i64::try_from(self.clock).unwrap();
        match act {
            Act::Hear { id, lane } => {
                let lane = Lane::ALL[usize::from(lane)];
                let heard = heard(hs(&id.to_string()), lane, second);
                self.journal.hear(vec![heard], None).await.unwrap();
                self.model.heard.insert(id, self.clock);
            }
            Act::Take { limit } => {
                let taken =
                    self.journal.take(limit.into(), at(second), BTreeSet::new()).await.unwrap();
                for entry in taken {
                    let twice = self.held.iter().any(|(held, _)| held.subject == entry.subject);
                    assert!(!twice, "{} was taken twice", entry.subject);
                    assert!(entry.due <= at(second));
                    self.held.push((entry, self.clock));
                }
            }
            Act::Finish { which } if !self.held.is_empty() => {
                let (entry, since) = self.held.remove(usize::from(which) % self.held.len());
                let mut commit = Commit::new();
                commit.finish(entry.subject.clone(), entry.version);
                self.journal.commit(commit).await.unwrap();
                for id in Self::ids(&entry) {
                    let settled = self.model.settled.entry(id).or_insert(0);
                    *settled = since.max(*settled);
                }
            }
            Act::Postpone { which, by } if !self.held.is_empty() => {
                let (entry, _) = self.held.remove(usize::from(which) % self.held.len());
                let mut commit = Commit::new();
                let until = at(second + i64::from(by));
                commit.postpone(entry.subject, entry.version, until, Some("later".into()));
                self.journal.commit(commit).await.unwrap();
            }
            Act::Link { id } => {
                let mut commit = Commit::new();
                commit.link(link(u64::from(id) + 1, &id.to_string(), &format!("00Q{id}")));
                self.journal.commit(commit).await.unwrap();
            }
            Act::Release => {
                let subjects: Vec<Subject> =
                    self.held.drain(..).map(|(entry, _)| entry.subject).collect();
                self.journal.release(subjects).await.unwrap();
            }
            Act::Crash => {
                self.disk.crash();
                self.journal = inline(&self.disk);
                self.held.clear();
            }
            Act::Finish { .. } | Act::Postpone { .. } => {}
        }
    }

    /// Whatever was heard of after its last settlement began is waiting, and is counted.
    async fn check(&self) {
        let waiting = self.journal.pending_page(None, 100).await.unwrap();
        let ids: BTreeSet<u8> = waiting.iter().flat_map(Self::ids).collect();
        for (id, heard) in &self.model.heard {
            let settled = self.model.settled.get(id).copied().unwrap_or(0);
            assert!(settled >= *heard || ids.contains(id), "word of {id} is lost");
        }
        let statistics = self.journal.statistics().await.unwrap();
        let counted: i64 = statistics
            .mappings
            .get("people")
            .into_iter()
            .flatten()
            .filter(|(name, _)| name.starts_with("pending."))
            .map(|(_, count)| count)
            .sum();
        assert_eq!(counted, i64::try_from(waiting.len()).unwrap());
        let report = self.journal.check().await.unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_was_heard_is_lost_and_nothing_is_taken_twice(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let disk = Disk::new();
            let journal = inline(&disk);
            let mut world =
                World { disk, journal, model: Model::default(), held: Vec::new(), clock: 0 };
            for act in acts {
                world.act(act).await;
                world.check().await;
            }
            // In the end everything comes round once it is due.
            let subjects = world.held.drain(..).map(|(entry, _)| entry.subject).collect();
            world.journal.release(subjects).await.unwrap();
            let all = world.journal.pending_page(None, 100).await.unwrap().len();
            let taken = world.journal.take(100, at(10_000), BTreeSet::new()).await.unwrap();
            assert_eq!(taken.len(), all);
        });
    }
}
