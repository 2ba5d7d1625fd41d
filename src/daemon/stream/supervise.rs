//! The task around the streams: one task a topic, begun anew when the mappings ask for others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{StreamChoice, TopicPlan};
use crate::daemon::control::stopped;
use crate::daemon::run::Shared;
use crate::daemon::{Engine, Trouble};
use crate::platform::salesforce::pubsub::Events;
use crate::record::Side;

/// How often it is looked whether the mappings in force ask for other topics.
const LOOK: Duration = Duration::from_secs(10);

/// How often the org is asked how many events were delivered. It costs a call.
const ALLOCATION: Duration = Duration::from_secs(60 * 60);

/// Follows the topics of the mappings in force until it is time to stop.
pub(in crate::daemon) async fn stream_loop(shared: Arc<Shared>, choice: StreamChoice) {
    let Some(events) = shared.engine.events.clone() else { return };
    if !shared.is_let_in().await {
        return;
    }
    let mut stop = shared.stopping();
    while !*stop.borrow() {
        let plans = shared.engine.topics(&choice);
        let mut tasks = JoinSet::new();
        for plan in plans.clone() {
            let (shared, events) = (Arc::clone(&shared), Arc::clone(&events));
            tasks.spawn(async move { shared.engine.follow(&events, &plan).await });
        }
        let trouble = tokio::select! {
            biased;
            () = stopped(&mut stop) => None,
            trouble = first_end(&mut tasks) => trouble,
            () = other_topics(&shared.engine, &choice, &plans) => None,
        };
        tasks.shutdown().await;
        forget(&shared.engine, &plans, &choice);
        if let Some(trouble) = trouble {
            let Some(wait) = shared.heed("following change events", &trouble) else { return };
            if !shared.pause(wait).await {
                return;
            }
        }
    }
}

/// Waits until one task ends, and says why. They share the journal: what ends one ends all.
async fn first_end(tasks: &mut JoinSet<Trouble>) -> Option<Trouble> {
    match tasks.join_next().await {
        Some(Ok(trouble)) => Some(trouble),
        Some(Err(error)) => {
            tracing::error!(%error, "following change events ended: beginning anew");
            None
        }
        None => std::future::pending().await,
    }
}

async fn other_topics(engine: &Engine, choice: &StreamChoice, plans: &BTreeSet<TopicPlan>) {
    while engine.topics(choice) == *plans {
        tokio::time::sleep(LOOK).await;
    }
}

/// Takes objects that nothing brings word of any more for what they are.
fn forget(engine: &Engine, before: &BTreeSet<TopicPlan>, choice: &StreamChoice) {
    let now: BTreeSet<String> =
        engine.topics(choice).into_iter().flat_map(|plan| plan.objects).collect();
    for object in
        before.iter().flat_map(|plan| &plan.objects).filter(|object| !now.contains(*object))
    {
        engine.intake.unset_push(Side::Salesforce, object);
    }
}

/// Asks the org now and then how many of its events were delivered.
pub(in crate::daemon) async fn allocation_loop(shared: Arc<Shared>) {
    let Some(events) = shared.engine.events.clone() else { return };
    if !shared.is_let_in().await {
        return;
    }
    loop {
        note_allocation(&shared.engine, &events).await;
        if !shared.pause(ALLOCATION).await {
            return;
        }
    }
}

async fn note_allocation(engine: &Engine, events: &Events) {
    match events.allocation().await {
        Ok(Some((used, limit))) => engine.note_allocation(used, limit),
        Ok(None) => {}
        Err(error) => tracing::debug!(%error, "the org does not say how many events it may have"),
    }
}
