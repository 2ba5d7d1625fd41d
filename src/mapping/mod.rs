//! The admin's files: what they say, and what it means.
//!
//! [`model`] is a mapping as the rest of the program sees it: checked, compiled, and without a
//! trace of the file's spelling. [`condition`] holds the admin's expressions; [`domain`] carries
//! values from a side's spelling into the canonical domain and back.
//!
//! Pure: no clock, no network, no storage. What a mapping needs to know of the accounts (owners,
//! other links) is an argument, [`Directory`].

pub mod check;
mod compile;
pub mod condition;
pub mod diagnostic;
pub mod domain;
pub mod example;
mod file;
mod fingerprint;
pub mod handoff;
mod load;
pub mod model;
mod parse;
mod place;
mod schema;
pub mod template;
pub mod transform;

#[cfg(test)]
mod readme;
#[cfg(test)]
mod tests;

pub use condition::{Condition, ConditionError, Facts, Sight};
pub use diagnostic::{Diagnostic, Report, Severity, Source};
pub use domain::{BadValue, Directory, OwnerFound, OwnerMissing, Reading};
pub use example::{Example, ExampleRecord, Expected};
pub use handoff::HandoffSpec;
pub use load::{Mappings, load};
pub use model::{
    Assign, BackRule, BlankRule, Create, Direction, FarEdit, Field, FieldSide, Kind, Mapping,
    MatchKey, OnDelete, Qualification, Quiet, Rule, SideSpec, Stages, Table, TableRow,
    UnknownOwner, Unlisted,
};
pub use place::Spot;
pub use schema::schema;
pub use template::Template;
