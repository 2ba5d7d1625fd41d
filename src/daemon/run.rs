//! The process: signals, systemd, the loops around the engine.
//!
//! Each loop is a task that ends at a boundary when it is told to stop: nothing is cut off in the
//! middle of a settlement unless it takes longer than the settings allow, and what is cut off is
//! taken up at the next start.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::answer::Office;
use super::control::stopped;
use super::cover::{cover_loop, watch_of};
use super::reload::{Reload, Reloader};
use super::service::{ServiceError, assemble, stream_choice};
use super::stream::{allocation_loop, stream_loop};
use super::{Clock, Engine, Settled, Stream, Trouble, control, http, reload, webhooks};
use crate::journal::{self, HistoryBounds};
use crate::record::Side;
use crate::settings::{Effective, Settings};

/// The longest that a loop sleeps without looking around.
const TURN: Duration = Duration::from_secs(20);

/// How long the listing of what exists waits for its settling, at a time.
const BREATH: Duration = Duration::from_millis(500);

/// How long a settlement may take before the watchdog takes it for stuck. Calls give up within a
/// minute or two each, and a batch makes several.
const STUCK: Duration = Duration::from_secs(15 * 60);

/// How long the journal's thread may take to answer the watchdog.
const JOURNAL: Duration = Duration::from_secs(30);

/// How long to wait after a failure of the disk before it is tried again.
const DISK: Duration = Duration::from_secs(10);

/// How long to wait before a side that could not be used is asked again, at least.
const AGAIN: Duration = Duration::from_secs(5);

/// The journal's area and name under which the time of the last sweep stands.
const SWEEP: (&str, &str) = ("service", "last_sweep");

/// Lines of history that one round of pruning looks at.
const PRUNE: usize = 2_000;

/// What all loops share.
pub(super) struct Shared {
    pub engine: Arc<Engine>,
    pub settings: Settings,
    pub reloader: Reloader,
    /// Rung when there may be more to take in.
    pub take_in: Notify,
    stop: watch::Sender<bool>,
    /// When the settle loop last came round.
    beat: watch::Sender<Instant>,
    /// Whether both sides have let us in.
    started: watch::Sender<bool>,
    /// What ended the work.
    failed: watch::Sender<Option<journal::Error>>,
}

impl Shared {
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Waits until both sides have let us in; says whether to go on.
    pub async fn is_let_in(&self) -> bool {
        let mut started = self.started.subscribe();
        let mut stop = self.stopping();
        let ready = async {
            let _ = started.wait_for(|started| *started).await;
        };
        tokio::select! {
            biased;
            () = stopped(&mut stop) => false,
            () = ready => true,
        }
    }

    /// Waits, unless it is time to stop; says whether to go on.
    pub async fn pause(&self, length: Duration) -> bool {
        let mut stop = self.stopping();
        tokio::select! {
            biased;
            () = stopped(&mut stop) => false,
            () = tokio::time::sleep(length) => true,
        }
    }

    /// What a loop does about trouble: wait so long, or end where the journal is lost.
    pub fn heed(&self, doing: &'static str, trouble: &Trouble) -> Option<Duration> {
        match trouble {
            Trouble::Platform(error) => {
                tracing::warn!(%error, "{doing} did not come to its end");
                let now = self.engine.clock.now();
                let until = super::trouble::pause(error, now);
                let wait =
                    until.and_then(|until| Duration::try_from(until.duration_since(now)).ok());
                Some(wait.unwrap_or_default().max(AGAIN))
            }
            Trouble::Journal(error) if error.is_transient() => {
                tracing::error!(%error, hint = error.hint(), "{doing} did not come to its end");
                Some(DISK)
            }
            Trouble::Journal(error) => {
                tracing::error!(%error, hint = error.hint(), "the journal cannot be used: ending");
                self.failed.send_replace(Some(error.clone()));
                self.stop.send_replace(true);
                None
            }
            Trouble::Setup { message, hint } => {
                tracing::error!(%message, %hint, "{doing} did not come to its end");
                Some(Duration::from_secs(60))
            }
        }
    }
}

