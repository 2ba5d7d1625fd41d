//! Autolaunched flows, as an integration sees them: they are listed, say what they take, and run.
//!
//! What a flow does is data as well. It runs as the signed-in user and as one transaction: what fails in
//! it takes back what it did to records.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::dml::Write;
use super::id::Id;
use super::refusal::Refusal;
use super::world::Org;

/// A flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// Its label.
    pub label: String,
    /// Whether a version of it is active.
    pub active: bool,
    /// The variables that are available for input.
    pub inputs: Vec<Variable>,
    /// What it does.
    pub does: Deed,
    /// How often it ran, with what, the earliest first; what was taken back counts as well.
    pub runs: Vec<Run>,
}

/// An input variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its API name.
    pub name: String,
    /// What it holds: `STRING`, `BOOLEAN`, `NUMBER`.
    pub kind: String,
    /// Whether the flow cannot be started without.
    pub required: bool,
}

/// What a flow does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Deed {
    /// Nothing that anybody sees.
    #[default]
    Nothing,
    /// Sets a field of a record.
    Set {
        /// The input that holds the record's id.
        id: String,
        /// The field.
        field: String,
        /// The input that holds the value.
        from: String,
    },
    /// Pauses until something happens.
    Pause,
    /// Meets a fault that nothing in it handles.
    Fault,
}

/// One interview of a flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// When it was started.
    pub at: Timestamp,
    /// By whom.
    pub user: Id,
    /// What its variables got.
    pub inputs: Map<String, Value>,
}

impl Flow {
    /// An active flow that takes texts, and does nothing that anybody sees.
    #[must_use]
    pub fn taking(inputs: &[&str]) -> Self {
        let variable = |name: &&str| Variable {
            name: (*name).to_owned(),
            kind: "STRING".to_owned(),
            required: false,
        };
        Self {
            label: "A flow".to_owned(),
            active: true,
            inputs: inputs.iter().map(variable).collect(),
            does: Deed::Nothing,
            runs: Vec::new(),
        }
    }

    /// The same, and it sets `field` of the record whose id is in `id` to what is in `from`.
    #[must_use]
    pub fn setting(mut self, id: &str, field: &str, from: &str) -> Self {
        let (id, field, from) = (id.to_owned(), field.to_owned(), from.to_owned());
        self.does = Deed::Set { id, field, from };
        self
    }
}

/// What one interview came to.
#[derive(Debug)]
pub(super) enum Came {
    /// It ended, or pauses.
    To(&'static str),
    /// It met a fault; what it did to records was taken back.
    Fault,
    /// It was not begun, because what it got does not fit its variables.
    Unfit(String),
}

/// The flows of an org, by API name.
pub type Flows = BTreeMap<String, Flow>;

impl Org {
    /// The active flow of this name, in its own spelling.
    pub(super) fn active_flow(&self, name: &str) -> Option<(&str, &Flow)> {
        self.flows
            .iter()
            .find(|(own, flow)| flow.active && own.eq_ignore_ascii_case(name))
            .map(|(own, flow)| (own.as_str(), flow))
    }

    /// Runs one interview of a flow that is there.
    pub(super) fn run_flow(
        &mut self,
        name: &str,
        write: &Write,
        inputs: Map<String, Value>,
    ) -> Came {
        let Some(flow) = self.flows.get_mut(name) else { return Came::Fault };
        let stranger = inputs.keys().find(|given| !flow.inputs.iter().any(|it| it.name == **given));
        if let Some(stranger) = stranger {
            return Came::Unfit(format!("The flow has no input variable {stranger}"));
        }
        let missing = flow.inputs.iter().find(|it| it.required && !inputs.contains_key(&it.name));
        if let Some(missing) = missing {
            return Came::Unfit(format!("Missing required input parameter: {}", missing.name));
        }
        flow.runs.push(Run { at: write.now, user: write.user.clone(), inputs: inputs.clone() });
        let does = flow.does.clone();
        let start = self.savepoint();
        match self.do_deed(&does, write, &inputs) {
            Ok(status) => Came::To(status),
            Err(_) => {
                self.roll_back(start);
                Came::Fault
            }
        }
    }

    fn do_deed(
        &mut self,
        does: &Deed,
        write: &Write,
        inputs: &Map<String, Value>,
    ) -> Result<&'static str, Option<Refusal>> {
        match does {
            Deed::Nothing => Ok("Finished"),
            Deed::Pause => Ok("Waiting"),
            Deed::Fault => Err(None),
            Deed::Set { id, field, from } => {
                let id = inputs.get(id).and_then(Value::as_str).ok_or(None)?;
                let row = self.record(id).cloned().ok_or(None)?;
                let value = inputs.get(from).cloned().unwrap_or(Value::Null);
                let values = Map::from_iter([(field.clone(), value)]);
                self.update(write, &row.object, &row.id, &values).map_err(Some)?;
                Ok("Finished")
            }
        }
    }
}

/// A flow as the admin door takes it: `{label, active, inputs: [{name, type, required}], set: {id,
/// field, from}, fault}`.
pub(super) fn of_json(body: &Map<String, Value>) -> Flow {
    let text = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let inputs = body.get("inputs").and_then(Value::as_array).into_iter().flatten();
    let variable = |value: &Value| Variable {
        name: text(value, "name"),
        kind: Some(text(value, "type")).filter(|it| !it.is_empty()).unwrap_or("STRING".into()),
        required: value.get("required").and_then(Value::as_bool).unwrap_or(false),
    };
    let flag = |name: &str, without| body.get(name).and_then(Value::as_bool).unwrap_or(without);
    let does = match body.get("set") {
        Some(set) => {
            Deed::Set { id: text(set, "id"), field: text(set, "field"), from: text(set, "from") }
        }
        None if flag("fault", false) => Deed::Fault,
        None if flag("pause", false) => Deed::Pause,
        None => Deed::Nothing,
    };
    Flow {
        label: body.get("label").and_then(Value::as_str).unwrap_or("A flow").to_owned(),
        active: flag("active", true),
        inputs: inputs.map(variable).collect(),
        does,
        runs: Vec::new(),
    }
}

/// The flows as the admin door shows them, with what they ran with.
pub(super) fn shown(flows: &Flows) -> Value {
    let run =
        |run: &Run| json!({"at": run.at.to_string(), "user": &*run.user, "inputs": run.inputs});
    let flow = |(name, flow): (&String, &Flow)| {
        let runs: Vec<Value> = flow.runs.iter().map(run).collect();
        (name.clone(), json!({"label": flow.label, "active": flow.active, "runs": runs}))
    };
    Value::Object(flows.iter().map(flow).collect())
}
