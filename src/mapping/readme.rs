//! The reference for admins says what the registries and the reader say.

use super::*;

const README: &str = include_str!("../../mappings/README.md");

/// The file that a part of the reference belongs into; a piece that the part has itself is left
/// out.
const PIECES: &[(&str, &str)] = &[
    ("[hubspot]", "name = \"people\"\n[hubspot]\nobject = \"contacts\"\nid_field = \"sf_id\"\n"),
    ("[salesforce]", "[salesforce]\nobject = \"Lead\"\nid_field = \"HubSpot_Id__c\"\n"),
    (
        "",
        "[[field]]\nname = \"email\"\ntype = \"text\"\nhubspot = \"email\"\nsalesforce = \"Email\"\n",
    ),
    (
        "",
        "[[field]]\nname = \"score\"\ntype = \"number\"\nhubspot = \"lead_score\"\nsalesforce = \"Score__c\"\n",
    ),
    (
        "",
        "[[field]]\nname = \"stage\"\ntype = \"choice\"\nhubspot = \"lifecyclestage\"\nsalesforce = \"Stage__c\"\nconflict = \"furthest\"\nvalues = [{ hubspot = \"lead\", salesforce = \"Lead\" }, { hubspot = \"marketingqualifiedlead\", salesforce = \"MQL\" }, { hubspot = \"customer\", salesforce = \"Customer\" }]\n",
    ),
    (
        "",
        "[[field]]\nname = \"source\"\ntype = \"text\"\nhubspot = \"hs_analytics_source\"\nsalesforce = \"LeadSource\"\n",
    ),
    ("[stages]", "[stages]\nfield = \"stage\"\n"),
    (
        "[[qualify]]",
        "[[qualify]]\nname = \"reached\"\nwhen = \"stage == 'lead'\"\nset = { stage = \"marketingqualifiedlead\" }\nreason = \"the piece's own\"\n",
    ),
];

/// Each block of the reference in TOML, with what stands behind the word `toml`.
fn blocks() -> Vec<(&'static str, &'static str)> {
    README
        .split("```toml")
        .skip(1)
        .map(|rest| {
            let (kind, rest) = rest.split_once('\n').unwrap();
            (kind.trim(), rest.split_once("```").unwrap().0)
        })
        .collect()
}

#[test]
fn every_block_of_the_reference_is_without_a_mistake() {
    let blocks = blocks();
    assert!(blocks.len() >= 7, "{} blocks", blocks.len());
    for (kind, block) in blocks {
        let pieces =
            || PIECES.iter().filter(|(header, _)| header.is_empty() || !block.contains(header));
        let text = match kind.split_once(' ').unwrap_or((kind, "")) {
            ("", _) => block.to_owned(),
            ("part", _) => pieces().map(|(_, text)| *text).chain([block]).collect(),
            ("field", kind) => {
                let field = format!(
                    "[[field]]\nname = \"x\"\ntype = {kind:?}\nhubspot = \"x\"\nsalesforce = \"X__c\"\n{block}"
                );
                pieces().map(|(_, text)| *text).chain([field.as_str()]).collect()
            }
            (other, _) => panic!("what is a block of TOML {other:?}?"),
        };
        match load(vec![("README.md".to_owned(), text.clone())]) {
            Ok(mappings) => assert_eq!(mappings.warnings.plain(), "", "{text}"),
            Err(report) => panic!("{}\n{text}", report.plain()),
        }
    }
}

/// The table of transforms, as the registry has them.
fn transforms() -> String {
    let table = |title: &str, normalisers: bool| {
        let rows: String = transform::REGISTRY
            .iter()
            .filter(|transform| transform.is_normaliser() == normalisers)
            .map(|transform| {
                let types = transform.suits.join(", ");
                format!(
                    "| `{}` | {types} | {} {} |\n",
                    transform.sample(),
                    transform.line,
                    transform.long
                )
            })
            .collect();
        format!("| {title} | for | what it does |\n| --- | --- | --- |\n{rows}")
    };
    format!("{}\n{}", table("both sides", true), table("one side", false))
}

/// The table of checks, as the registry has them.
fn checks() -> String {
    let rows: String = check::REGISTRY
        .iter()
        .map(|check| format!("| `{}` | {} | {} |\n", check.name, check.line, check.long))
        .collect();
    format!("| check | asks that | more |\n| --- | --- | --- |\n{rows}")
}

#[test]
fn the_reference_lists_what_the_registries_hold() {
    let mut wanted = README.to_owned();
    for (name, table) in [("transforms", transforms()), ("checks", checks())] {
        let begin = format!("<!-- {name} -->\n");
        let start = wanted.find(&begin).unwrap() + begin.len();
        let end = start + wanted[start..].find("<!-- end -->").unwrap();
        wanted.replace_range(start..end, &table);
    }
    if wanted != README {
        // Written beside the build, so that the reference can be taken from there.
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/target/mappings-README.md");
        std::fs::write(path, &wanted).unwrap();
        panic!("mappings/README.md is behind the registries; {path} has what it should say");
    }
}

#[test]
fn the_reference_names_every_key_of_a_file() {
    let schema = schema();
    let defs = schema["$defs"].as_object().unwrap();
    for block in
        ["HubSpotFile", "SalesforceFile", "FieldFile", "ExampleFile", "QualifyFile", "BackFile"]
            .into_iter()
            .chain(["HandoffFile", "AssignmentFile", "MemberFile", "TaskFile", "CalendarFile"])
            .chain(["LevelsFile", "EscalateFile", "TouchFile", "AnswerFile", "WebhookFile"])
            .chain(["HubSpotTaskFile", "HubSpotNoteFile", "QueueTaskFile", "CampaignFile"])
            .chain(["FlowFile", "SequenceFile"])
            .chain(["FeedbackFile", "GroupsFile", "ExcludeFile", "RegionFile"])
    {
        for key in defs[block]["properties"].as_object().unwrap().keys() {
            let named =
                README.contains(&format!("`{key}`")) || README.contains(&format!("\n{key} = "));
            assert!(named, "{key} of {block}");
        }
    }
}
