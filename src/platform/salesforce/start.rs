//! Starting autolaunched flows by name. (Actions Developer Guide, "Flow Actions".)
//!
//! One call starts one interview: a fault in one would otherwise fail those beside it, and a call that
//! was lost would leave several in doubt.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde_json::{Map, Value as Json, json};

use super::codes;
use super::wire::{self, ActionResult, Actions, ApiError};
use super::{Salesforce, first_error, request_error};
use crate::platform::transport::{Answer, Call, Effect, Failure};
use crate::platform::{
    Error, ErrorKind, Outcome, Refusal, RefusalKind, Start, StartInput, Startable,
};
use crate::record::Raw;

/// The list of flows.
const FLOWS: &str = "/services/data/{version}/actions/custom/flow";

/// One flow: what it takes, and its start.
const FLOW: &str = "/services/data/{version}/actions/custom/flow/{name}";

/// What an admin does about a flow that Salesforce does not find.
const NO_FLOW: &str = "activate the flow, correct its API name in the mapping, or let the signed-in \
                       user run it (\"Run Flows\")";

/// What an admin does about a fault in a flow.
const FAULT: &str = "the fault e-mail to the flow's author, and Setup under \"Paused and Failed Flow \
                     Interviews\", say at which element; correct it and start the flow by hand";

/// Whether a call starts a flow.
pub(super) fn is_start(call: &Call) -> bool {
    call.route == FLOW && call.method == Method::POST
}

impl Salesforce {
    pub(super) async fn start_flow(&self, start: &Start) -> Outcome {
        let doing = format!("starting the flow {}", start.name);
        if !is_name(&start.name) {
            let message = format!("{:?} is no API name of a flow", start.name);
            return Outcome::Refused(refused("NOT_FOUND", message, NO_FLOW));
        }
        let given = start.inputs.iter().filter(|(_, value)| **value != Raw::Null);
        let inputs: Map<String, Json> =
            given.map(|(name, value)| (name.clone(), wire::json(value))).collect();
        let body = json!({"inputs": [inputs]});
        let path = self.path(&format!("/actions/custom/flow/{}", start.name));
        let call = match Call::send(&self.lane, Method::POST, FLOW, path, &body, doing.as_str()) {
            Ok(call) => call.within(self.settings.retry.write_within),
            Err(error) => return Outcome::NotDone(request_error(&doing, error.to_string())),
        };
        match self.send(call).await {
            Ok(answer) => self.came_to(start, &answer, &doing),
            Err(Failure { error, effect }) => match effect {
                Effect::None => Outcome::NotDone(error),
                Effect::Late { left } => Outcome::Late { left },
                Effect::Unclear => Outcome::Unknown(error),
            },
        }
    }

    fn came_to(&self, start: &Start, answer: &Answer, doing: &str) -> Outcome {
        let told = match wire::action_result(&answer.body) {
            Some(result) => return of_result(start, result),
            None if answer.status.is_success() => {
                let message = "the answer does not say whether the flow ran".to_owned();
                return Outcome::Unknown(request_error(doing, message));
            }
            None => first_error(answer),
        };
        let error = self.dialect.error(doing, answer, &told);
        let allowed = codes::meaning(&told.code, &told.message).map(|(meaning, _)| meaning);
        match error.kind {
            _ if answer.status == StatusCode::NOT_FOUND || told.code == "NOT_FOUND" => {
                Outcome::Refused(refused("NOT_FOUND", told.message, NO_FLOW))
            }
            ErrorKind::Request => Outcome::Refused(codes::refusal(&told)),
            ErrorKind::Stop if allowed != Some(codes::Meaning::Stop) => {
                let mut refusal = codes::refusal(&told);
                refusal.kind = RefusalKind::Permission;
                refusal.hint = NO_FLOW.to_owned();
                Outcome::Refused(refusal)
            }
            _ => Outcome::NotDone(error),
        }
    }

    /// What an active flow takes.
    pub(super) async fn describe_flow(&self, name: &str) -> Result<Option<Startable>, Error> {
        let doing = format!("asking what the flow {name} takes");
        if !is_name(name) {
            return Ok(None);
        }
        // Only flows that are active are listed; one that is not may describe itself all the same.
        let list = self.get(FLOWS, self.path("/actions/custom/flow"), &doing);
        let listed: Actions = self.shape(&doing, &self.ask(list).await?)?;
        let Some(known) = listed.actions.iter().find(|it| it.name.eq_ignore_ascii_case(name))
        else {
            return Ok(None);
        };
        let path = self.path(&format!("/actions/custom/flow/{}", known.name));
        let answer = match self.ask(self.get(FLOW, path, &doing)).await {
            Err(error) if error.code.as_deref() == Some("NOT_FOUND") => return Ok(None),
            other => other?,
        };
        let flow: wire::Action = self.shape(&doing, &answer)?;
        let inputs = flow.inputs.into_iter().map(|input| StartInput {
            name: input.name,
            kind: input.kind,
            required: input.required,
            many: input.max_occurs.is_some_and(|most| most > 1),
        });
        Ok(Some(Startable { name: known.name.clone(), inputs: inputs.collect() }))
    }
}

/// What the flow itself came to. A fault in it is answered with 400 and this same shape.
fn of_result(start: &Start, result: ActionResult) -> Outcome {
    let output = |name| result.output_values.as_ref().and_then(|it| wire::text(it, name));
    let failed = output("Flow__InterviewStatus").is_some_and(|it| it.eq_ignore_ascii_case("Error"));
    if result.is_success == Some(true) && !failed {
        let id = output("Flow__InterviewGuid").unwrap_or(&start.name).to_owned();
        return Outcome::Done { id, created: true, echoed: BTreeMap::new() };
    }
    let told = result.errors.into_iter().next().unwrap_or_else(|| ApiError {
        code: "FLOW_ERROR".to_owned(),
        message: "the flow ended with an error".to_owned(),
        ..ApiError::default()
    });
    let mut refusal = codes::refusal(&told);
    refusal.kind = RefusalKind::Value;
    refusal.hint = FAULT.to_owned();
    Outcome::Refused(refusal)
}

fn refused(code: &str, message: String, hint: &str) -> Refusal {
    Refusal {
        kind: RefusalKind::Schema,
        code: code.to_owned(),
        message,
        fields: Vec::new(),
        hint: hint.to_owned(),
    }
}

/// Whether a text can stand in a path as a flow's name: letters, digits and underscores.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
