//! What is asked of a mapping file, as a registry: each check with its name, one line and a long
//! text. Those without a function are part of reading and compiling.

mod blanks;
mod conditions;
mod handoff;
mod literals;
mod names;
mod roundtrip;
mod rules;

use super::diagnostic::Findings;
use super::domain::{Directory, OwnerFound, OwnerMissing};
use super::file::{FieldFile, MappingFile, items};
use super::model::{Field, Mapping};
use super::parse::At;
use crate::record::{LinkId, Side};

/// A file and what it compiled to.
pub struct Checked<'a> {
    file: &'a MappingFile,
    mapping: &'a Mapping,
}

impl Checked<'_> {
    /// Each field with its block in the file.
    fn fields(&self) -> impl Iterator<Item = (&At<FieldFile>, &Field)> {
        items(&self.file.field)
            .iter()
            .filter_map(|file| Some((file, self.mapping.field(&file.name.value)?)))
    }
}

/// One check.
pub struct Check {
    /// Its name, which each of its findings carries.
    pub name: &'static str,
    /// One line of help.
    pub line: &'static str,
    /// The reference's text.
    pub long: &'static str,
    /// What looks for it, where reading the file does not find it already.
    pub run: Option<fn(&Checked<'_>, &mut Findings)>,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Check({})", self.name)
    }
}

