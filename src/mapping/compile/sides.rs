//! The blocks `[hubspot]` and `[salesforce]`.

use super::{Declared, Sight, condition};
use crate::mapping::diagnostic::Findings;
use crate::mapping::file::{AssignFile, CreateFile, CreateWord, MappingFile, OnDeleteWord};
use crate::mapping::model::{Assign, Create, OnDelete, SideSpec};
use crate::mapping::parse::At;
use crate::record::{PerSide, SalesforceId, Side};

pub(super) fn compile(
    file: &MappingFile,
    declared: &Declared,
    findings: &mut Findings,
) -> Option<PerSide<SideSpec>> {
    let (hubspot, salesforce) = (&file.hubspot.value, &file.salesforce.value);
    let mut scope = |side: Side, text: &Option<At<String>>| {
        let sight = Sight { fields: &declared.fields, only: Some(side) };
        text.as_ref().and_then(|text| condition(text, &sight, findings))
    };
    let scopes = PerSide {
        hubspot: scope(Side::HubSpot, &hubspot.scope),
        salesforce: scope(Side::Salesforce, &salesforce.scope),
    };
    let create = PerSide {
        hubspot: create(hubspot.create.as_ref(), declared, findings),
        salesforce: create(salesforce.create.as_ref(), declared, findings),
    };
    let assign = match salesforce.assign.as_ref().map(|assign| (&assign.value, &assign.span)) {
        None | Some((AssignFile::Active(false), _)) => Assign::Off,
        Some((AssignFile::Active(true), _)) => Assign::Active,
        Some((AssignFile::Rule(id), span)) => match SalesforceId::parse(id) {
            Ok(id) => Assign::Rule(id.as_str().to_owned()),
            Err(error) => {
                findings
                    .error("assign", span, format!("{id:?} is no id of an assignment rule: {error}"))
                    .help(
                        "assign = true runs the active rule, assign = false none; another one is named \
                         by its id, from the address of its page in Setup: assign = \"01QD0000000EqAn\"",
                    );
                Assign::Off
            }
        },
    };
    let of_hubspot = SideSpec {
        object: hubspot.object.value.clone(),
        becomes: None,
        id_field: hubspot.id_field.value.clone(),
        scope: scopes.hubspot,
        create: create.hubspot?,
        on_delete: on_delete(hubspot.on_delete.as_ref()),
        assign: Assign::Off,
        allow_duplicates: false,
    };
    let of_salesforce = SideSpec {
        object: salesforce.object.value.clone(),
        becomes: salesforce.becomes.as_ref().map(|object| object.value.clone()),
        id_field: salesforce.id_field.value.clone(),
        scope: scopes.salesforce,
        create: create.salesforce?,
        on_delete: on_delete(salesforce.on_delete.as_ref()),
        assign,
        allow_duplicates: salesforce.allow_duplicates.as_ref().is_some_and(|yes| yes.value),
    };
    Some(PerSide { hubspot: of_hubspot, salesforce: of_salesforce })
}

fn create(
    file: Option<&At<CreateFile>>,
    declared: &Declared,
    findings: &mut Findings,
) -> Option<Create> {
    match file.map(|file| &file.value) {
        None | Some(CreateFile::Word(CreateWord::Never)) => Some(Create::Never),
        Some(CreateFile::Word(CreateWord::Always)) => Some(Create::Always),
        Some(CreateFile::Block(block)) => {
            let sight = Sight { fields: &declared.fields, only: None };
            condition(&block.when, &sight, findings).map(Create::When)
        }
    }
}

fn on_delete(file: Option<&At<OnDeleteWord>>) -> OnDelete {
    match file.map(|word| word.value) {
        None | Some(OnDeleteWord::Unlink) => OnDelete::Unlink,
        Some(OnDeleteWord::Follow) => OnDelete::Follow,
        Some(OnDeleteWord::Ignore) => OnDelete::Ignore,
    }
}
