//! Many histories, on several threads.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::Shipped;
use super::run::{Told, history};
use super::seams::{Keep, Plant};

/// Which histories to live through.
#[derive(Debug, Clone)]
pub(super) struct Task {
    /// The first seed.
    pub(super) first: u64,
    /// How many.
    pub(super) count: u64,
    /// Threads.
    pub(super) jobs: u8,
    /// No history begins later than this after the first one.
    pub(super) limit: Option<Duration>,
    /// What of each is kept to be read.
    pub(super) keep: Keep,
    /// The bug that is planted.
    pub(super) plant: Option<Plant>,
}

/// What many histories came to.
#[derive(Debug, Clone, Default)]
pub(super) struct Sum {
    /// How many there were.
    pub(super) histories: u64,
    /// The seeds of those that did not end well.
    pub(super) failed: Vec<u64>,
    /// What people did in all of them.
    pub(super) deeds: usize,
    /// How often the process ended.
    pub(super) crashes: usize,
    /// Calls that wrote records.
    pub(super) writes: usize,
    /// Deliveries of webhooks that were taken in.
    pub(super) deliveries: u64,
    /// Change events that arrived.
    pub(super) events: u64,
    /// Edits that were overwritten unseen.
    pub(super) raced: usize,
    /// All events as one number; it does not depend on the number of threads.
    pub(super) digest: u64,
    /// How long it took, by the real clock.
    pub(super) took: Duration,
}

/// Lives through all histories of `task` and shows each one as it ends.
#[expect(clippy::disallowed_methods, reason = "how long it really takes is asked for")]
pub(super) fn run(task: &Task, shipped: &Shipped, mut show: impl FnMut(&Told)) -> Sum {
    let begun = std::time::Instant::now();
    let next = AtomicU64::new(0);
    let (send, receive) = mpsc::channel();
    let mut sum = Sum::default();
    std::thread::scope(|scope| {
        for _ in 0..task.jobs {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                while task.limit.is_none_or(|limit| begun.elapsed() < limit) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= task.count {
                        break;
                    }
                    let told = history(task.first + number, shipped, task.keep, task.plant);
                    if send.send(told).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        for told in receive {
            show(&told);
            sum.add(&told);
        }
    });
    sum.failed.sort_unstable();
    sum.took = begun.elapsed();
    sum
}

impl Sum {
    fn add(&mut self, told: &Told) {
        self.histories += 1;
        self.deeds += told.deeds;
        self.crashes += told.crashes;
        self.writes += told.writes;
        self.deliveries += told.deliveries;
        self.events += told.events;
        self.raced += told.raced;
        // Histories end in any order, so their digests are added, each mixed with its seed.
        let mut hasher = DefaultHasher::new();
        (told.seed, told.digest).hash(&mut hasher);
        self.digest = self.digest.wrapping_add(hasher.finish());
        if !told.breaches.is_empty() {
            self.failed.push(told.seed);
        }
    }
}
