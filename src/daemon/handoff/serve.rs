//! The loops around the handoff's work.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Notices, Targets};
use crate::daemon::connect::network;
use crate::daemon::run::Shared;
use crate::record::Side;

/// How soon what is due on a handoff is worked on, at the latest. News are worked on at once.
const SOON: Duration = Duration::from_millis(500);

/// How often undelivered notices are tried.
const NOTICES: Duration = Duration::from_secs(5);

/// Starts the loops.
pub(in crate::daemon) fn spawn(tasks: &mut JoinSet<()>, shared: &Arc<Shared>, targets: Targets) {
    tasks.spawn(work_loop(Arc::clone(shared)));
    tasks.spawn(follow_loop(Arc::clone(shared)));
    for mapping in &shared.engine.mappings().list {
        let webhooks = mapping.handoff.iter().flat_map(|spec| &spec.webhooks);
        for webhook in webhooks.filter(|webhook| !targets.contains_key(&webhook.name)) {
            tracing::warn!(
                mapping = mapping.name,
                webhook = webhook.name,
                "its notices wait a day and are dropped: the notice_receivers do not name it"
            );
        }
    }
    match network() {
        Ok(http) => {
            tasks.spawn(notice_loop(Arc::clone(shared), Notices { http, targets }));
        }
        Err(error) => tracing::error!(%error, "no notice can be delivered"),
    }
}

async fn work_loop(shared: Arc<Shared>) {
    if !shared.is_let_in().await {
        return;
    }
    loop {
        let wait = match shared.engine.hand_off_due().await {
            Ok(worked) if worked.taken > 0 => {
                tracing::info!(
                    taken = worked.taken,
                    tasks = worked.tasks,
                    next = worked.next,
                    found = worked.found,
                    told = worked.told,
                    steps = worked.steps,
                    "worked on handoffs"
                );
                // What has to be looked at again says when.
                Duration::from_millis(10)
            }
            Ok(_) => {
                tokio::select! {
                    biased;
                    () = shared.engine.handed.notified() => continue,
                    goes_on = shared.pause(SOON) => {
                        if goes_on { continue } else { return }
                    }
                }
            }
            Err(trouble) => match shared.heed("working on handoffs", &trouble) {
                Some(wait) => wait,
                None => return,
            },
        };
        if !shared.pause(wait).await {
            return;
        }
    }
}

async fn follow_loop(shared: Arc<Shared>) {
    if !shared.is_let_in().await {
        return;
    }
    let every = shared.settings.polling.interval(Side::Salesforce);
    loop {
        let wait = match shared.engine.follow_due(every / 2).await {
            Ok(followed) => {
                if followed.news > 0 {
                    tracing::debug!(followed.listed, followed.news, "followed handoffs");
                }
                every
            }
            Err(trouble) => match shared.heed("following handoffs", &trouble) {
                Some(wait) => wait.max(every),
                None => return,
            },
        };
        if !shared.pause(wait).await {
            return;
        }
    }
}

async fn notice_loop(shared: Arc<Shared>, notices: Notices) {
    while shared.pause(NOTICES).await {
        if let Err(trouble) = shared.engine.deliver_notices(&notices).await
            && shared.heed("delivering notices", &trouble).is_none()
        {
            return;
        }
    }
}
