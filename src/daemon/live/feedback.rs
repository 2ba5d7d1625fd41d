//! What HubSpot is told of handoffs: are the properties there, and can they hold it.

use super::{Asked, Misfit};
use crate::handoff::State;
use crate::mapping::Spot;
use crate::mapping::handoff::Feedback;
use crate::platform::{FieldKind, FieldSchema};
use crate::record::Side;

impl Asked<'_> {
    /// The properties of `[handoff.feedback]`. One that HubSpot refuses keeps all of them back: they
    /// are written together.
    pub(super) fn feedback_fits(&self, found: &mut Vec<Misfit>) {
        let spec = &self.mapping.sides.hubspot;
        if self.side != Side::HubSpot || self.object != spec.object {
            return;
        }
        for (what, name) in self.mapping.handoff.iter().flat_map(|handoff| &handoff.feedback) {
            let spot = || Spot::Handoff("feedback", what.key());
            let Some(own) = self.schema.fields.get(name) else {
                found.push(self.absent(spot(), name, true));
                continue;
            };
            let place = format!("HubSpot {}'s `{name}`", self.object);
            let mut tell = |what: String, help: &str| {
                found.push(self.misfit(spot(), Some(name), true, what).help(help));
            };
            if !own.updatable {
                let help = "HubSpot calculates it: name a property of your own";
                tell(format!("{place} cannot be written"), help);
            } else if let Some((what, help)) = unfit(*what, own) {
                tell(format!("{place} {what}"), help);
            }
        }
    }
}

/// What is wrong with a property for what it is to hold, and what would be right.
fn unfit(what: Feedback, own: &FieldSchema) -> Option<(String, &'static str)> {
    const TEXT: &str = "make it a single-line text";
    match (what, &own.kind) {
        (_, FieldKind::Text)
        | (Feedback::TouchedAt | Feedback::WonAt, FieldKind::DateTime)
        | (Feedback::Amount, FieldKind::Number) => None,
        (Feedback::State, FieldKind::Choice) => {
            let lacks = |state: &State| !own.choices.iter().any(|it| it.value == state.key());
            let missing: Vec<&str> =
                State::ALL.iter().filter(|state| lacks(state)).map(|state| state.key()).collect();
            let what = format!("has no choice for {}", missing.join(", "));
            (!missing.is_empty()).then_some((what, "add the choices, or make it a text"))
        }
        (Feedback::TouchedAt | Feedback::WonAt, _) => {
            Some(("does not hold a date with a time".to_owned(), "make it a date and time picker"))
        }
        (Feedback::Amount, _) => Some(("does not hold a number".to_owned(), "make it a number")),
        _ => Some(("does not hold any text".to_owned(), TEXT)),
    }
}
