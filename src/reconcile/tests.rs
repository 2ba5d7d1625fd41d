//! The whole decision: one situation in, one line out.

mod fields;
