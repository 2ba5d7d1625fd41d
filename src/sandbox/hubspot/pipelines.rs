//! Pipelines of deals, and the lifecycle stages, which HubSpot shows as pipelines too.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::api::Answer;
use super::errors::{Refusal, categorized};
use super::object::Object;
use super::record::instant;
use super::standard::LIFECYCLE;
use super::world::Account;

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its id: the value of the stage property.
    pub id: String,
    /// What people see.
    pub label: String,
    /// What it says about its records; every value is text.
    pub metadata: BTreeMap<String, String>,
}

impl Stage {
    /// A stage of deals with a probability between 0 and 1, as text.
    #[must_use]
    pub fn of_deals(id: &str, label: &str, probability: &str) -> Self {
        let closed = matches!(probability, "1.0" | "0.0").to_string();
        let metadata = BTreeMap::from([
            ("isClosed".to_owned(), closed),
            ("probability".to_owned(), probability.to_owned()),
        ]);
        Self { id: id.to_owned(), label: label.to_owned(), metadata }
    }

    pub(super) fn of_lifecycle(id: &str, label: &str) -> Self {
        let metadata = BTreeMap::from([
            ("isClosed".to_owned(), "false".to_owned()),
            ("state".to_owned(), "OPEN".to_owned()),
        ]);
        Self { id: id.to_owned(), label: label.to_owned(), metadata }
    }

    /// Whether a deal in it is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.metadata.get("isClosed").is_some_and(|closed| closed == "true")
    }

    /// Whether a deal in it is won.
    #[must_use]
    pub fn is_won(&self) -> bool {
        self.is_closed()
            && self.metadata.get("probability").is_some_and(|probability| probability == "1.0")
    }
}

/// One pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// Its id: the value of the pipeline property.
    pub id: String,
    /// What people see.
    pub label: String,
    /// Its stages in order.
    pub stages: Vec<Stage>,
}

impl Pipeline {
    fn shown(&self, order: usize) -> Value {
        // Default pipelines carry the beginning of time.
        let at = instant(Timestamp::UNIX_EPOCH);
        let stages: Vec<Value> =
            self.stages.iter().enumerate().map(|(order, stage)| shown(stage, order)).collect();
        json!({
            "label": self.label,
            "displayOrder": order,
            "id": self.id,
            "stages": stages,
            "createdAt": at,
            "updatedAt": at,
            "archived": false,
        })
    }
}

fn shown(stage: &Stage, order: usize) -> Value {
    let at = instant(Timestamp::UNIX_EPOCH);
    json!({
        "label": stage.label,
        "displayOrder": order,
        "metadata": stage.metadata,
        "id": stage.id,
        "createdAt": at,
        "updatedAt": at,
        "archived": false,
        "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
    })
}

/// The pipelines of a fresh account.
#[must_use]
pub fn fresh() -> BTreeMap<Object, Vec<Pipeline>> {
    let deals = [
        ("appointmentscheduled", "Appointment Scheduled", "0.2"),
        ("qualifiedtobuy", "Qualified To Buy", "0.4"),
        ("presentationscheduled", "Presentation Scheduled", "0.6"),
        ("decisionmakerboughtin", "Decision Maker Bought-In", "0.8"),
        ("contractsent", "Contract Sent", "0.9"),
        ("closedwon", "Closed Won", "1.0"),
        ("closedlost", "Closed Lost", "0.0"),
    ];
    let sales = Pipeline {
        id: "default".to_owned(),
        label: "Sales Pipeline".to_owned(),
        stages: deals
            .iter()
            .map(|(id, label, probability)| Stage::of_deals(id, label, probability))
            .collect(),
    };
    let mut all = BTreeMap::from([(Object::Deal, vec![sales])]);
    for object in Object::ALL {
        if let Some(id) = object.lifecycle_pipeline() {
            let stages =
                LIFECYCLE.iter().map(|(id, label)| Stage::of_lifecycle(id, label)).collect();
            let label = "Lifecycle Stage Pipeline".to_owned();
            all.insert(object, vec![Pipeline { id: id.to_owned(), label, stages }]);
        }
    }
    all
}

/// `GET /crm/v3/pipelines/{object}`, or one pipeline of it, or its stages.
pub(super) fn get(account: &Account, object: Object, rest: &[&str]) -> Result<Answer, Refusal> {
    let missing = || categorized(404, "OBJECT_NOT_FOUND", "resource not found");
    let all = account.pipelines_of(object);
    let find = |id: &str| {
        all.iter().enumerate().find(|(_, pipeline)| pipeline.id == id).ok_or_else(missing)
    };
    match rest {
        [] => {
            let results: Vec<Value> =
                all.iter().enumerate().map(|(order, pipeline)| pipeline.shown(order)).collect();
            Ok(Answer::ok(json!({ "results": results })))
        }
        [id] => find(id).map(|(order, pipeline)| Answer::ok(pipeline.shown(order))),
        [id, "stages"] => {
            let stages = find(id)?.1.stages.iter().enumerate();
            let results: Vec<Value> = stages.map(|(order, stage)| shown(stage, order)).collect();
            Ok(Answer::ok(json!({ "results": results })))
        }
        [id, "stages", stage] => {
            let mut stages = find(id)?.1.stages.iter().enumerate();
            let (order, stage) = stages.find(|(_, at)| at.id == *stage).ok_or_else(missing)?;
            Ok(Answer::ok(shown(stage, order)))
        }
        _ => Err(missing()),
    }
}
