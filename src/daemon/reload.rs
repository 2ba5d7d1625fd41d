//! Mapping files that change while the service runs.
//!
//! Wrong ones leave the last good ones in force, and `status` says so until they are right.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;

use super::Engine;
use super::control::stopped;
use super::engine::lock;
use super::run::{Shared, reload_and_tell};
use super::{Trouble, read_mappings};
use crate::mapping::load;
use crate::settings::Settings;

/// How long the files must be quiet: editors write in several steps, and a deployment several files.
const QUIET: Duration = Duration::from_millis(500);

/// What came of reading the mapping files again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Reload {
    /// They mean what they meant.
    Same,
    /// They are in force now.
    Taken {
        /// The mappings' names.
        mappings: Vec<String>,
    },
    /// They are wrong: the last good ones stay in force.
    Wrong {
        /// How many mistakes there are.
        reason: String,
        /// All of them, one a line.
        mistakes: String,
        /// Since when they are wrong.
        since: Timestamp,
    },
}

/// Reads the mapping files again.
pub struct Reloader {
    folder: PathBuf,
    engine: Arc<Engine>,
    wrong: Mutex<Option<Reload>>,
    /// One reload at a time: a signal and a saved file often come together.
    turn: tokio::sync::Mutex<()>,
}

impl Reloader {
    /// For the settings' directory.
    pub(super) fn new(settings: &Settings, engine: Arc<Engine>) -> Self {
        let folder = settings.directories.mappings.clone();
        Self { folder, engine, wrong: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// What is wrong with the files as they are now, if anything is.
    pub(super) fn wrong(&self) -> Option<Reload> {
        lock(&self.wrong).clone()
    }

    /// Reads the files and puts them in force if they are right.
    pub(super) async fn reload(&self) -> Reload {
        let _turn = self.turn.lock().await;
        let read = read_mappings(&self.folder).map_err(|error| {
            let reason = format!("{error}: {}", error.source);
            (reason.clone(), reason)
        });
        let loaded = read.and_then(|files| match files.is_empty() {
            // An empty folder is a deployment that went wrong, not a wish to sync nothing.
            true => Err(("there is no mapping file".to_owned(), self.folder.display().to_string())),
            false => load(files).map_err(|report| (report.to_string(), report.plain())),
        });
        let mappings = match loaded {
            Ok(mappings) => mappings,
            Err((reason, mistakes)) => return self.note_wrong(reason, mistakes),
        };
        *lock(&self.wrong) = None;
        if mappings.fingerprints() == self.engine.mappings().fingerprints() {
            tracing::info!("the mapping files mean what they meant");
            return Reload::Same;
        }
        let names = mappings.list.iter().map(|mapping| mapping.name.clone()).collect();
        self.engine.replace_mappings(mappings);
        tracing::info!(mappings = ?names, "other mappings are in force");
        match self.engine.note_mappings().await {
            Ok(()) => {}
            // They are in force; what has to be taken in is noted at the next start or reload.
            Err(Trouble::Journal(error)) => {
                tracing::error!(%error, "cannot note what has to be taken in");
            }
            Err(error) => tracing::warn!(%error, "cannot note what has to be taken in"),
        }
        self.engine.rouse();
        Reload::Taken { mappings: names }
    }

    fn note_wrong(&self, reason: String, mistakes: String) -> Reload {
        tracing::error!(
            %reason, "the mapping files are wrong: the last good ones stay in force\n{mistakes}"
        );
        let mut wrong = lock(&self.wrong);
        let since = match &*wrong {
            Some(Reload::Wrong { since, .. }) => *since,
            _ => self.engine.clock.now(),
        };
        let reload = Reload::Wrong { reason, mistakes, since };
        *wrong = Some(reload.clone());
        reload
    }
}

/// Reads the files again when SIGHUP comes or, where the settings say so, when one is saved.
pub(super) async fn watch_for_reloads(shared: Arc<Shared>, mut hangup: Signal) {
    let (saved, mut saves) = mpsc::channel(1);
    // It watches for as long as it is held.
    let _watcher = watch_folder(&shared.settings, saved);
    let mut stop = shared.stopping();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            _ = hangup.recv() => {}
            Some(()) = saves.recv() => {
                while tokio::time::timeout(QUIET, saves.recv()).await.is_ok_and(|more| more.is_some()) {}
            }
        }
        reload_and_tell(&shared).await;
    }
}

/// Watches the directory and not the files: editors save by putting a new file in the old one's
/// place.
fn watch_folder(settings: &Settings, saved: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    if !settings.mappings.reload_on_save {
        return None;
    }
    let folder = &settings.directories.mappings;
    let on_event = move |event: notify::Result<notify::Event>| {
        let matters = event.is_ok_and(|event| {
            !event.kind.is_access()
                && event.paths.iter().any(|path| path.extension().is_some_and(|end| end == "toml"))
        });
        if matters {
            // Full means that one is waiting already.
            let _ = saved.try_send(());
        }
    };
    let watcher = notify::recommended_watcher(on_event).and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    match watcher {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, "saved mapping files are not noticed: use SIGHUP");
            None
        }
    }
}
