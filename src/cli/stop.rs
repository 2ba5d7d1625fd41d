//! Being asked to stop by the system: Ctrl-C on a terminal, or a supervisor's request.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Exit, Failure};

/// Waits for a person or the system to ask for a stop. As soon as it listens, the process no longer
/// ends by these signals by itself.
#[derive(Debug)]
pub(super) struct Stop {
    /// None: nobody asks.
    signals: Option<(Signal, Signal)>,
}

impl Stop {
    /// Listens from now on.
    ///
    /// # Errors
    /// Where the system does not let it.
    pub fn listen() -> Result<Self, Failure> {
        let on = |kind| {
            signal(kind)
                .map_err(|error| Failure::of(Exit::Internal, "cannot listen for signals", &error))
        };
        Ok(Self { signals: Some((on(SignalKind::interrupt())?, on(SignalKind::terminate())?)) })
    }

    /// Nobody asks: for tests, whose process ends as it always does.
    #[cfg(test)]
    pub const fn never() -> Self {
        Self { signals: None }
    }

    /// Ends when a stop is asked for.
    pub async fn asked(&mut self) {
        let Some((interrupt, terminate)) = &mut self.signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            biased;
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
