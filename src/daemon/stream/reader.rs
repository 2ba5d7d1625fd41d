//! One subscription: reads, asks for more, and hands over to be written down, all at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use super::TopicPlan;
use super::place::Place;
use crate::daemon::intake::PushState;
use crate::daemon::{Engine, Trouble};
use crate::platform::salesforce::pubsub::{EventError, EventStream, Events, Fetched};

/// How many events may be owed at a time: what Salesforce allows.
pub(super) const WINDOW: u32 = 100;

/// How many events may wait to be written down. No more are asked for then; a stream that is owed
/// nothing is closed after a minute, and begins again behind what was written down.
const HELD: usize = 1_000;

/// How long a request for more events may be on its way. The server's own count of what it owes is
/// believed only when none can be.
const ON_ITS_WAY: Duration = Duration::from_secs(10);

/// How often it is looked whether a comparison has come to its end.
const LOOK: Duration = Duration::from_secs(2);

/// What ended a subscription.
pub(super) enum End {
    /// The journal cannot be used.
    Journal(Trouble),
    /// Nothing was heard for too long.
    Silent,
    /// Salesforce ended it, or does not say what an event means.
    Events(EventError),
}

impl From<Trouble> for End {
    fn from(trouble: Trouble) -> Self {
        Self::Journal(trouble)
    }
}

impl From<EventError> for End {
    fn from(error: EventError) -> Self {
        Self::Events(error)
    }
}

/// How many events are owed.
#[derive(Debug)]
pub(super) struct Owed {
    count: u32,
    asked: Instant,
}

impl Owed {
    pub(super) const fn new(now: Instant) -> Self {
        Self { count: WINDOW, asked: now }
    }

    /// Takes note of an answer.
    pub(super) fn answered(&mut self, fetched: &Fetched, now: Instant) {
        let events = u32::try_from(fetched.events.len()).unwrap_or(u32::MAX);
        self.count = self.count.saturating_sub(events);
        if events == 0 && now.duration_since(self.asked) > ON_ITS_WAY {
            self.count = fetched.pending.min(WINDOW);
        }
    }

    /// How many more to ask for, where so many events wait to be written down.
    pub(super) fn more(&mut self, held: usize, now: Instant) -> Option<u32> {
        let more = WINDOW.saturating_sub(self.count);
        if more == 0 || held >= HELD {
            return None;
        }
        self.count += more;
        self.asked = now;
        Some(more)
    }
}

/// One subscription under way.
pub(super) struct Reader<'a> {
    engine: &'a Engine,
    events: &'a Arc<Events>,
    plan: &'a TopicPlan,
    stream: Box<dyn EventStream>,
    place: Place,
    owed: Owed,
    waiting: VecDeque<Fetched>,
    held: usize,
    /// When something was last heard, or could have been.
    heard: Instant,
    answered: bool,
    /// Whether a comparison was put in line and has not come to its end.
    comparing: bool,
}

