//! What is started: a flow of Salesforce's, a sequence of HubSpot's.

use std::collections::BTreeMap;

use super::{CODE, email, template};
use crate::mapping::diagnostic::Findings;
use crate::mapping::file::{FlowFile, FlowInputFile, SequenceFile};
use crate::mapping::handoff::{FlowInput, FlowSpec, Sender, SequenceSpec};
use crate::mapping::parse::At;
use crate::record::Raw;

/// The flow.
pub(super) fn flow_of(file: &FlowFile, findings: &mut Findings) -> Option<FlowSpec> {
    let name = api_name(&file.name, "a flow, as in name = \"Lead_Handed_Off\"", findings);
    let mut inputs = BTreeMap::new();
    let mut sound = true;
    for (variable, value) in file.inputs.iter().flat_map(|inputs| &inputs.value.0) {
        let what = "an input variable, as in recordId = \"{{ ids.salesforce }}\"";
        let variable = api_name(variable, what, findings);
        let value = match &value.value {
            FlowInputFile::Text(text) => template(text, findings).map(FlowInput::Text),
            FlowInputFile::Number(number) => Some(FlowInput::Fixed(Raw::Number(*number))),
            FlowInputFile::Bool(yes) => Some(FlowInput::Fixed(Raw::Bool(*yes))),
        };
        sound &= variable.is_some() && value.is_some();
        inputs.extend(variable.zip(value));
    }
    let repeat = file.repeat.as_ref().is_some_and(|repeat| repeat.value);
    Some(FlowSpec { name: name.filter(|_| sound)?, repeat, inputs })
}

/// An API name: letters, digits and underscores, a letter first. (Salesforce Help, "Flow Resources".)
fn api_name(text: &At<String>, of: &str, findings: &mut Findings) -> Option<String> {
    let found = text.value.trim();
    let sound = found.starts_with(|first: char| first.is_ascii_alphabetic())
        && found.chars().all(|it| it.is_ascii_alphanumeric() || it == '_');
    if sound {
        return Some(found.to_owned());
    }
    findings
        .error(CODE, &text.span, format!("{:?} is no API name", text.value))
        .help(format!("write the API name that Setup shows for {of}"));
    None
}

/// The sequence.
pub(super) fn sequence_of(file: &SequenceFile, findings: &mut Findings) -> Option<SequenceSpec> {
    let id = file.id.value.trim();
    let sound = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    if !sound {
        findings
            .error(CODE, &file.id.span, format!("{:?} is no id of a sequence", file.id.value))
            .help("write the number from the address of the sequence's page, in quotes");
    }
    let sender = match &file.sender {
        Some(sender) if sender.value.trim() != "owner" => Sender::User(email(sender, findings)?),
        _ => Sender::Owner,
    };
    sound.then(|| SequenceSpec { id: id.to_owned(), sender })
}
