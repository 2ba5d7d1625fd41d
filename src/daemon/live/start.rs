//! What is started as a next step: is it there, and does it take what it gets?

use std::collections::BTreeMap;

use super::next::{Telling, is_refusal};
use crate::mapping::handoff::{FlowInput, FlowSpec, NextStep};
use crate::platform::{Error, Platform, Start};

impl Telling<'_> {
    pub(super) async fn flow_fits(
        &mut self,
        flow: &FlowSpec,
        salesforce: &dyn Platform,
    ) -> Result<(), Error> {
        let step = NextStep::Flow;
        let place = ("Flow", None);
        let name = &flow.name;
        let right = "activate it, correct its API name, or let the signed-in user run it (\"Run \
                     Flows\", or the flow's own access)";
        let ask = Start { name: name.clone(), inputs: BTreeMap::new() };
        let found = match salesforce.startable(&ask).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                let what =
                    format!("Salesforce has no active autolaunched flow {name}, or hides it");
                self.tell((step, "name"), place, true, what, right);
                return Ok(());
            }
            Err(error) if is_refusal(&error) => {
                let what = format!("the account does not tell of its flows: {}", error.message);
                self.tell((step, "name"), place, true, what, right);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let known: Vec<&str> = found.inputs.iter().map(|input| input.name.as_str()).collect();
        for (variable, value) in &flow.inputs {
            let Some(input) = found.inputs.iter().find(|input| input.name == *variable) else {
                let what = format!("the flow {name} has no input variable `{variable}`");
                let help = match known.as_slice() {
                    [] => "it has none that is available for input: see its variables".to_owned(),
                    known => format!("it has {}", known.join(", ")),
                };
                self.tell((step, "inputs"), place, true, what, help);
                continue;
            };
            let text = matches!(value, FlowInput::Text(_));
            let wants_text = !matches!(input.kind.as_str(), "BOOLEAN" | "NUMBER" | "CURRENCY");
            if input.many {
                let what = format!("the flow's input variable `{variable}` holds a list");
                let help = "give it no value, or let the flow take a single one".to_owned();
                self.tell((step, "inputs"), place, true, what, help);
            } else if text != wants_text && !input.kind.is_empty() {
                let what = format!("the flow's input variable `{variable}` is a {}", input.kind);
                let help = if text {
                    "it gets a text, which Salesforce may refuse: make it a text variable"
                } else {
                    "it gets a number, true or false: write a text, in quotes"
                };
                self.tell((step, "inputs"), place, false, what, help);
            }
        }
        let given = |name: &str| flow.inputs.contains_key(name);
        for input in found.inputs.iter().filter(|it| it.required && !given(&it.name)) {
            let what = format!("the flow {name} cannot be started without `{}`", input.name);
            let help = format!("write {} = \"…\" under [handoff.flow.inputs]", input.name);
            self.tell((step, "inputs"), place, true, what, help);
        }
        Ok(())
    }
}
