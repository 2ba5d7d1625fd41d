//! The object: may records be created and changed, and can they be known again.

use super::{Asked, Misfit};
use crate::mapping::{Create, Spot};
use crate::platform::{FieldKind, FieldSchema};
use crate::record::Side;

/// The characters of a Salesforce id, and room for HubSpot's growing numbers.
const ID_LENGTH: u32 = 18;

impl Asked<'_> {
    /// Whether the mapping creates such records here.
    pub(super) fn creates(&self) -> bool {
        let spec = self.mapping.sides.get(self.side);
        !matches!(spec.create, Create::Never) && self.object == spec.object
    }

    pub(super) fn object_fits(&self, found: &mut Vec<Misfit>) {
        let spot = || Spot::Object(self.side);
        for (needed, allowed, verb) in [
            (true, self.schema.updatable, "change"),
            (self.creates(), self.schema.creatable, "create"),
        ] {
            if needed && !allowed {
                let (side, object) = (self.side, self.object);
                let what = format!("the signed-in user may not {verb} {side}'s {object} records");
                let help = format!("let the user {verb} them in the user's profile");
                found.push(self.misfit(spot(), None, true, what).help(help));
            }
        }
        self.id_field_fits(found);
        if self.creates() {
            self.required_fits(found);
        }
    }

    fn id_field_fits(&self, found: &mut Vec<Misfit>) {
        let name = self.mapping.sides.get(self.side).id_field.as_str();
        let spot = || Spot::IdField(self.side);
        let Some(field) = self.schema.fields.get(name) else {
            found.push(self.absent(spot(), name, true));
            return;
        };
        let mut tell = |what: String, help: &str| {
            found.push(self.misfit(spot(), Some(name), true, what).help(help));
        };
        let place = format!("{} {}'s `{name}`", self.side, self.object);
        let help = "two records could name the same one across: make a new field, as one that is \
                    filled cannot always be changed";
        if !field.unique {
            tell(format!("{place} holds the other side's id, and is not unique"), help);
        }
        if self.side == Side::Salesforce && !field.external_id {
            let help = "tick External ID in Setup: records are created by it, so that none is \
                        created twice";
            tell(format!("{place} is no external id"), help);
        }
        if !field.updatable || (self.creates() && !field.creatable) {
            let help = "let the signed-in user edit it";
            tell(format!("{place} cannot be written"), help);
        }
        let too_short = field.length.is_some_and(|length| length < ID_LENGTH);
        if field.kind != FieldKind::Text || too_short {
            let what = format!("{place} cannot hold every id of the other side");
            tell(what, "make it a text of at least 18 characters");
        }
    }

    /// What a new record cannot do without must be written.
    fn required_fits(&self, found: &mut Vec<Misfit>) {
        let written = |required: &FieldSchema| {
            self.mapping.fields.iter().any(|field| {
                let own = field.sides.get(self.side).as_ref();
                field.flows_to(self.side)
                    && own.and_then(|own| own.name(self.object)) == Some(required.name.as_str())
            })
        };
        let id_field = &self.mapping.sides.get(self.side).id_field;
        for field in self.schema.fields.values() {
            if !field.required || field.name == *id_field || written(field) {
                continue;
            }
            let (side, object, name) = (self.side, self.object, &field.name);
            let what = format!("{side} creates no {object} without `{name}`, which is not mapped");
            let help = "map it, give it a default value there, or leave it if a flow fills it";
            found.push(self.misfit(Spot::Object(side), Some(name), false, what).help(help));
        }
    }

    /// The fields by which records are recognised.
    pub(super) fn keys_fit(&self, found: &mut Vec<Misfit>) {
        for (number, key) in self.mapping.matching.iter().enumerate() {
            let name = key.fields.get(self.side);
            if !self.schema.fields.contains_key(name) {
                // What a Lead becomes may lack a key that the Lead has.
                let hinders = self.object == self.mapping.sides.get(self.side).object;
                found.push(self.absent(Spot::MatchKey(number, self.side), name, hinders));
            }
        }
    }
}
