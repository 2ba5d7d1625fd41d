//! The whole decision: one situation in, one line out.

mod fields;
mod links;
mod properties;
mod rules;
