//! The blocks `[[field]]`.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::{RESERVED, normalisers, steps, values};
use crate::mapping::diagnostic::Findings;
use crate::mapping::file::{
    BlankFile, BlankWord, DirectionWord, FarEditWord, FieldFile, NamesFile, RuleWord, RulesFile,
    StepFile, TypeFile, TypeWord, items, unknown_name,
};
use crate::mapping::model::{BlankRule, Direction, FarEdit, Field, FieldSide, Kind, Quiet, Rule};
use crate::mapping::parse::At;
use crate::record::{Number, PerSide, Side};

/// How close two times of change are no reason, unless the field says otherwise.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

pub(super) fn compile(
    files: &[At<FieldFile>],
    objects: &PerSide<Vec<String>>,
    findings: &mut Findings,
) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for file in files {
        if fields.iter().any(|field| field.name == file.name.value) {
            findings
                .error(
                    "duplicate-name",
                    &file.name.span,
                    format!("two fields are called `{}`", file.name.value),
                )
                .label("given twice")
                .help("give each field its own name");
        }
        check_name(&file.name, findings);
        fields.extend(field(file, objects, findings));
    }
    fields
}

/// A name is used in conditions, so it is one word that means nothing else there.
fn check_name(name: &At<String>, findings: &mut Findings) {
    let mut letters = name.chars();
    let wordy = letters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !wordy {
        findings
            .error("name", &name.span, format!("{:?} cannot be used in conditions", name.value))
            .help("a field's name is small letters, digits and underscores: lead_status");
    } else if RESERVED.contains(&name.as_str()) {
        findings
            .error(
                "name",
                &name.span,
                format!("`{}` means something else in conditions", name.value),
            )
            .help(format!("choose another name: {}_field", name.value));
    }
}

