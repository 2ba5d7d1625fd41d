//! What is started as a next step: is it there, and does it take what it gets?

use std::collections::BTreeMap;

use super::next::{Telling, is_refusal};
use crate::mapping::handoff::{FlowInput, FlowSpec, NextStep, Sender, SequenceSpec};
use crate::platform::{Error, Owner, Platform, Start};
use crate::record::Raw;

/// What an app needs for sequences.
const SEQUENCE_SCOPES: [&str; 2] =
    ["automation.sequences.read", "automation.sequences.enrollments.write"];

/// As how many users a sequence is asked for, where any owner may send.
const SENDERS: usize = 5;

impl Telling<'_> {
    pub(super) async fn sequence_fits(
        &mut self,
        sequence: &SequenceSpec,
        hubspot: &dyn Platform,
    ) -> Result<(), Error> {
        let step = NextStep::Sequence;
        let place = ("sequences", None);
        let id = &sequence.id;
        let scopes = hubspot.identity().await?.scopes;
        // Where it tells no scopes, what it answers will.
        let told = scopes.iter().any(|scope| scope.starts_with("crm.objects."));
        let missing: Vec<&str> =
            SEQUENCE_SCOPES.into_iter().filter(|it| told && !scopes.contains(*it)).collect();
        for scope in &missing {
            let what = format!("the app does not have the scope {scope}");
            let help = "give it the scope in HubSpot and sign in again";
            self.tell((step, "id"), place, true, what, help);
        }
        let owners = hubspot.owners().await?;
        let sends = |owner: &&Owner| match &sequence.sender {
            Sender::Owner => owner.active && !owner.queue && owner.user.is_some(),
            Sender::User(email) => owner.active && owner.email.as_ref() == Some(email),
        };
        let senders: Vec<&Owner> = owners.iter().filter(sends).take(SENDERS).collect();
        if senders.is_empty() {
            let what = match &sequence.sender {
                Sender::Owner => "HubSpot has no active user who could send".to_owned(),
                Sender::User(email) => format!("HubSpot has no active user {email}"),
            };
            let help = "name the address of a HubSpot user with a connected inbox";
            self.tell((step, "sender"), place, true, what, help);
        }
        if !missing.is_empty() || senders.is_empty() {
            return Ok(());
        }
        for sender in &senders {
            let user = sender.user.as_deref().map_or(Raw::Null, Raw::text);
            let ask = Start { name: id.clone(), inputs: [("userId".to_owned(), user)].into() };
            match hubspot.startable(&ask).await {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => {}
                Err(error) if is_refusal(&error) => {
                    let what = format!("HubSpot does not tell of sequences: {}", error.message);
                    let help = error.hint.unwrap_or_else(|| {
                        "sequences need Sales or Service Hub Professional".to_owned()
                    });
                    self.tell((step, "id"), place, true, what, help);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        let whom: Vec<&str> = senders.iter().map(|sender| sender.name.as_str()).collect();
        let what = format!("HubSpot shows no sequence {id} to {}", whom.join(", "));
        let help = "correct the id, or share the sequence with those who send";
        self.tell((step, "id"), place, true, what, help);
        Ok(())
    }

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
