//! Who gets a record that is about to be created in Salesforce.
//!
//! The owner goes out with the record itself, so that a handoff costs no further call. A record that
//! sales has already keeps its owner.

use jiff::Timestamp;

use super::sight;
use crate::daemon::case::Case;
use crate::daemon::directory::Owners;
use crate::daemon::{Engine, Trouble};
use crate::handoff::routing::{Around, Turns, pick};
use crate::journal::Commit;
use crate::mapping::handoff::{Assignment, Calendar, HandoffSpec, Robin, Target};
use crate::mapping::{Assign, Facts, Kind, Mapping};
use crate::reconcile::WriteAction;
use crate::record::{Raw, Side};

/// The journal's area for whose turn it is, by mapping.
const TURNS: &str = "handoff.turns";

impl Engine {
    /// Gives every record that is handed off and about to be created its owner.
    pub(in crate::daemon) async fn route(
        &self,
        mapping: &Mapping,
        cases: &mut [Case],
    ) -> Result<(), Trouble> {
        let Some(spec) = &mapping.handoff else { return Ok(()) };
        if spec.assign == Assignment::Rules {
            return Ok(());
        }
        let owners = self.owners(false).await?;
        let now = self.clock.now();
        for case in cases {
            let Some(seen) = handed_off(mapping, spec, case, now) else { continue };
            let owner = match &spec.assign {
                Assignment::Rules => None,
                Assignment::HubSpotOwner => match owner_value(mapping, &seen) {
                    Some(email) => owners.id_of(&Target::User(email)),
                    None => None,
                },
                Assignment::Fixed(target) => owners.id_of(target),
                Assignment::Robin(robin) => {
                    let (target, _) =
                        self.next_in_turn(mapping, spec, robin, &seen, &owners, None).await?;
                    target.and_then(|target| owners.id_of(&target))
                }
            };
            let write = case.plan.as_mut().and_then(|plan| plan.writes.salesforce.as_mut());
            if let (Some(owner), Some(write)) = (owner, write) {
                write.fields.insert("OwnerId".to_owned(), Raw::Text(owner));
                // A rule would give it to somebody else.
                if let WriteAction::Create { assign, .. } = &mut write.action {
                    *assign = Assign::Off;
                }
            }
        }
        Ok(())
    }

    /// Whose turn it is, or who gets it when nobody can, with what to say of it. The turn is taken
    /// by asking: what comes of it does not change whose turn is next.
    pub(super) async fn next_in_turn(
        &self,
        mapping: &Mapping,
        spec: &HandoffSpec,
        robin: &Robin,
        seen: &Facts,
        owners: &Owners,
        not: Option<&str>,
    ) -> Result<(Option<Target>, String), Trouble> {
        let turns: Turns = self.journal.kept(TURNS, &mapping.name).await?.unwrap_or_default();
        let active = |email: &str| owners.id_of(&Target::User(email.to_owned())).is_some();
        let calendar: &Calendar = &spec.calendar;
        let day = calendar.day_of(seen.now);
        let (picked, turns) =
            pick(robin, &turns, &Around { sight: seen, active: &active, not, day });
        let mut commit = Commit::new();
        commit.keep(TURNS, &mapping.name, &turns);
        self.journal.commit(commit).await?;
        let passed: Vec<String> =
            picked.passed.iter().map(|(user, why)| format!("{user} ({})", why.words())).collect();
        let passed = match passed.is_empty() {
            true => String::new(),
            false => format!("; passed over: {}", passed.join(", ")),
        };
        match picked.user {
            Some(user) => {
                Ok((Some(Target::User(user.clone())), format!("it is the turn of {user}{passed}")))
            }
            None => Ok((robin.otherwise.clone(), format!("nobody can take it{passed}"))),
        }
    }
}

/// What is known of a case whose record is about to be created because it is handed off.
fn handed_off(mapping: &Mapping, spec: &HandoffSpec, case: &Case, now: Timestamp) -> Option<Facts> {
    let plan = case.plan.as_ref()?;
    let write = plan.writes.salesforce.as_ref()?;
    matches!(write.action, WriteAction::Create { .. }).then_some(())?;
    let fires = spec.rules.iter().any(|rule| matches!(plan.applied.get(rule), Some(Some(_))));
    fires.then_some(())?;
    let seen = sight(mapping, &plan.base_after(&case.base, &Side::BOTH.into()), now);
    let kept = spec.exclude.iter().any(|it| it.when.holds(&seen) == Ok(true));
    (!kept).then_some(seen)
}

/// The address of the record's owner.
fn owner_value(mapping: &Mapping, seen: &Facts) -> Option<String> {
    let field = mapping.fields.iter().find(|field| field.kind == Kind::Owner)?;
    seen.merged.get(&field.name)?.as_text().map(str::to_owned)
}

impl Owners {
    /// Salesforce's id of a person who can own records, or of a queue.
    pub(super) fn id_of(&self, target: &Target) -> Option<String> {
        match target {
            Target::User(email) => self.active_id(Side::Salesforce, email),
            Target::Queue(name) => self.queue_id(Side::Salesforce, name),
        }
    }
}
