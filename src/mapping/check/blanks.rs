//! What is said for directions that do not exist.

use super::Checked;
use crate::mapping::diagnostic::Findings;
use crate::mapping::file::BlankFile;
use crate::mapping::model::Direction;
use crate::record::Side;

pub(super) fn directions(checked: &Checked<'_>, findings: &mut Findings) {
    for (file, field) in checked.fields() {
        let Some(blank) = &file.blank else { continue };
        let said = match &blank.value {
            BlankFile::Word(_) if field.direction == Direction::Read => {
                let message = format!("`{}` is only read: a blank does nothing", field.name);
                findings.error("blank", &blank.span, message).help("leave `blank` out");
                continue;
            }
            BlankFile::Word(_) => continue,
            BlankFile::Block(each) => {
                [(Side::HubSpot, &each.to_hubspot), (Side::Salesforce, &each.to_salesforce)]
            }
        };
        for (side, word) in said {
            let Some(word) = word.as_ref().filter(|_| !field.flows_to(side)) else { continue };
            findings
                .error("blank", &word.span, format!("`{}` does not flow to {side}", field.name))
                .help(format!("leave `to_{}` out, or change the direction", side.key()));
        }
    }
}

pub(super) fn far_edits(checked: &Checked<'_>, findings: &mut Findings) {
    for (file, field) in checked.fields() {
        let Some(far_edit) = &file.far_edit else { continue };
        if !matches!(field.direction, Direction::To(_)) {
            let message = format!("`{}` does not flow one way, so it has no far side", field.name);
            findings
                .error("far-edit", &far_edit.span, message)
                .help("leave `far_edit` out, or write direction = \"to-salesforce\"");
        }
    }
}
