//! The fields that the platform computes.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::table::Record;
use super::time;
use super::world::Org;

/// The statuses of a task that close it.
pub(super) const TASK_DONE: &str = "Completed";

impl Org {
    /// Fills in what follows from the other values. `named` says which fields the writer set.
    pub(super) fn derive(
        &self,
        row: &mut Record,
        old: Option<&Record>,
        named: &[&str],
        now: Timestamp,
    ) {
        match &*row.object.clone() {
            "Lead" => {
                person_name(row);
                if row.get("Status").is_null() {
                    row.set("Status", self.default_lead_status());
                }
            }
            "Contact" => {
                person_name(row);
                let bounced = !row.get("EmailBouncedDate").is_null();
                row.set("IsEmailBounced", json!(bounced));
            }
            "Opportunity" => self.stage(row, old, named),
            "Task" => self.task(row, old, now),
            "CampaignMember" => self.member_status(row, now),
            _ => {}
        }
    }

    /// The stage decides what it is to be open, won, likely and forecast.
    fn stage(&self, row: &mut Record, old: Option<&Record>, named: &[&str]) {
        let Some(stage) = row.text("StageName").map(str::to_owned) else { return };
        if let Some(setup) = self.setup_row("OpportunityStage", &stage).cloned() {
            row.set("IsClosed", json!(setup.flag("IsClosed")));
            row.set("IsWon", json!(setup.flag("IsWon")));
            row.set("ForecastCategory", setup.get("ForecastCategory").clone());
            let moved = old.is_none_or(|o| o.text("StageName") != Some(&stage));
            if moved && !named.contains(&"Probability") {
                row.set("Probability", setup.get("DefaultProbability").clone());
            }
            if moved && !named.contains(&"ForecastCategoryName") {
                row.set("ForecastCategoryName", setup.get("ForecastCategoryName").clone());
            }
        }
        let expected = match (row.get("Amount").as_f64(), row.get("Probability").as_f64()) {
            (Some(amount), Some(probability)) => json!((amount * probability).round() / 100.0),
            _ => Value::Null,
        };
        row.set("ExpectedRevenue", expected);
    }

    fn task(&self, row: &mut Record, old: Option<&Record>, now: Timestamp) {
        let done = row.text("Status") == Some(TASK_DONE);
        row.set("IsClosed", json!(done));
        let high = row.text("Priority") == Some("High");
        row.set("IsHighPriority", json!(high));
        if !done {
            row.set("CompletedDateTime", Value::Null);
        } else if old.is_none_or(|o| !o.flag("IsClosed")) {
            row.set("CompletedDateTime", json!(time::datetime(time::seconds(now))));
        }
        let of = |field: &str, object: &str| {
            row.text(field).and_then(|id| self.record(id)).filter(|r| &*r.object == object)
        };
        let account = of("WhatId", "Account").map(|a| json!(&*a.id)).or_else(|| {
            of("WhatId", "Opportunity")
                .or_else(|| of("WhoId", "Contact"))
                .map(|r| r.get("AccountId").clone())
        });
        row.set("AccountId", account.unwrap_or(Value::Null));
    }

    /// Computes `LastActivityDate` of a record anew: the latest due day of its closed tasks. That
    /// moves none of the record's stamps and tells nobody, as on the platform.
    pub(super) fn refresh_activity(&mut self, id: &str) {
        let Some(row) = self.record(id).cloned() else { return };
        let Some(object) = self.object(&row.object) else { return };
        if object.field("LastActivityDate").is_none() {
            return;
        }
        let Some(tasks) = self.table("Task") else { return };
        let key = id.to_lowercase();
        let last = ["WhoId", "WhatId", "AccountId"]
            .into_iter()
            .flat_map(|field| tasks.holding(field, &key))
            .filter_map(|task| tasks.get(task))
            .filter(|t| t.deleted_at.is_none() && t.flag("IsClosed"))
            .filter_map(|t| t.text("ActivityDate"))
            .max()
            .map_or(Value::Null, |day| json!(day));
        if *row.get("LastActivityDate") != last {
            let mut row = row;
            std::sync::Arc::make_mut(&mut row).set("LastActivityDate", last);
            self.put_silently(row);
        }
    }
}

fn person_name(row: &mut Record) {
    let name = match (row.text("FirstName"), row.text("LastName")) {
        (Some(first), Some(last)) => format!("{first} {last}"),
        (first, last) => first.or(last).unwrap_or_default().to_owned(),
    };
    row.set("Name", if name.is_empty() { Value::Null } else { json!(name) });
}