fn field(
    file: &FieldFile,
    objects: &PerSide<Vec<String>>,
    findings: &mut Findings,
) -> Option<Field> {
    let kind = kind(&file.r#type.value);
    let sides = sides(file, &kind, objects, findings);
    let direction = direction(file, &sides, findings)?;
    let rules = rules(file.conflict.as_ref()).unwrap_or_else(|| match direction {
        Direction::Both => vec![Rule::Newest, Rule::Ask],
        Direction::To(_) | Direction::Read => Vec::new(),
    });
    let first = rules_or_source(file, direction, &rules);
    let tolerance = file.tolerance.as_ref().map_or(TOLERANCE, |text| {
        let parsed: Option<SignedDuration> = text.parse().ok();
        parsed.filter(|span| !span.is_negative()).unwrap_or_else(|| {
            findings
                .error("tolerance", &text.span, format!("{:?} is no span of time", text.value))
                .help("write it as \"5s\", \"2m\" or \"1h\"");
            TOLERANCE
        })
    });
    Some(Field {
        name: file.name.value.clone(),
        table: values::table(file, &kind, findings),
        normalise: normalisers(items(&file.transform), &kind, findings),
        quiet: quiet(file, &kind, findings),
        far_edit: match file.far_edit.as_ref().map(|word| word.value) {
            None | Some(FarEditWord::Restore) => FarEdit::Restore,
            Some(FarEditWord::Leave) => FarEdit::Leave,
        },
        sides,
        kind,
        direction,
        first,
        rules,
        tolerance,
    })
}

fn kind(file: &TypeFile) -> Kind {
    match file {
        TypeFile::Word(word) => match word {
            TypeWord::Text => Kind::Text,
            TypeWord::Number => Kind::Number,
            TypeWord::Date => Kind::Date,
            TypeWord::DateTime => Kind::DateTime,
            TypeWord::YesNo => Kind::Bool,
            TypeWord::Choice => Kind::Choice,
            TypeWord::Choices => Kind::Choices,
            TypeWord::Owner => Kind::Owner,
        },
        TypeFile::Block(link) => Kind::Link { mapping: link.link.value.clone() },
    }
}

fn sides(
    file: &FieldFile,
    kind: &Kind,
    objects: &PerSide<Vec<String>>,
    findings: &mut Findings,
) -> PerSide<Option<FieldSide>> {
    let names = PerSide {
        hubspot: file.hubspot.as_ref().map(|name| everywhere(&name.value, &objects.hubspot)),
        salesforce: file.salesforce.as_ref().map(|names| match &names.value {
            NamesFile::Word(name) => everywhere(name, &objects.salesforce),
            NamesFile::Block(each) => {
                for (object, _) in &each.0 {
                    if !objects.salesforce.contains(&object.value) {
                        let known = objects.salesforce.iter().map(String::as_str);
                        unknown_name("object", object, "object", known, findings);
                    }
                }
                each.0
                    .iter()
                    .map(|(object, name)| (object.value.clone(), name.value.clone()))
                    .collect()
            }
        }),
    };
    let mut place =
        |names: Option<BTreeMap<String, String>>, side, own: &Option<At<Vec<At<StepFile>>>>| {
            let own_steps = steps(items(own), kind, findings);
            if names.is_none()
                && let Some(own) = own
            {
                let message =
                    format!("the field has no place in {side}, so nothing is transformed there");
                findings
                    .error("transform", &own.span, message)
                    .help("name the field there, or leave this out");
            }
            Some(FieldSide { names: names?, steps: own_steps, blank: blank(file, side) })
        };
    PerSide {
        hubspot: place(names.hubspot, Side::HubSpot, &file.hubspot_transform),
        salesforce: place(names.salesforce, Side::Salesforce, &file.salesforce_transform),
    }
}

fn everywhere(name: &str, objects: &[String]) -> BTreeMap<String, String> {
    objects.iter().map(|object| (object.clone(), name.to_owned())).collect()
}

fn blank(file: &FieldFile, side: Side) -> BlankRule {
    let word = match file.blank.as_ref().map(|blank| &blank.value) {
        None => None,
        Some(BlankFile::Word(word)) => Some(*word),
        Some(BlankFile::Block(each)) => match side {
            Side::HubSpot => each.to_hubspot.as_ref().map(|word| word.value),
            Side::Salesforce => each.to_salesforce.as_ref().map(|word| word.value),
        },
    };
    match word {
        None | Some(BlankWord::Ignore) => BlankRule::Ignore,
        Some(BlankWord::Clear) => BlankRule::Clear,
    }
}

fn direction(
    file: &FieldFile,
    sides: &PerSide<Option<FieldSide>>,
    findings: &mut Findings,
) -> Option<Direction> {
    let said = file.direction.as_ref().map(|word| word.value);
    let alone = match (&sides.hubspot, &sides.salesforce) {
        (Some(_), Some(_)) => None,
        (Some(_), None) => Some(Side::HubSpot),
        (None, Some(_)) => Some(Side::Salesforce),
        (None, None) => {
            findings
                .error(
                    "direction",
                    &file.name.span,
                    format!("`{}` lives on neither side", file.name.value),
                )
                .help("name it on each side: hubspot = \"phone\" and salesforce = \"Phone\"");
            return None;
        }
    };
    match (alone, said) {
        (None, None | Some(DirectionWord::Both)) => Some(Direction::Both),
        (None, Some(DirectionWord::ToSalesforce)) => Some(Direction::To(Side::Salesforce)),
        (None, Some(DirectionWord::ToHubSpot)) => Some(Direction::To(Side::HubSpot)),
        (_, Some(DirectionWord::Read)) => Some(Direction::Read),
        (Some(side), _) => {
            let across = side.other();
            let span = file.direction.as_ref().map_or(&file.name.span, |word| &word.span);
            let message =
                format!("`{}` has no place in {across}, so it cannot flow", file.name.value);
            findings.error("direction", span, message).help(format!(
                "name it there as well ({} = \"…\"), or write direction = \"read\"",
                across.key()
            ));
            None
        }
    }
}

fn rules(file: Option<&At<RulesFile>>) -> Option<Vec<Rule>> {
    let rule = |word: &At<RuleWord>| match word.value {
        RuleWord::HubSpot => Rule::HubSpot,
        RuleWord::Salesforce => Rule::Salesforce,
        RuleWord::Newest => Rule::Newest,
        RuleWord::Furthest => Rule::Furthest,
        RuleWord::Highest => Rule::Highest,
        RuleWord::Lowest => Rule::Lowest,
        RuleWord::Ask => Rule::Ask,
    };
    file.map(|file| file.0.iter().map(rule).collect())
}

/// At the first meeting a one-way field comes from its near side; any other is decided like a
/// conflict, unless the file says otherwise.
fn rules_or_source(file: &FieldFile, direction: Direction, conflict: &[Rule]) -> Vec<Rule> {
    rules(file.first.as_ref()).unwrap_or_else(|| match direction {
        Direction::To(Side::HubSpot) => vec![Rule::Salesforce],
        Direction::To(Side::Salesforce) => vec![Rule::HubSpot],
        Direction::Both => conflict.to_vec(),
        Direction::Read => Vec::new(),
    })
}

fn quiet(file: &FieldFile, kind: &Kind, findings: &mut Findings) -> Option<Quiet> {
    let quiet = file.quiet.as_ref()?;
    if *kind != Kind::Number {
        findings
            .error("quiet", &quiet.span, format!("{} does not move in small steps", kind.noun()))
            .help("`quiet` is for `type = \"number\"`");
        return None;
    }
    let band = Number::new(quiet.band.value).filter(|band| band.get() > 0.0);
    let Some(band) = band else {
        findings
            .error("quiet", &quiet.band.span, "a band is a number above 0")
            .help("quiet = { band = 5, thresholds = [50, 80] }");
        return None;
    };
    let thresholds = items(&quiet.thresholds);
    Some(Quiet {
        band,
        thresholds: thresholds.iter().filter_map(|at| Number::new(at.value)).collect(),
    })
}
