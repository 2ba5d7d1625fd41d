//! What waits for a person, each with the command that ends the wait.
//!
//! The values themselves are not shown: a conflict's two e-mail addresses are the business of who
//! decides it, and the command line shows them there.

use jiff::Timestamp;

use super::value::{Cell, Section, Table, age};
use crate::daemon::query::{Conflicts, HoldView, RejectView};

/// How many of each are shown.
const SHOWN: usize = 20;

/// What waits for a person.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    /// Open conflicts and ambiguous matches; those that a person has decided are left out.
    pub conflicts: Conflicts,
    /// Refused writes.
    pub rejects: Vec<RejectView>,
    /// Holds, released ones included.
    pub holds: Vec<HoldView>,
}

impl Waiting {
    pub(super) fn section(&self, now: Timestamp) -> Section {
        Section {
            id: "waiting",
            title: "Waiting for a person",
            lead: self.lead(),
            tables: vec![self.holds(now), self.fields(now), self.matches(now), self.rejects(now)],
            none: "Nothing waits for a person.",
        }
    }

    fn lead(&self) -> Vec<Cell> {
        let lists = [
            (self.holds.iter().any(|hold| hold.released.is_none()), "lockstep holds list"),
            (
                !self.conflicts.fields.is_empty() || !self.conflicts.matches.is_empty(),
                "lockstep conflicts list",
            ),
            (!self.rejects.is_empty(), "lockstep rejects list"),
        ];
        let mut lead = vec![Cell::from("The values are shown by")];
        lead.extend(lists.into_iter().filter(|(any, _)| *any).map(|(_, list)| Cell::command(list)));
        if lead.len() == 1 { Vec::new() } else { lead }
    }

    fn holds(&self, now: Timestamp) -> Table {
        let mut table = Table::new(
            "Plans that a safety limit stopped",
            ["Hold", "Mapping", "#Plans", "Why", "For", "Next step"],
        );
        let open: Vec<_> = self.holds.iter().filter(|hold| hold.released.is_none()).collect();
        for hold in &open {
            table.row([
                hold.hold.to_string().into(),
                hold.mapping.as_deref().unwrap_or("all").into(),
                hold.count.into(),
                hold.reason.as_str().into(),
                age(hold.since, now).into(),
                Cell::command(format!("lockstep holds release {}", hold.hold)),
            ]);
        }
        table.cut(SHOWN, open.len());
        table
    }

    fn fields(&self, now: Timestamp) -> Table {
        let mut table = Table::new(
            "Fields that both sides changed differently",
            ["Link", "Mapping", "Field", "For", "Next step"],
        );
        let open: Vec<_> =
            self.conflicts.fields.iter().filter(|one| one.decided.is_none()).collect();
        for one in &open {
            table.row([
                one.link.as_str().into(),
                one.mapping.as_str().into(),
                one.field.as_str().into(),
                age(one.since, now).into(),
                Cell::command(format!(
                    "lockstep conflicts resolve {} {} --take salesforce",
                    one.link, one.field
                )),
            ]);
        }
        table.cut(SHOWN, open.len());
        table
    }

    fn matches(&self, now: Timestamp) -> Table {
        let mut table = Table::new(
            "Records that may belong to several",
            ["Record", "Mapping", "#Candidates", "For", "Next step"],
        );
        let open: Vec<_> =
            self.conflicts.matches.iter().filter(|one| one.decided.is_none()).collect();
        for one in &open {
            let id = one.record.rsplit(' ').next().unwrap_or_default();
            table.row([
                one.record.as_str().into(),
                one.mapping.as_str().into(),
                (one.candidates.len() as u64).into(),
                age(one.since, now).into(),
                Cell::command(format!("lockstep conflicts match {id} none")),
            ]);
        }
        table.cut(SHOWN, open.len());
        table
    }

    fn rejects(&self, now: Timestamp) -> Table {
        let mut table = Table::new(
            "Writes that a platform refused",
            ["Record", "Side", "Field", "Refused with", "For", "Next step"],
        );
        for one in &self.rejects {
            let id = one.of.rsplit(' ').next().unwrap_or_default();
            let field = if one.field == "*" { "the record" } else { &one.field };
            table.row([
                one.of.as_str().into(),
                one.side.to_string().into(),
                field.into(),
                one.code.as_str().into(),
                age(one.since, now).into(),
                Cell::command(format!("lockstep rejects retry {id}")),
            ]);
        }
        table.cut(SHOWN, self.rejects.len());
        table
    }
}
