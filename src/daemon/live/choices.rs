//! Value tables and stages against the account's own choices.

use std::collections::{BTreeMap, BTreeSet};

use super::field::Met;
use super::{Asked, Misfit};
use crate::mapping::{Field, Kind, Spot, Table, Unlisted};
use crate::platform::{Error, ErrorKind, FieldSchema, Platform};
use crate::record::Side;

/// The property whose order HubSpot itself enforces: it keeps a later stage rather than take an
/// earlier one.
const LIFECYCLE_STAGE: &str = "lifecyclestage";

impl Asked<'_> {
    pub(super) async fn choices_fit(
        &self,
        met: &Met<'_>,
        platform: &dyn Platform,
        found: &mut Vec<Misfit>,
    ) -> Result<(), Error> {
        let Met { field, own, written } = *met;
        self.stages_fit(field, own, found);
        let Some(table) = &field.table else { return Ok(()) };
        if own.choices.is_empty() {
            return Ok(());
        }
        self.rows_fit(field, table, own, written, found);
        self.all_covered(field, table, own, platform, found).await
    }

    /// Each value that the table has for this side is one of the account's.
    fn rows_fit(
        &self,
        field: &Field,
        table: &Table,
        own: &FieldSchema,
        written: bool,
        found: &mut Vec<Misfit>,
    ) {
        let active: BTreeSet<&str> = own
            .choices
            .iter()
            .filter(|choice| choice.active)
            .map(|choice| choice.value.as_str())
            .collect();
        let given: BTreeSet<&str> =
            table.rows.iter().filter_map(|row| table.value_of(self.side, &row.key)).collect();
        let rows: BTreeSet<&str> = table.rows.iter().filter_map(|row| row.on(self.side)).collect();
        for value in rows.difference(&active) {
            let known = own.choices.iter().any(|choice| choice.value == **value);
            let is_written = written && given.contains(value);
            // Records may hold a choice that can no longer be made.
            if known && !is_written {
                continue;
            }
            let state = if known { "no longer offers" } else { "has no" };
            let (side, object, name) = (self.side, self.object, &own.name);
            let what = format!("{side} {object}'s `{name}` {state} choice {value:?}");
            let help = match crate::mapping::diagnostic::nearest(value, active.iter().copied()) {
                Some(near) if !known => format!("did you mean {near:?}?"),
                _ => format!("it offers {}", list(&active)),
            };
            let hinders = is_written && own.restricted;
            let spot = Spot::Table(field.name.clone());
            found.push(self.misfit(spot, Some(name), hinders, what).help(help));
        }
    }

    /// Each choice of the account has a row, or the table says what becomes of it.
    async fn all_covered(
        &self,
        field: &Field,
        table: &Table,
        own: &FieldSchema,
        platform: &dyn Platform,
        found: &mut Vec<Misfit>,
    ) -> Result<(), Error> {
        if *table.unlisted.get(self.side) != Unlisted::Reject {
            return Ok(());
        }
        let uncovered: Vec<String> = own
            .choices
            .iter()
            .map(|choice| choice.value.clone())
            .filter(|value| !value.is_empty() && table.key_of(self.side, value).is_none())
            .collect();
        // Salesforce counts every value that occurs, also those that are no choice any more.
        let others = self.side == Side::Salesforce && !own.restricted;
        if uncovered.is_empty() && !others {
            return Ok(());
        }
        let counts = self.counts(field, own, platform, &uncovered).await?;
        let mut all: BTreeMap<String, Option<u64>> =
            uncovered.iter().map(|value| (value.clone(), None)).collect();
        for (value, count) in counts {
            if !value.is_empty() && table.key_of(self.side, &value).is_none() {
                all.insert(value, Some(count));
            }
        }
        let inactive =
            |value: &str| !own.choices.iter().any(|choice| choice.value == value && choice.active);
        for (value, count) in all {
            let how_many = match count {
                None => ", on an unknown number of records".to_owned(),
                // Nobody can choose it and nobody has it.
                Some(0) if inactive(&value) => continue,
                Some(0) => ", which no record has yet".to_owned(),
                Some(1) => ", which 1 record has".to_owned(),
                Some(many) => format!(", which {many} records have"),
            };
            let (side, object, name) = (self.side, self.object, &own.name);
            let what = format!(
                "the table has no row for {value:?} of {side} {object}'s `{name}`{how_many}"
            );
            let help = "add a row, or say what values do that no row lists: unlisted = \"pass\" or \
                        { use = \"…\" }. Until then such a field is not settled";
            let hinders = count.is_some_and(|count| count > 0);
            let spot = Spot::Table(field.name.clone());
            found.push(self.misfit(spot, Some(name), hinders, what).help(help));
        }
        Ok(())
    }

    /// How many records hold each value, where the platform can count them.
    async fn counts(
        &self,
        field: &Field,
        own: &FieldSchema,
        platform: &dyn Platform,
        values: &[String],
    ) -> Result<BTreeMap<String, u64>, Error> {
        // A record with several choices is counted under all of them together.
        if field.kind == Kind::Choices {
            return Ok(BTreeMap::new());
        }
        match platform.count_by(self.object, &own.name, values).await {
            Ok(counts) => Ok(counts),
            // Not every field can be counted by; the rest of the check goes on.
            Err(error) if error.kind == ErrorKind::Request => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }

    /// The stages are in the order in which HubSpot lets a record advance.
    fn stages_fit(&self, field: &Field, own: &FieldSchema, found: &mut Vec<Misfit>) {
        let Some(stages) = &self.mapping.stages else { return };
        if stages.field != field.name || self.side != Side::HubSpot || own.name != LIFECYCLE_STAGE {
            return;
        }
        let mut portal: Vec<&str> = Vec::new();
        for choice in &own.choices {
            let key = match &field.table {
                Some(table) => table.key_of(self.side, &choice.value),
                None => Some(choice.value.as_str()),
            };
            let ordered = key.filter(|key| stages.order.iter().any(|stage| stage == key));
            portal.extend(ordered.filter(|key| !portal.contains(key)));
        }
        let ours: Vec<&str> =
            stages.order.iter().map(String::as_str).filter(|key| portal.contains(key)).collect();
        if ours == portal {
            return;
        }
        let what = format!(
            "HubSpot's stages stand in another order than the mapping's: {}",
            portal.join(", ")
        );
        let help = format!(
            "HubSpot keeps a later stage silently, by its own order; here it is {}: write [stages] \
             order as HubSpot has it, or move the stages there",
            ours.join(", ")
        );
        found.push(self.misfit(self.spot(field), Some(&own.name), true, what).help(help));
    }
}

fn list(values: &BTreeSet<&str>) -> String {
    values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", ")
}
