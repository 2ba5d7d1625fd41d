//! SOQL: lexer, parser, binding to the schema, evaluation.
//!
//! A text becomes words ([`lex`]), words become a query as written ([`ast`]), the query is bound to
//! the objects and fields that exist ([`bind`]) and then run ([`eval`], [`group`], [`render`]).
//! Errors carry the excerpt, row and column that the platform shows.

mod ast;
mod bind;
mod dates;
mod eval;
mod group;
mod lex;
mod parse;
mod render;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::refusal::{Code, Refusal};
use super::table::Record;
use super::world::Org;
pub(super) use bind::Bound;
pub(super) use eval::address;
pub(super) use render::attributes;

/// A mistake in a query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SoqlError {
    code: Code,
    message: String,
}

impl SoqlError {
    /// A text that is not SOQL, with the place where that shows.
    fn malformed(text: &str, at: usize, message: String) -> Self {
        Self::placed(Code::MalformedQuery, text, at, &message)
    }

    /// An error with the platform's excerpt: the line's neighbourhood, a caret, row and column.
    fn placed(code: Code, text: &str, at: usize, message: &str) -> Self {
        let at = (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        let line_start = text[..at].rfind('\n').map_or(0, |n| n + 1);
        let row = text[..at].matches('\n').count() + 1;
        let column = text[line_start..at].chars().count() + 1;
        let shown_from = text[line_start..at]
            .char_indices()
            .rev()
            .nth(29)
            .map_or(line_start, |(i, _)| line_start + i);
        let rest = text[at..].lines().next().unwrap_or_default();
        let excerpt: String = text[shown_from..at].chars().chain(rest.chars().take(30)).collect();
        let indent = " ".repeat(text[shown_from..at].chars().count());
        let message =
            format!("\n{excerpt}\n{indent}^\nERROR at Row:{row}:Column:{column}\n{message}");
        Self { code, message }
    }

    fn plain(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<SoqlError> for Refusal {
    fn from(error: SoqlError) -> Self {
        Self::call(error.code, error.message)
    }
}

/// What a query found.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// The answer to `COUNT()`.
    Count(usize),
    /// Finished rows of an aggregate query.
    Aggregates(Vec<Value>),
    /// Records, still to be rendered page by page.
    Records(Vec<Arc<Record>>),
}

impl Org {
    /// Reads and binds a query.
    pub(super) fn prepare(&self, text: &str, now: Timestamp) -> Result<Bound, SoqlError> {
        let query = parse::parse(text)?;
        bind::bind(self, text, &query, now)
    }

    /// Runs a prepared query. `all` includes the recycle bin.
    pub(super) fn run(&self, bound: &Bound, all: bool) -> Found {
        let all = all || bound.all_rows;
        if bound.count_only {
            return Found::Count(self.matching(bound, all).len());
        }
        if bound.is_aggregate() {
            return Found::Aggregates(self.aggregate(bound, all));
        }
        Found::Records(self.matching(bound, all))
    }
}
