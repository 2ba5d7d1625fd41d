//! The kinds of object that the sandbox models.

use std::fmt;

/// A kind of CRM object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// People.
    Contact,
    /// Organizations.
    Company,
    /// Opportunities.
    Deal,
    /// To-dos.
    Task,
    /// Notes on the timeline.
    Note,
    /// Logged calls.
    Call,
    /// Logged one-to-one e-mails.
    Email,
}

impl Object {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Contact, Self::Company, Self::Deal, Self::Task, Self::Note, Self::Call, Self::Email];

    /// Whether it stands on the timeline of what it is about.
    #[must_use]
    pub const fn is_activity(self) -> bool {
        matches!(self, Self::Task | Self::Note | Self::Call | Self::Email)
    }

    /// The kind that a path segment names: its plural, its singular or its type id.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|object| {
            object.type_id() == text
                || object.plural().eq_ignore_ascii_case(text)
                || object.singular().eq_ignore_ascii_case(text)
        })
    }

    /// The object type id.
    #[must_use]
    pub const fn type_id(self) -> &'static str {
        match self {
            Self::Contact => "0-1",
            Self::Company => "0-2",
            Self::Deal => "0-3",
            Self::Task => "0-27",
            Self::Note => "0-46",
            Self::Call => "0-48",
            Self::Email => "0-49",
        }
    }

    /// The name in paths.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Contact => "contacts",
            Self::Company => "companies",
            Self::Deal => "deals",
            Self::Task => "tasks",
            Self::Note => "notes",
            Self::Call => "calls",
            Self::Email => "emails",
        }
    }

    /// The name in messages and association labels.
    #[must_use]
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Company => "company",
            Self::Deal => "deal",
            Self::Task => "task",
            Self::Note => "note",
            Self::Call => "call",
            Self::Email => "email",
        }
    }

    /// The property that says when a record was created.
    #[must_use]
    pub const fn created(self) -> &'static str {
        match self {
            Self::Contact | Self::Company | Self::Deal => "createdate",
            Self::Task | Self::Note | Self::Call | Self::Email => "hs_createdate",
        }
    }

    /// The property that says when a record was last modified: contacts differ from all others.
    #[must_use]
    pub const fn modified(self) -> &'static str {
        match self {
            Self::Contact => "lastmodifieddate",
            _ => "hs_lastmodifieddate",
        }
    }

    /// What a read returns where nothing is asked for, beside the id and the two stamps.
    #[must_use]
    pub const fn read_by_default(self) -> &'static [&'static str] {
        match self {
            Self::Contact => &["email", "firstname", "lastname"],
            Self::Company => &["domain", "name"],
            Self::Deal => &["amount", "closedate", "dealname", "dealstage", "pipeline"],
            Self::Task | Self::Note | Self::Call | Self::Email => &[],
        }
    }

    /// What the answer to a write returns beside the written properties, the id and the two
    /// stamps. A write does not honour a selector.
    #[must_use]
    pub const fn written_by_default(self) -> &'static [&'static str] {
        match self {
            Self::Contact => &[
                "hs_is_unworked",
                "hs_object_source",
                "hs_object_source_id",
                "hs_object_source_label",
                "hs_pipeline",
                "hs_v2_date_entered_current_stage",
                "lifecyclestage",
            ],
            Self::Company => &[
                "hs_object_source",
                "hs_object_source_id",
                "hs_object_source_label",
                "hs_pipeline",
                "hs_v2_date_entered_current_stage",
                "lifecyclestage",
            ],
            Self::Deal => &[
                "hs_is_closed",
                "hs_is_closed_won",
                "hs_object_source",
                "hs_object_source_id",
                "hs_object_source_label",
            ],
            Self::Task => &[
                "hs_object_source",
                "hs_object_source_id",
                "hs_object_source_label",
                "hs_task_completion_date",
                "hs_task_is_completed",
            ],
            Self::Note | Self::Call | Self::Email => {
                &["hs_object_source", "hs_object_source_id", "hs_object_source_label"]
            }
        }
    }

    /// The first id that the account gives out. Ids are unique only within a kind; here they differ
    /// between kinds so that one kind's id used for another is noticed, and do not fit 32 bits.
    #[must_use]
    pub const fn first_id(self) -> u64 {
        match self {
            Self::Contact => 101_000_000_001,
            Self::Company => 202_000_000_001,
            Self::Deal => 303_000_000_001,
            Self::Task => 404_000_000_001,
            Self::Note => 505_000_000_001,
            Self::Call => 606_000_000_001,
            Self::Email => 707_000_000_001,
        }
    }

    /// Which lifecycle pipeline a record of this kind moves through, if any.
    #[must_use]
    pub const fn lifecycle_pipeline(self) -> Option<&'static str> {
        match self {
            Self::Contact => Some("contacts-lifecycle-pipeline"),
            Self::Company => Some("companies-lifecycle-pipeline"),
            _ => None,
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plural())
    }
}
