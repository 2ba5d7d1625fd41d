//! What an admin has set up to refuse or alter writes, as data.

use serde_json::{Value, json};

use super::id::Id;
use super::refusal::{Code, Refusal};
use super::schema::Object;
use super::table::Record;
use super::world::Org;

/// Refuses a record whose field holds a value.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidationRule {
    /// The object it watches.
    pub object: String,
    /// The field it looks at and blames.
    pub field: String,
    /// The value that it refuses; null refuses an empty field.
    pub forbidden: Value,
    /// What it says.
    pub message: String,
}

/// What a duplicate rule does with a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateAction {
    /// Refuses unless the caller sends `allowSave=true`.
    Alert,
    /// Refuses.
    Block,
}

/// Refuses a new record whose e-mail address another record has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateRule {
    /// The rule's API name.
    pub name: String,
    /// The object it watches.
    pub object: String,
    /// The objects whose `Email` it compares with.
    pub against: Vec<String>,
    /// What it does with a match.
    pub action: DuplicateAction,
    /// What it says.
    pub message: String,
}

/// What a custom field of a lead becomes when the lead is converted; others are not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadFieldMap {
    /// The lead's field.
    pub lead_field: String,
    /// The object that gets its value: Account, Contact or Opportunity.
    pub object: String,
    /// The field that gets it.
    pub field: String,
}

/// All rules of an org. A fresh org has none active.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The validation rules.
    pub validation: Vec<ValidationRule>,
    /// The duplicate rules.
    pub duplicates: Vec<DuplicateRule>,
    /// Whom the active assignment rule for leads gives every lead to that the API creates or
    /// updates without `Sforce-Auto-Assign: FALSE`: a user or a queue.
    pub lead_assignment: Option<Id>,
    /// What custom fields of leads become by converting.
    pub lead_fields: Vec<LeadFieldMap>,
}

impl Org {
    pub(super) fn run_validation_rules(
        &self,
        object: &Object,
        row: &Record,
    ) -> Result<(), Refusal> {
        for rule in &self.rules.validation {
            if !rule.object.eq_ignore_ascii_case(&object.name) {
                continue;
            }
            let Some(field) = object.field(&rule.field) else { continue };
            if *row.get(&field.name) == rule.forbidden {
                let fields: &[&str] = &[&field.name];
                return Err(Refusal::row(
                    Code::FieldCustomValidationException,
                    &rule.message,
                    fields,
                ));
            }
        }
        Ok(())
    }

    pub(super) fn run_duplicate_rules(
        &self,
        object: &Object,
        row: &Record,
        allow_save: bool,
    ) -> Result<(), Refusal> {
        let Some(email) = row.text("Email") else { return Ok(()) };
        for rule in &self.rules.duplicates {
            if !rule.object.eq_ignore_ascii_case(&object.name)
                || (allow_save && rule.action == DuplicateAction::Alert)
            {
                continue;
            }
            let results: Vec<Value> = rule
                .against
                .iter()
                .filter_map(|other| self.matches(other, email, &row.id, rule))
                .collect();
            if results.is_empty() {
                continue;
            }
            let duplicates = json!({
                "allowSave": rule.action == DuplicateAction::Alert,
                "duplicateRule": rule.name,
                "duplicateRuleEntityType": &*object.name,
                "errorMessage": rule.message,
                "matchResults": results,
            });
            return Err(Refusal {
                code: Code::DuplicatesDetected,
                message: rule.message.clone(),
                fields: None,
                duplicates: Some(Box::new(duplicates)),
            });
        }
        Ok(())
    }

    fn matches(&self, other: &str, email: &str, own: &str, rule: &DuplicateRule) -> Option<Value> {
        let object = self.object(other)?;
        let table = self.table(&object.name)?;
        let records: Vec<Value> = table
            .holding("Email", &email.to_lowercase())
            .filter(|id| &***id != own)
            .filter(|id| {
                table.get(id).is_some_and(|r| r.deleted_at.is_none() && !r.flag("IsConverted"))
            })
            .map(|id| {
                json!({
                    "additionalInformation": [],
                    "fieldDiffs": [],
                    "matchConfidence": 100.0,
                    "record": {
                        "attributes": {
                            "type": &*object.name,
                            "url": format!("/services/data/v66.0/sobjects/{}/{id}", object.name),
                        },
                        "Id": &**id,
                    },
                })
            })
            .collect();
        (!records.is_empty()).then(|| {
            json!({
                "entityType": &*object.name,
                "errors": [],
                "matchEngine": "ExactMatchEngine",
                "size": records.len(),
                "matchRecords": records,
                "rule": rule.name,
                "success": true,
            })
        })
    }
}
