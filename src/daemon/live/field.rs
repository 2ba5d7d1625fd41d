//! One field: is it there, can it be written, can it hold what comes from across.

use super::{Asked, Misfit};
use crate::mapping::transform::Argument;
use crate::mapping::{Field, Kind, Spot};
use crate::platform::{FieldKind, FieldSchema};

/// A mapped field as the account has it.
pub(super) struct Met<'a> {
    pub(super) field: &'a Field,
    pub(super) own: &'a FieldSchema,
    /// Whether values are written to it.
    pub(super) written: bool,
}

impl<'a> Asked<'a> {
    /// The mapped field as the account has it; none where this object has no part in it.
    pub(super) fn met(&self, field: &'a Field, found: &mut Vec<Misfit>) -> Option<Met<'a>> {
        let name = field.sides.get(self.side).as_ref()?.name(self.object)?;
        let written = field.flows_to(self.side);
        let Some(own) = self.schema.fields.get(name) else {
            found.push(self.absent(self.spot(field), name, true));
            return None;
        };
        Some(Met { field, own, written })
    }

    pub(super) fn spot(&self, field: &Field) -> Spot {
        Spot::Field(field.name.clone(), self.side)
    }

    pub(super) fn field_fits(&self, met: &Met<'_>, found: &mut Vec<Misfit>) {
        let Met { field, own, written } = *met;
        let place = format!("{} {}'s `{}`", self.side, self.object, own.name);
        let mut tell = |hinders, what: String, help: &str| {
            let misfit = self.misfit(self.spot(field), Some(&own.name), hinders, what);
            found.push(misfit.help(help));
        };
        if written && !own.updatable {
            let help = "it is calculated or hidden from the signed-in user: let the field flow the \
                        other way, or grant the right to edit it";
            tell(true, format!("{place} cannot be written"), help);
        } else if written && self.creates() && !own.creatable {
            let help = "new records would be refused: grant the right, or map another field";
            tell(true, format!("{place} cannot be set on new records"), help);
        }
        let spoken = field.spoken(self.side);
        if !kinds_fit(spoken, &own.kind) {
            let what =
                format!("{place} holds {}, the mapping says {}", told(&own.kind), spoken.noun());
            let help = "give the field the other type, or a transform between the two";
            tell(written && is_strict(&own.kind), what, help);
        }
    }

    /// Texts that may be longer than the account takes, in one finding: HubSpot's fields have no
    /// limit that says anything, so that it is so for most.
    pub(super) fn lengths_fit(&self, fields: &[Met<'_>], found: &mut Vec<Misfit>) {
        let short: Vec<(&Met<'_>, u32)> = fields
            .iter()
            .filter(|met| met.written && met.field.kind == Kind::Text)
            // Half an e-mail address or domain is nobody's: such a one is better refused.
            .filter(|met| !self.is_key(met.own))
            .filter_map(|met| Some((met, met.own.length?)))
            .filter(|(met, length)| self.longest(met.field).is_none_or(|most| most > *length))
            .collect();
        let Some((first, length)) = short.first() else { return };
        let listed: Vec<String> =
            short.iter().map(|(met, length)| format!("`{}` ({length})", met.own.name)).collect();
        let (side, object, from) = (self.side, self.object, self.side.other());
        let what = format!(
            "{from} may hold longer texts than {side} {object} takes: {}",
            listed.join(", ")
        );
        let help = format!(
            "a longer text is refused and listed as a reject; in `{}`, transform = \
             [{{ truncate = {length} }}] keeps its beginning",
            first.field.name
        );
        let name = (short.len() == 1).then_some(first.own.name.as_str());
        found.push(self.misfit(self.spot(first.field), name, false, what).help(help));
    }

    fn is_key(&self, own: &FieldSchema) -> bool {
        self.mapping.matching.iter().any(|key| *key.fields.get(self.side) == own.name)
    }

    /// The most characters that can come from across; none where there is no limit.
    fn longest(&self, field: &Field) -> Option<u32> {
        let side = self.side.other();
        let place = field.sides.get(side).as_ref();
        let across = self.across.iter().filter_map(|(object, schema)| {
            let name = place?.name(object)?;
            Some(schema.fields.get(name)?.length.unwrap_or(u32::MAX))
        });
        let steps = field.normalise.iter().chain(place.into_iter().flat_map(|own| &own.steps));
        let own = field.sides.get(self.side).as_ref();
        let cut =
            steps.chain(own.into_iter().flat_map(|own| &own.steps)).filter_map(|step| {
                match (step.transform.name, &step.argument) {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a number of characters, checked when the file was read"
                    )]
                    ("truncate", Argument::Number(most)) => Some(*most as u32),
                    _ => None,
                }
            });
        let most = across.max().unwrap_or(u32::MAX).min(cut.min().unwrap_or(u32::MAX));
        (most < u32::MAX).then_some(most)
    }
}

/// Whether a field of the account can hold what the mapping says. Text holds anything.
fn kinds_fit(mapped: &Kind, own: &FieldKind) -> bool {
    match (mapped, own) {
        (Kind::Text | Kind::Choice, FieldKind::Text | FieldKind::Choice)
        | (_, FieldKind::Text)
        | (Kind::Number, FieldKind::Number)
        | (Kind::Date, FieldKind::Date | FieldKind::DateTime)
        | (Kind::DateTime, FieldKind::DateTime)
        | (Kind::Bool, FieldKind::Bool | FieldKind::Choice)
        | (Kind::Choices, FieldKind::Choices)
        | (Kind::Owner, FieldKind::Owner | FieldKind::Reference | FieldKind::Choice)
        | (Kind::Link { .. }, FieldKind::Reference | FieldKind::Number)
        // Rich text, addresses and what else a vendor calls by a name of its own.
        | (Kind::Text, FieldKind::Other(_)) => true,
        _ => false,
    }
}

/// Whether the platform refuses values of another type.
const fn is_strict(kind: &FieldKind) -> bool {
    matches!(
        kind,
        FieldKind::Number
            | FieldKind::Date
            | FieldKind::DateTime
            | FieldKind::Owner
            | FieldKind::Reference
    )
}

fn told(kind: &FieldKind) -> &str {
    match kind {
        FieldKind::Text => "a text",
        FieldKind::Number => "a number",
        FieldKind::Bool => "yes or no",
        FieldKind::Date => "a date",
        FieldKind::DateTime => "a date and time",
        FieldKind::Choice => "a choice",
        FieldKind::Choices => "a list of choices",
        FieldKind::Owner => "an owner",
        FieldKind::Reference => "another record",
        FieldKind::Other(word) => word,
    }
}
