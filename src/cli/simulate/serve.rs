//! The daemon's work, for as long as its process lives.
//!
//! [`daemon::run`](crate::daemon::run) owns signals, sockets and tasks, and nothing of that is here:
//! its loops are driven by hand, by the same calls of the engine in the same order, each at a pace
//! of its own. All of them are one future, which a crash drops between any two steps.

use std::time::Duration;

use tokio::time::sleep;

use super::stream::follow;
use crate::daemon::{Engine, Stream};
use crate::record::Side;

/// How long a loop rests that has nothing to do.
const TURN: Duration = Duration::from_millis(500);

/// Signs in, and then polls, takes in and settles side by side.
pub(super) async fn serve(engine: &Engine, poll: Duration) {
    while engine.start().await.is_err() {
        sleep(Duration::from_secs(2)).await;
    }
    // Deletions are asked for less often than changes.
    let deletes = poll * 2;
    tokio::join!(
        polls(engine, Side::HubSpot, Stream::Changed, poll),
        polls(engine, Side::Salesforce, Stream::Changed, poll),
        polls(engine, Side::HubSpot, Stream::Deleted, deletes),
        polls(engine, Side::Salesforce, Stream::Deleted, deletes),
        take_in(engine),
        settle(engine),
        follow(engine),
    );
}

async fn polls(engine: &Engine, side: Side, stream: Stream, every: Duration) {
    loop {
        let _ = engine.poll_due(side, stream).await;
        sleep(every).await;
    }
}

async fn take_in(engine: &Engine) {
    loop {
        let far_ahead = matches!(engine.is_far_ahead().await, Ok(true));
        if far_ahead || !matches!(engine.backfill().await, Ok(Some(_))) {
            sleep(TURN * 4).await;
        }
    }
}

async fn settle(engine: &Engine) {
    loop {
        if matches!(engine.settle_due().await, Ok(settled) if settled.taken > 0) {
            sleep(engine.rest()).await;
            continue;
        }
        tokio::select! {
            biased;
            () = engine.wake.notified() => {}
            () = sleep(TURN) => {}
        }
    }
}
