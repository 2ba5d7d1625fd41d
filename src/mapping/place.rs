//! Where in a mapping file something stands that was found wrong after the file was read.

use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::diagnostic::Source;
use crate::record::Side;

/// What of a mapping is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    /// The object of a side.
    Object(Side),
    /// The id field of a side.
    IdField(Side),
    /// A side's field of the matching key with this number, from 0.
    MatchKey(usize, Side),
    /// The field with this name, on a side.
    Field(String, Side),
    /// The value table of the field with this name.
    Table(String),
    /// A key of a block under `[handoff]`.
    Handoff(&'static str, &'static str),
}

impl Spot {
    /// Finds the spot of the mapping called `mapping` in the file that has it, among `sources`. Where
    /// the spot is not written out, its block stands for it.
    #[must_use]
    pub fn find(
        &self,
        mapping: &str,
        sources: &[Arc<Source>],
    ) -> Option<(Arc<Source>, Range<usize>)> {
        sources.iter().find_map(|source| {
            let table = DeTable::parse(&source.text).ok()?.into_inner();
            let name = table.get("name")?.get_ref().as_str()?;
            (name == mapping).then(|| Some((Arc::clone(source), span(&table, self)?)))?
        })
    }
}

fn span(table: &DeTable<'_>, spot: &Spot) -> Option<Range<usize>> {
    let block =
        |name: &str, keys: [&str; 2]| -> Option<Range<usize>> { inside(table.get(name)?, keys) };
    let field = |name: &str, keys: [&str; 2]| -> Option<Range<usize>> {
        let fields = table.get("field")?.get_ref().as_array()?;
        let named = fields.iter().find(|field| {
            let own = field.get_ref().as_table().and_then(|field| field.get("name"));
            own.and_then(|own| own.get_ref().as_str()) == Some(name)
        });
        inside(named?, keys)
    };
    match spot {
        Spot::Object(side) => block(side.key(), ["object", ""]),
        Spot::IdField(side) => block(side.key(), ["id_field", "object"]),
        Spot::MatchKey(number, side) => {
            let key = table.get("match")?.get_ref().as_array()?.get(*number)?;
            inside(key, [side.key(), ""])
        }
        Spot::Field(name, side) => field(name, [side.key(), "name"]),
        Spot::Table(name) => field(name, ["values", "name"]),
        Spot::Handoff(block, key) => {
            inside(table.get("handoff")?.get_ref().as_table()?.get(*block)?, [key, ""])
        }
    }
}

/// The first of `keys` that the block has, or the block.
fn inside(block: &toml::Spanned<DeValue<'_>>, keys: [&str; 2]) -> Option<Range<usize>> {
    let table = block.get_ref().as_table()?;
    let value = keys.iter().find_map(|key| table.get(*key));
    Some(value.map_or_else(|| block.span(), toml::Spanned::span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spot_is_where_it_is_written() {
        let text = r#"
name = "people"
[hubspot]
object = "contacts"
[salesforce]
object = "Lead"
id_field = "HubSpot_Id__c"
[[match]]
hubspot = "email"
[[field]]
name = "first"
hubspot = "firstname"
[[field]]
name = "stage"
salesforce = { Lead = "Stage__c" }
values = []
[handoff.feedback]
state = "handoff_state"
"#;
        let source = |path: &str, text: &str| {
            Arc::new(Source { path: path.to_owned(), text: text.to_owned() })
        };
        let sources = [source("deals.toml", "name = \"deals\""), source("people.toml", text)];
        let at = |spot: Spot| {
            let (source, span) = spot.find("people", &sources).unwrap();
            assert_eq!(source.path, "people.toml");
            source.text[span].to_owned()
        };
        let field = |name: &str, side| at(Spot::Field(name.to_owned(), side));
        assert_eq!(at(Spot::Object(Side::HubSpot)), "\"contacts\"");
        assert_eq!(at(Spot::IdField(Side::Salesforce)), "\"HubSpot_Id__c\"");
        assert_eq!(at(Spot::IdField(Side::HubSpot)), "\"contacts\"");
        assert_eq!(at(Spot::MatchKey(0, Side::HubSpot)), "\"email\"");
        assert_eq!(field("first", Side::HubSpot), "\"firstname\"");
        assert_eq!(field("stage", Side::Salesforce), "{ Lead = \"Stage__c\" }");
        assert_eq!(field("stage", Side::HubSpot), "\"stage\"");
        assert_eq!(at(Spot::Table("stage".to_owned())), "[]");
        assert_eq!(at(Spot::Handoff("feedback", "state")), "\"handoff_state\"");
        assert_eq!(Spot::Handoff("feedback", "state").find("deals", &sources), None);
        assert_eq!(Spot::Object(Side::HubSpot).find("companies", &sources), None);
        assert_eq!(Spot::Object(Side::HubSpot).find("deals", &sources), None);
    }
}
