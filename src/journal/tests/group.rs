//! One flush for all that is queued.

use super::support::*;
use crate::journal::{Commit, Journal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_share_flushes() {
    let dir = Dir::new();
    let journal = Journal::open(dir.path(), &options()).unwrap();
    let before = journal.statistics().await.unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..64u64 {
        let journal = journal.clone();
        callers.spawn(async move {
            for round in 0..10u64 {
                let id = caller * 10 + round + 1;
                let mut commit = Commit::new();
                commit.link(link(id, &id.to_string(), &format!("00Q{id}")));
                journal.commit(commit).await.unwrap();
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    let after = journal.statistics().await.unwrap();
    let commits = after.commits - before.commits;
    let syncs = after.usage.syncs - before.usage.syncs;
    assert_eq!(commits, 640);
    assert!(syncs * 4 < commits, "{syncs} flushes for {commits} commits");
    assert_eq!(after.mappings["people"]["links.active"], 640);
    journal.close().await;
    assert!(Journal::open(dir.path(), &options()).is_ok(), "closing frees the lock");
}