/// Runs until a signal ends it.
///
/// # Errors
/// Where it cannot start, or the journal is lost.
pub async fn run(effective: &Effective) -> Result<(), ServiceError> {
    let settings = effective.settings.clone();
    let system = |doing| move |source| ServiceError::System { doing, source };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("listen for signals"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(system("listen for signals"))?;
    // Before anybody can see that it runs: a signal that nobody listens for ends the process.
    let hangup = signal(SignalKind::hangup()).map_err(system("listen for signals"))?;
    // A listener that anyone could ask is refused before anything is opened.
    let clock = Clock::system();
    let door = settings.http.listen.map(|address| http::Door::new(effective, address, clock));
    let door = door.transpose()?;
    let receivers = super::handoff::receivers(effective)?;
    tell(&[NotifyState::Status("opening the journal")]);
    let engine = Arc::new(assemble(effective).await?);
    let socket = settings.directories.socket();
    let listener = match control::listen(&socket).await {
        Ok(listener) => listener,
        Err(source) => {
            engine.journal.close().await;
            return Err(ServiceError::Socket { path: socket, source });
        }
    };
    let shared = Arc::new(Shared {
        reloader: Reloader::new(&settings, Arc::clone(&engine)),
        engine,
        settings,
        take_in: Notify::new(),
        stop: watch::channel(false).0,
        beat: watch::channel(Instant::now()).0,
        started: watch::channel(false).0,
        failed: watch::channel(None).0,
    });
    let mut tasks = JoinSet::new();
    let office = Arc::new(Office::new(Arc::clone(&shared)));
    tasks.spawn(control::serve(listener, Arc::<Office>::clone(&office), shared.stopping()));
    if let (Some(address), Some(door)) = (shared.settings.http.listen, door) {
        let unfit = |source| ServiceError::Http { address, source };
        let listener = http::listen(address).await.map_err(unfit)?;
        let door = door.bound(listener.local_addr().map_err(unfit)?);
        tasks.spawn(http::serve(listener, office, door, shared.stopping()));
    }
    if let Some(door) = webhooks::open(effective, &shared.engine).await? {
        tasks.spawn(door.serve(shared.stopping()));
    }
    super::handoff::spawn(&mut tasks, &shared, receivers);
    // The last before it is told that all stands: signing in tells how that goes.
    spawn_loops(&mut tasks, &shared, hangup, watch_of(effective)?);
    tell(&[NotifyState::Ready, NotifyState::Status("signing in")]);
    tracing::info!(socket = %socket.display(), "running");

    let mut stop = shared.stopping();
    tokio::select! {
        biased;
        () = stopped(&mut stop) => {}
        _ = interrupt.recv() => tracing::info!("stopping: interrupted"),
        _ = terminate.recv() => tracing::info!("stopping: told to end"),
    }
    tell(&[NotifyState::Stopping, NotifyState::Status("ending what is under way")]);
    end(&shared, tasks).await;
    // The next start replaces it anyway; without it, clients see at once that nobody is there.
    let _ = std::fs::remove_file(&socket);
    let failed = shared.failed.borrow().clone();
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// Lets every task come to its boundary, within bounds, and closes the journal.
async fn end(shared: &Shared, mut tasks: JoinSet<()>) {
    shared.stop.send_replace(true);
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(shared.settings.service.stop, all).await.is_err() {
        tracing::warn!(left = tasks.len(), "cut off: taken up at the next start");
        tasks.shutdown().await;
    }
    shared.engine.journal.close().await;
    tracing::info!("stopped");
}

fn spawn_loops(
    tasks: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    hangup: Signal,
    watch: Option<webhooks::Watch>,
) {
    tasks.spawn(reload::watch_for_reloads(Arc::clone(shared), hangup));
    tasks.spawn(watchdog(Arc::clone(shared)));
    tasks.spawn(start(Arc::clone(shared)));
    tasks.spawn(settle_loop(Arc::clone(shared)));
    tasks.spawn(take_in_loop(Arc::clone(shared)));
    tasks.spawn(sweep_loop(Arc::clone(shared)));
    tasks.spawn(prune_loop(Arc::clone(shared)));
    let choice = stream_choice(&shared.settings);
    if watch.is_some() || choice.is_some() {
        tasks.spawn(cover_loop(Arc::clone(shared), watch, choice.clone()));
    }
    if let Some(choice) = choice {
        tasks.spawn(stream_loop(Arc::clone(shared), choice));
        tasks.spawn(allocation_loop(Arc::clone(shared)));
    }
    for side in Side::BOTH {
        let polling = &shared.settings.polling;
        let every = [(Stream::Changed, polling.interval(side)), (Stream::Deleted, polling.deletes)];
        for (stream, interval) in every {
            tasks.spawn(poll_loop(Arc::clone(shared), side, stream, interval));
        }
    }
}

/// Signs in on both sides, as often as it takes: a platform that is down when the machine starts, or
/// credentials that a person has yet to mend, are no reason to end.
async fn start(shared: Arc<Shared>) {
    loop {
        match shared.engine.start().await {
            Ok(()) => {
                tracing::info!("signed in on both sides");
                tell(&[NotifyState::Status("running")]);
                shared.started.send_replace(true);
                return;
            }
            Err(trouble) => {
                tell(&[NotifyState::Status(&format!("cannot sign in: {trouble}"))]);
                let Some(wait) = shared.heed("signing in", &trouble) else { return };
                if !shared.pause(wait).await {
                    return;
                }
            }
        }
    }
}

async fn settle_loop(shared: Arc<Shared>) {
    if !shared.is_let_in().await {
        return;
    }
    let mut stop = shared.stopping();
    while !*stop.borrow() {
        shared.beat.send_replace(Instant::now());
        let wait = match shared.engine.settle_due().await {
            Ok(settled) if settled.taken > 0 => {
                log(&settled);
                let rest = shared.engine.rest();
                if rest.is_zero() || shared.pause(rest).await {
                    continue;
                }
                return;
            }
            Ok(_) => idle(&shared).await,
            Err(trouble) => match shared.heed("settling", &trouble) {
                Some(wait) => wait,
                None => return,
            },
        };
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            () = shared.engine.wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Logs what settling came to. Thousands of echoes and unchanged records are no news.
fn log(settled: &Settled) {
    let Settled { taken, finished, postponed, held, put_back, .. } = *settled;
    let (hubspot, salesforce) = (settled.written.hubspot, settled.written.salesforce);
    if settled.is_quiet() {
        tracing::debug!(taken, finished, put_back, "settled");
    } else {
        tracing::info!(
            taken,
            finished,
            postponed,
            held,
            put_back,
            to_hubspot = hubspot,
            to_salesforce = salesforce,
            "settled"
        );
    }
}

/// How long there is nothing to settle.
async fn idle(shared: &Shared) -> Duration {
    match shared.engine.next_due().await {
        Ok(Some(due)) => {
            let left = due.duration_since(shared.engine.clock.now());
            Duration::try_from(left).unwrap_or_default().clamp(Duration::from_millis(10), TURN)
        }
        _ => TURN,
    }
}

async fn poll_loop(shared: Arc<Shared>, side: Side, stream: Stream, interval: Duration) {
    if !shared.is_let_in().await {
        return;
    }
    loop {
        let wait = match shared.engine.poll_due(side, stream).await {
            Ok(heeded) => {
                if heeded.heard > 0 {
                    tracing::debug!(%side, ?stream, heeded.listed, heeded.heard, "polled");
                }
                interval
            }
            Err(trouble) => match shared.heed("polling", &trouble) {
                Some(wait) => wait.max(interval),
                None => return,
            },
        };
        if !shared.pause(wait).await {
            return;
        }
    }
}

/// Takes in what exists, page by page, whenever a mapping asks for it.
async fn take_in_loop(shared: Arc<Shared>) {
    if !shared.is_let_in().await {
        return;
    }
    let mut stop = shared.stopping();
    while !*stop.borrow() {
        let page = match shared.engine.is_far_ahead().await {
            Ok(true) if shared.pause(BREATH).await => continue,
            Ok(true) => return,
            Ok(false) => shared.engine.backfill().await,
            Err(trouble) => Err(trouble),
        };
        let wait = match page {
            Ok(Some(_)) => continue,
            Ok(None) => TURN,
            Err(trouble) => match shared.heed("taking in what exists", &trouble) {
                Some(wait) => wait,
                None => return,
            },
        };
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            () = shared.take_in.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Sweeps when the last sweep, of whichever process, is old enough.
async fn sweep_loop(shared: Arc<Shared>) {
    if !shared.is_let_in().await {
        return;
    }
    loop {
        if let Err(trouble) = sweep_if_due(&shared).await
            && shared.heed("sweeping", &trouble).is_none()
        {
            return;
        }
        if !shared.pause(shared.settings.polling.sweep.min(Duration::from_secs(60))).await {
            return;
        }
    }
}

async fn sweep_if_due(shared: &Shared) -> Result<(), Trouble> {
    let (area, name) = SWEEP;
    let now = shared.engine.clock.now();
    let last: Option<jiff::Timestamp> = shared.engine.journal.kept(area, name).await?;
    let due = match last {
        // What exists is taken in at the first start anyway.
        None => false,
        Some(last) => {
            let age = Duration::try_from(now.duration_since(last)).unwrap_or_default();
            age >= shared.settings.polling.sweep
        }
    };
    if due {
        let links = shared.engine.sweep().await?;
        tracing::info!(links, "sweeping: every link is compared anew");
        shared.take_in.notify_one();
    }
    if due || last.is_none() {
        let mut commit = journal::Commit::new();
        commit.keep(area, name, &now);
        shared.engine.journal.commit(commit).await?;
    }
    Ok(())
}

/// Keeps history within its bounds, a little at a time.
async fn prune_loop(shared: Arc<Shared>) {
    if !shared.is_let_in().await {
        return;
    }
    let bounds = HistoryBounds {
        age: shared.engine.options.history_keep,
        per_link: shared.engine.options.history_lines,
    };
    loop {
        let now = shared.engine.clock.now();
        let wait = match shared.engine.journal.prune(bounds, now, PRUNE).await {
            Ok(pruned) if pruned.wrapped => Duration::from_secs(60 * 60),
            Ok(_) => Duration::from_secs(10),
            Err(error) => match shared.heed("pruning history", &error.into()) {
                Some(wait) => wait,
                None => return,
            },
        };
        if !shared.pause(wait).await {
            return;
        }
    }
}

/// Tells systemd that the service lives, for as long as the journal answers and settlements end.
async fn watchdog(shared: Arc<Shared>) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    while shared.pause(limit / 3).await {
        let beat = shared.beat.borrow().elapsed();
        let settles = !*shared.started.borrow() || beat < STUCK;
        let answers = tokio::time::timeout(JOURNAL, shared.engine.journal.ping()).await;
        if settles && matches!(answers, Ok(Ok(()))) {
            tell(&[NotifyState::Watchdog]);
        } else {
            tracing::error!(?beat, ?answers, "stuck: the watchdog is not told that all is well");
        }
    }
}

/// Tells systemd, where it listens.
pub(super) fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}

/// What came of reading the mapping files again, for systemd and the log.
pub(super) async fn reload_and_tell(shared: &Shared) -> Reload {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now().ok());
    tell(&states);
    let reload = shared.reloader.reload().await;
    let status = match &reload {
        Reload::Same => "running".to_owned(),
        Reload::Taken { mappings } => {
            format!("running; mappings in force: {}", mappings.join(", "))
        }
        Reload::Wrong { reason, .. } => format!("running with the last good mappings: {reason}"),
    };
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
    if matches!(reload, Reload::Taken { .. }) {
        shared.take_in.notify_one();
    }
    reload
}