/// Every check, in the order of the reference.
pub static REGISTRY: &[Check] = &[
    Check {
        name: "syntax",
        line: "the file is TOML",
        long: "Blocks under [headers], keys with values, texts in quotes.",
        run: None,
    },
    Check {
        name: "unknown-key",
        line: "every key is known",
        long: "A key that is spelled wrongly would silently do nothing.",
        run: None,
    },
    Check {
        name: "missing-key",
        line: "no required key is missing",
        long: "Each block has keys that it cannot do without, such as a field's name and type.",
        run: None,
    },
    Check {
        name: "type",
        line: "every value is of the right type",
        long: "A text stands in quotes, a number does not.",
        run: None,
    },
    Check {
        name: "unknown-word",
        line: "every word is one of those that the key takes",
        long: "Directions, rules, types and the like are chosen from a list.",
        run: None,
    },
    Check {
        name: "name",
        line: "names can be used",
        long: "A field's name is used in conditions: small letters, digits and underscores, and \
               none of the words that conditions know already. Platforms' names are API names, \
               not labels.",
        run: Some(names::platform_names),
    },
    Check {
        name: "duplicate-name",
        line: "no name is given twice",
        long: "Mappings, fields, examples, and the rules that apply once are known by their names.",
        run: Some(names::rule_names),
    },
    Check {
        name: "one-field-twice",
        line: "no two fields write the same place",
        long: "Two fields that write one property overwrite each other for ever. The id fields \
               belong to Lockstep.",
        run: Some(names::written_twice),
    },
    Check {
        name: "object",
        line: "objects are those of the mapping",
        long: "Where a field has a name for each object, the objects are the mapping's own.",
        run: None,
    },
    Check {
        name: "match",
        line: "keys for recognition are brought to one spelling",
        long: "E-mail addresses differ in case and in stray blanks; without a normaliser the same \
               person is not recognised.",
        run: Some(names::match_keys),
    },
    Check {
        name: "link",
        line: "links name a mapping",
        long: "A field of the type { link = … } holds a record of another mapping file.",
        run: None,
    },
    Check {
        name: "owner",
        line: "queues name people",
        long: "Under [owners.queues] stands whose a queue's records are in HubSpot.",
        run: None,
    },
    Check {
        name: "assign",
        line: "an assignment rule is named by its id",
        long: "Ids have 15 or 18 characters; the last three of 18 are a checksum.",
        run: None,
    },
    Check {
        name: "direction",
        line: "what flows has a place on both sides",
        long: "A field that lives on one side only is there for conditions: direction = \"read\".",
        run: None,
    },
    Check {
        name: "transform",
        line: "transforms are known and fit",
        long: "Each is for certain types and takes a certain argument. Normalisers stand under \
               `transform`; pairs belong to one side.",
        run: None,
    },
    Check {
        name: "values",
        line: "tables of values make sense",
        long: "Rows that share a value are one value, with one name. A value that no row lists \
               does what `unlisted` says.",
        run: None,
    },
    Check {
        name: "value",
        line: "values in the file fit their fields",
        long: "What a qualification sets and what an example starts from is spelled by the \
               mapping's own names.",
        run: None,
    },
    Check {
        name: "round-trip",
        line: "what is written reads back as the same value",
        long: "Every row of every table, and typical and odd values through every chain of \
               transforms, are written to each side that the field flows to, and read back. \
               Otherwise each settlement would see its own write as a change.",
        run: Some(roundtrip::run),
    },
    Check {
        name: "rules",
        line: "conflict rules can decide",
        long: "`furthest` needs the field of [stages], `highest` and `lowest` need numbers or \
               dates; nothing comes after a rule that always decides; a one-way field has no \
               conflicts.",
        run: Some(rules::conflict_rules),
    },
    Check {
        name: "blank",
        line: "what a blank does is said for directions that exist",
        long: "A field that flows to Salesforce only clears nothing in HubSpot.",
        run: Some(blanks::directions),
    },
    Check {
        name: "far-edit",
        line: "far edits are those of one-way fields",
        long: "Both sides of a two-way field are near.",
        run: Some(blanks::far_edits),
    },
    Check {
        name: "quiet",
        line: "quiet bands are for numbers",
        long: "Only a number moves in small steps.",
        run: None,
    },
    Check {
        name: "tolerance",
        line: "a tolerance is a span of time",
        long: "It says how close two times of change may be for `newest` to have no opinion.",
        run: None,
    },
    Check {
        name: "stages",
        line: "stages and ways back are in order",
        long: "The stages are values of their field; a way back leaves later stages for an earlier \
               one; the field's conflicts are decided by `furthest`.",
        run: Some(rules::stage_field),
    },
    Check {
        name: "qualify",
        line: "qualifications set fields that exist and flow",
        long: "What a qualification sets is written to both systems.",
        run: Some(rules::qualifications),
    },
    Check {
        name: "condition",
        line: "conditions can be read and name known fields",
        long: "Also those in quotes, as in 'stage' in changed.hubspot. A scope sees its own side \
               only.",
        run: Some(conditions::scopes),
    },
    Check {
        name: "condition-value",
        line: "conditions compare with values that can occur",
        long: "A choice is compared with names of its table, a number with numbers. A typo in \
               stage == 'custommer' would otherwise never hold, and nobody would notice.",
        run: Some(literals::run),
    },
    Check {
        name: "condition-trial",
        line: "conditions give true or false for every kind of value",
        long: "Each condition is tried with blank, typical and extreme values of the fields that it \
               names, so that a mistake is found before a record meets it.",
        run: Some(conditions::trials),
    },
    Check {
        name: "condition-blank",
        line: "conditions say what a blank means",
        long: "A blank counts as less than every number: score < 50 holds for everybody without a \
               score.",
        run: Some(conditions::blanks),
    },
    Check {
        name: "handoff",
        line: "the handoff can be carried out",
        long: "Something opens it, somebody gets it, calendars have hours, spans are of business \
               time, warnings come before their deadline and escalations name what exists.",
        run: Some(handoff::steps_hold),
    },
    Check {
        name: "template",
        line: "texts with places for values come out",
        long: "Every name in {{ … }} is known. Each text is made once with nothing known and once \
               with everything: a missing value leaves its place empty and breaks nothing.",
        run: Some(handoff::texts_hold),
    },
    Check {
        name: "example",
        line: "examples hold",
        long: "Each [[example]] is decided as the daemon would decide it, and what comes out is \
               compared with what it expects.",
        run: None,
    },
    Check {
        name: "account",
        line: "both accounts have what the mapping names (`check --live`)",
        long: "Objects, fields and choices exist there, can hold what comes from across, and can be \
               written by the signed-in user; every choice has a row; id fields are unique; stages \
               stand in HubSpot's order. What a handoff asks for besides is there and can be used: \
               queues, campaigns and their statuses, calls and e-mails.",
        run: None,
    },
];

/// The check called `name`.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Check> {
    REGISTRY.iter().find(|check| check.name == name)
}

/// Runs every check of the registry.
pub(super) fn run(file: &MappingFile, mapping: &Mapping, findings: &mut Findings) {
    let checked = Checked { file, mapping };
    for check in REGISTRY {
        if let Some(run) = check.run {
            run(&checked, findings);
        }
    }
}

/// A directory that knows nobody: what is checked here needs no accounts.
struct Nobody;

impl Directory for Nobody {
    fn owner(&self, _: Side, _: &str) -> OwnerFound {
        OwnerFound::Unknown
    }
    fn owner_id(&self, _: Side, _: &str) -> Result<String, OwnerMissing> {
        Err(OwnerMissing::Unknown)
    }
    fn link_of(&self, _: &str, _: Side, _: &str) -> Option<LinkId> {
        None
    }
    fn linked_id(&self, _: &str, _: Side, _: LinkId) -> Option<String> {
        None
    }
}
