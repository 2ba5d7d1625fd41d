//! Follows Salesforce's change events.
//!
//! [`Engine::follow`] reads one topic for as long as it is let. What an event says becomes durable
//! in one commit with the place behind it, so that a crash repeats events rather than lose them;
//! hearing one twice does no harm. Reading and writing down go side by side: the server is asked for
//! more as soon as it has delivered, not when the journal is done, because a stream that is owed
//! nothing is closed after a minute.
//!
//! A place that the server no longer knows is lost, and so may be what happened behind it. The rule
//! is then: begin at the latest place, and once the server has answered there, compare everything.
//! In this order nothing falls between the two: what happened before the answer is seen by the
//! comparing, what happens after it arrives. That a comparison is owed stands in the journal with
//! the place, so that a crash does not forget it.

mod deliveries;
mod place;
mod reader;
mod supervise;
mod take_in;

pub use deliveries::Deliveries;
pub(super) use deliveries::Tally;
pub use place::{StreamChoice, TopicPlan};
pub(super) use supervise::{allocation_loop, stream_loop};

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::intake::PushState;
use super::{Engine, Trouble};
use crate::platform::salesforce::pubsub::{Cure, EventError, Events};
use crate::record::{Side, Source};
use place::Place;
use reader::End;

/// How streams are followed.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// A stream that says nothing for so long is taken for dead. Salesforce says something every 60
    /// to 270 seconds.
    pub silence: Duration,
    /// The longest first pause before a stream that broke is opened again. It doubles each time.
    pub first_pause: Duration,
    /// The longest such pause.
    pub longest_pause: Duration,
    /// The pause where a person has to act, or the org's deliveries are used up. Salesforce takes up
    /// to ten minutes to heed a changed permission.
    pub long_pause: Duration,
    /// Events that may be delivered in 24 hours, where the settings say so; otherwise the org is
    /// asked.
    pub allocation: Option<u64>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(300),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            long_pause: Duration::from_secs(600),
            allocation: None,
        }
    }
}

/// How often a stream may break in a row before people are told: that one breaks is routine.
const ROUTINE: u32 = 2;

/// What came of one subscription.
struct Ran {
    end: End,
    /// Whether the server answered at all.
    answered: bool,
}

impl Engine {
    /// Follows one topic until the journal cannot be used. Dropping it is safe at any moment: the
    /// place is in the journal.
    pub async fn follow(&self, events: &Arc<Events>, plan: &TopicPlan) -> Trouble {
        let mut failures = 0;
        loop {
            let ran = match self.read_on(events, plan).await {
                Ok(ran) => ran,
                Err(trouble) => return trouble,
            };
            failures = if ran.answered { 1 } else { failures + 1 };
            let wait = match ran.end {
                End::Journal(trouble) => return trouble,
                End::Silent => {
                    tracing::warn!(topic = %plan.topic, "the stream went silent: opening another");
                    self.broken(plan, failures, "the stream went silent", None);
                    self.stream_pause(failures)
                }
                End::Events(error) => match self.cure(events, plan, &error, failures).await {
                    Ok(wait) => wait,
                    Err(trouble) => return trouble,
                },
            };
            sleep(wait).await;
        }
    }

    /// Does what an error asks for, and says how long to wait before the topic is read again.
    async fn cure(
        &self,
        events: &Events,
        plan: &TopicPlan,
        error: &EventError,
        failures: u32,
    ) -> Result<Duration, Trouble> {
        let (cure, hint) = error.cure();
        let why = error.to_string();
        if let EventError::Stream(error) = error {
            let rpc = error.rpc_id.as_deref().unwrap_or_default();
            tracing::warn!(topic = %plan.topic, %why, %rpc, ?cure, "the stream of change events ended");
        } else {
            tracing::warn!(topic = %plan.topic, %why, ?cure, "change events cannot be had");
        }
        let long = self.options.stream.long_pause;
        Ok(match cure {
            Cure::Retry => {
                self.broken(plan, failures, &why, hint);
                self.stream_pause(failures)
            }
            Cure::RetrySlowly => {
                self.broken(plan, failures, &why, hint);
                self.options.stream.longest_pause.max(self.stream_pause(failures))
            }
            Cure::SignIn => {
                if let EventError::Stream(error) = error {
                    events.look_at(error).await;
                }
                self.broken(plan, failures, &why, hint);
                self.stream_pause(failures)
            }
            Cure::LosePlace => {
                let why = format!("the place in {} is no longer known", plan.topic);
                self.remember_place(plan, Place::lost(plan, &why)).await?;
                self.recovering(plan, &why);
                // Where even the latest place is refused, it is no use to hurry.
                if failures > ROUTINE { self.stream_pause(failures) } else { Duration::ZERO }
            }
            Cure::WaitForAllocation | Cure::Person => {
                self.push_state(plan, &PushState::Down { why, hint });
                long
            }
        })
    }

    /// Notes that a stream broke. That it does now and then is routine: people are told when it
    /// does not come back at once. It is not relied upon either way.
    fn broken(&self, plan: &TopicPlan, failures: u32, why: &str, hint: Option<String>) {
        let state = if failures <= ROUTINE {
            PushState::Starting
        } else {
            PushState::Down { why: why.to_owned(), hint }
        };
        self.push_state(plan, &state);
    }

    fn recovering(&self, plan: &TopicPlan, why: &str) {
        self.push_state(plan, &PushState::Recovering { why: why.to_owned() });
    }

    /// Notes how word of every object of a topic arrives.
    fn push_state(&self, plan: &TopicPlan, state: &PushState) {
        let now = self.clock.now();
        for object in &plan.objects {
            self.intake.set_push(Side::Salesforce, object, Source::Stream, state.clone(), now);
        }
    }

    /// The pause after so many failures in a row: full jitter below a bound that doubles.
    fn stream_pause(&self, failures: u32) -> Duration {
        let options = &self.options.stream;
        let most = options.first_pause.saturating_mul(1 << failures.saturating_sub(1).min(16));
        self.jitter(most.min(options.longest_pause))
    }

    /// One subscription, from where we are to its end.
    async fn read_on(&self, events: &Arc<Events>, plan: &TopicPlan) -> Result<Ran, Trouble> {
        let place = self.place(plan).await?;
        match &place.why {
            Some(why) if !place.compare.is_empty() => self.recovering(plan, why),
            _ => {
                // What another object's topic or an earlier failure says is told until it answers.
                for object in &plan.objects {
                    if self.intake.push(Side::Salesforce, object).is_none() {
                        self.push_state(plan, &PushState::Starting);
                    }
                }
            }
        }
        let opened = events.subscribe(&plan.topic, &place.from(), reader::WINDOW).await;
        let stream = match opened {
            Ok(stream) => stream,
            Err(error) => return Ok(Ran { end: End::Events(error), answered: false }),
        };
        tracing::debug!(topic = %plan.topic, from = ?place.from(), "subscribed");
        let mut reader = reader::Reader::new(self, events, plan, stream, place, Instant::now());
        let end = reader.run().await;
        Ok(Ran { end, answered: reader.answered() })
    }
}