enum Step {
    Done(Result<Place, End>),
    Heard(Result<Fetched, EventError>),
    Silent,
    Look,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        events: &'a Arc<Events>,
        plan: &'a TopicPlan,
        stream: Box<dyn EventStream>,
        place: Place,
        now: Instant,
    ) -> Self {
        Self {
            engine,
            events,
            plan,
            stream,
            comparing: place.why.is_some(),
            place,
            owed: Owed::new(now),
            waiting: VecDeque::new(),
            held: 0,
            heard: now,
            answered: false,
        }
    }

    /// Whether the server said anything that could be written down. A stream that opens and brings what
    /// cannot be taken in is no success.
    pub(super) const fn answered(&self) -> bool {
        self.answered
    }

    /// Reads until the subscription ends.
    pub(super) async fn run(&mut self) -> End {
        let (engine, events, plan) = (self.engine, self.events, self.plan);
        let mut work: Option<BoxFuture<'_, Result<Place, End>>> = None;
        loop {
            if work.is_none()
                && let Some(fetched) = self.all_that_waits()
            {
                let place = self.place.clone();
                work = Some(Box::pin(engine.take_in_events(events, plan, place, fetched)));
            }
            if let Some(more) = self.owed.more(self.held, Instant::now())
                && let Err(error) = self.stream.request(more).await
            {
                // The stream itself says better why.
                tracing::debug!(%error, "no more events can be asked for");
            }
            let listens = self.held < HELD;
            if !listens {
                self.heard = Instant::now();
            }
            let step = {
                let silent = sleep_until(self.heard + engine.options.stream.silence);
                let look = sleep_until(Instant::now() + LOOK);
                tokio::select! {
                    biased;
                    done = until_done(&mut work) => Step::Done(done),
                    heard = self.stream.next(), if listens => {
                        Step::Heard(heard.map_err(EventError::from))
                    }
                    () = silent, if listens => Step::Silent,
                    () = look, if self.comparing => Step::Look,
                }
            };
            match step {
                Step::Done(result) => {
                    work = None;
                    match result {
                        Ok(place) => self.took(place),
                        Err(end) => return end,
                    }
                    self.tell().await;
                }
                Step::Heard(Ok(fetched)) => self.take(fetched),
                Step::Heard(Err(error)) => return self.finish(work, error).await,
                Step::Silent => return End::Silent,
                Step::Look => self.tell().await,
            }
        }
    }

    fn take(&mut self, fetched: Fetched) {
        let now = Instant::now();
        self.heard = now;
        self.owed.answered(&fetched, now);
        self.held += fetched.events.len();
        self.waiting.push_back(fetched);
    }

    /// Everything that waits to be written down, as one delivery: one commit serves what arrived
    /// while the journal was at work.
    fn all_that_waits(&mut self) -> Option<Fetched> {
        let mut all = self.waiting.pop_front()?;
        for more in self.waiting.drain(..) {
            all.events.extend(more.events);
            all.latest = more.latest;
        }
        self.held = 0;
        Some(all)
    }

    /// Something was written down, with this place behind it.
    fn took(&mut self, place: Place) {
        self.place = place;
        self.answered = true;
    }

    /// The stream ended: what it brought before is written down first, so that it need not come
    /// again.
    async fn finish(
        &mut self,
        work: Option<BoxFuture<'_, Result<Place, End>>>,
        error: EventError,
    ) -> End {
        if let Some(work) = work {
            match work.await {
                Ok(place) => self.took(place),
                Err(end) => return end,
            }
        }
        if let Some(fetched) = self.all_that_waits() {
            let place = self.place.clone();
            match self.engine.take_in_events(self.events, self.plan, place, fetched).await {
                Ok(place) => self.took(place),
                Err(end) => return end,
            }
        }
        End::Events(error)
    }

    /// Says how well word arrives, now that the server has answered.
    async fn tell(&mut self) {
        let why = self.place.why.clone();
        let still = why.is_some()
            && match self.engine.is_comparing(&self.plan.objects).await {
                Ok(still) => still || !self.place.compare.is_empty(),
                Err(_) => true,
            };
        self.comparing = still;
        match why.filter(|_| still) {
            Some(why) => self.engine.recovering(self.plan, &why),
            None => {
                if self.place.why.take().is_some() {
                    tracing::info!(topic = %self.plan.topic, "everything was compared: the stream is relied upon again");
                }
                self.engine.push_state(self.plan, &PushState::Healthy);
            }
        }
    }
}

async fn until_done(work: &mut Option<BoxFuture<'_, Result<Place, End>>>) -> Result<Place, End> {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::salesforce::pubsub::{RawEvent, ReplayId};

    fn brought(events: usize, pending: u32) -> Fetched {
        let event = RawEvent {
            id: "e".into(),
            schema_id: "s".into(),
            payload: Vec::new(),
            replay: ReplayId(vec![1]),
        };
        Fetched { events: vec![event; events], latest: ReplayId(vec![1]), pending }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_delivered_is_asked_for_again_and_never_more_than_allowed() {
        let mut owed = Owed::new(Instant::now());
        assert_eq!(owed.more(0, Instant::now()), None, "all of it is owed");
        owed.answered(&brought(30, 70), Instant::now());
        assert_eq!(owed.more(30, Instant::now()), Some(30));
        // The server's answer crossed our request: by its count, 30 could be asked for once more.
        owed.answered(&brought(10, 60), Instant::now());
        assert_eq!(owed.more(40, Instant::now()), Some(10));
        owed.answered(&brought(0, 60), Instant::now());
        assert_eq!(owed.more(40, Instant::now()), None);
        // Long after the last request, the server knows better.
        tokio::time::advance(Duration::from_secs(60)).await;
        owed.answered(&brought(0, 60), Instant::now());
        assert_eq!(owed.more(0, Instant::now()), Some(40));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_asked_for_while_too_much_waits_to_be_written_down() {
        let mut owed = Owed::new(Instant::now());
        owed.answered(&brought(100, 0), Instant::now());
        assert_eq!(owed.more(HELD, Instant::now()), None);
        assert_eq!(owed.more(HELD - 1, Instant::now()), Some(100));
    }
}
