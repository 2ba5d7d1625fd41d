//! A process that is killed at any moment loses nothing that it acknowledged, and no commit is
//! half there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::support::*;
use crate::journal::{Commit, Error, Journal, Lane, check};
use crate::record::{LinkId, Value};

const DIR: &str = "LOCKSTEP_TEST_KILL_DIR";
const NAME: &str = "journal::tests::kill::the_child_that_is_killed";

fn commit(id: u64) -> Commit {
    let mut commit = Commit::new();
    commit
        .link(link(id, &id.to_string(), &format!("00Q{id}")))
        .history(line(id, 1, "score", Value::Blank))
        .history(line(id, 2, "stage", Value::Blank))
        .hear(heard(hs(&id.to_string()), Lane::Ordinary, 1));
    commit
}

/// Not a test by itself: the test below starts it as a process of its own and kills it.
#[test]
fn the_child_that_is_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let journal = Journal::open(std::path::Path::new(&dir), &options()).unwrap();
        let mut out = std::io::stderr();
        loop {
            let id = journal.new_links(1).await.unwrap()[0].0;
            journal.commit(commit(id)).await.unwrap();
            writeln!(out, "acknowledged {id}").unwrap();
        }
    });
}

/// Does it once the lock is free. Another test of this process may be starting a program right now,
/// which holds a copy of every open file until it has begun.
#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
fn unlocked<T>(open: impl Fn() -> Result<T, Error>) -> T {
    for _ in 0..100 {
        match open() {
            Err(Error::InUse { .. }) => {}
            Err(Error::Io { detail, .. }) if detail.contains("WouldBlock") => {}
            opened => return opened.unwrap(),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("somebody keeps the lock");
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    let dir = Dir::new();
    let mut random = fastrand::Rng::with_seed(7);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
            .env(DIR, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        // Killed after so many acknowledgements, in the midst of the next; some while it opens.
        let limit = random.usize(0..60);
        for said in said.lines().map_while(Result::ok).take(limit) {
            if let Some(id) = said.strip_prefix("acknowledged ") {
                acknowledged.push(id.parse::<u64>().unwrap());
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let report = unlocked(|| check(dir.path(), &options()));
        assert!(report.is_sound(), "round {round}: {:?}", report.problems);
        let journal = unlocked(|| Journal::open(dir.path(), &options()));
        runtime.block_on(async {
            for id in &acknowledged {
                let id = LinkId(*id);
                assert!(journal.link(id).await.unwrap().is_some(), "{id} is lost");
                assert_eq!(journal.history(id, None, 9).await.unwrap().len(), 2, "{id} is torn");
            }
            journal.close().await;
        });
    }
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
}
