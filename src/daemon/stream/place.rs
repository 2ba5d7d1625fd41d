//! Which topics are followed, and how far each was read.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::daemon::{Engine, Trouble};
use crate::journal::CursorName;
use crate::platform::salesforce::pubsub::{Replay, ReplayId};
use crate::record::Side;

/// Where change events are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamChoice {
    /// A stream of each object's own.
    Entities,
    /// One channel that carries all of them: `/data/ChangeEvents`, `/data/Leads__chn`.
    Channel(String),
}

/// One topic to follow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicPlan {
    /// Its name: `/data/LeadChangeEvent`. Upper and lower case count.
    pub topic: String,
    /// The objects whose changes it brings.
    pub objects: BTreeSet<String>,
}

/// How far a topic was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Behind which event to go on, in hexadecimal. Nothing: at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// The objects that are to be compared as a whole, because word of changes was lost.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub compare: BTreeSet<String>,
    /// Why that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Place {
    /// The place is lost: begin at the latest, and compare everything once that is known.
    pub(super) fn lost(plan: &TopicPlan, why: &str) -> Self {
        Self { replay: None, compare: plan.objects.clone(), why: Some(why.to_owned()) }
    }

    /// Where to subscribe from.
    pub(super) fn from(&self) -> Replay {
        let known = self.replay.as_deref().and_then(ReplayId::from_text);
        known.map_or(Replay::Latest, Replay::After)
    }
}

/// The topic of one object's changes. (Change Data Capture Developer Guide, "Subscription
/// Channels".)
fn topic_of(object: &str) -> String {
    match object.strip_suffix("__c") {
        Some(custom) => format!("/data/{custom}__ChangeEvent"),
        None => format!("/data/{object}ChangeEvent"),
    }
}

fn cursor_name(topic: &str) -> CursorName {
    CursorName { side: Side::Salesforce, object: topic.to_owned(), stream: "events".to_owned() }
}

impl Engine {
    /// The topics that bring the changes of every Salesforce object that some mapping is about.
    #[must_use]
    pub fn topics(&self, choice: &StreamChoice) -> BTreeSet<TopicPlan> {
        let objects = self.asks(Side::Salesforce).into_keys();
        match choice {
            StreamChoice::Entities => objects
                .map(|object| TopicPlan {
                    topic: topic_of(&object),
                    objects: BTreeSet::from([object]),
                })
                .collect(),
            StreamChoice::Channel(topic) => {
                let plan = TopicPlan { topic: topic.clone(), objects: objects.collect() };
                BTreeSet::from([plan]).into_iter().filter(|plan| !plan.objects.is_empty()).collect()
            }
        }
    }

    /// How far a topic was read. What is remembered in a form that is not ours counts as lost.
    pub(super) async fn place(&self, plan: &TopicPlan) -> Result<Place, Trouble> {
        let Some(entry) = self.journal.cursor(cursor_name(&plan.topic)).await? else {
            return Ok(Place::default());
        };
        Ok(serde_json::from_str(&entry.place).unwrap_or_else(|_| {
            Place::lost(plan, &format!("the remembered place in {} is not ours", plan.topic))
        }))
    }

    /// Remembers a place by itself.
    pub(super) async fn remember_place(
        &self,
        plan: &TopicPlan,
        place: Place,
    ) -> Result<(), Trouble> {
        let (name, text) = written(plan, &place);
        self.journal.hear(Vec::new(), Some((name, text, self.clock.now()))).await?;
        Ok(())
    }
}

/// A place as the journal keeps it.
pub(super) fn written(plan: &TopicPlan, place: &Place) -> (CursorName, String) {
    // A struct of text can always be written as JSON.
    (cursor_name(&plan.topic), serde_json::to_string(place).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_no_replay_id_begins_at_the_latest() {
        for (replay, wanted) in [
            (None, Replay::Latest),
            (Some("00ff"), Replay::After(ReplayId(vec![0, 255]))),
            (Some("zz"), Replay::Latest),
        ] {
            let place = Place { replay: replay.map(str::to_owned), ..Place::default() };
            assert_eq!(place.from(), wanted);
            let text = serde_json::to_string(&place).unwrap();
            assert_eq!(serde_json::from_str::<Place>(&text).unwrap(), place);
        }
    }

    #[test]
    fn each_object_has_a_topic() {
        assert_eq!(topic_of("Lead"), "/data/LeadChangeEvent");
        assert_eq!(topic_of("Meter__c"), "/data/Meter__ChangeEvent");
    }
}
