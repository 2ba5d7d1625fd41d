//! What pages are made of, as plain values: sections, tables, cells. And how single values read.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// A part of the page under a heading of its own.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Section {
    /// Its anchor.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// A sentence or two before all else.
    pub lead: Vec<Cell>,
    /// Its tables. Those without rows are left out.
    pub tables: Vec<Table>,
    /// What is said where there is no table.
    pub none: &'static str,
}

/// A table. The first cell of a row names it.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Table {
    /// What it shows.
    pub caption: String,
    /// The columns.
    pub head: Vec<Column>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
    /// What is left out, where something is.
    pub note: Option<String>,
}

/// A column.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Column {
    pub name: &'static str,
    /// Whether its cells are numbers, which stand one below the other.
    pub number: bool,
}

/// A cell, or a piece of text.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Cell {
    pub text: String,
    /// Whether it is typed into a terminal as it stands.
    pub command: bool,
    /// `good`, `warn`, `bad`, or nothing.
    pub tone: Option<&'static str>,
}

impl Table {
    /// A table without rows yet. A column whose name begins with `#` holds numbers.
    pub(super) fn new<const N: usize>(
        caption: impl Into<String>,
        columns: [&'static str; N],
    ) -> Self {
        let head = columns
            .into_iter()
            .map(|column| match column.strip_prefix('#') {
                Some(name) => Column { name, number: true },
                None => Column { name: column, number: false },
            })
            .collect();
        Self { caption: caption.into(), head, ..Self::default() }
    }

    /// Adds a row.
    pub(super) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.head.len(), "{}", self.caption);
        self.rows.push(cells.into());
    }

    /// Says that only the first of more are shown.
    pub(super) fn cut(&mut self, most: usize, of: usize) {
        if of > most {
            self.rows.truncate(most);
            self.note = Some(format!(
                "The first {most} of {}; the command line lists all.",
                number(of as u64)
            ));
        }
    }
}

impl Cell {
    /// What is typed into a terminal.
    pub(super) fn command(text: impl Into<String>) -> Self {
        Self { text: text.into(), command: true, tone: None }
    }

    /// The same in a tone: `good`, `warn` or `bad`.
    pub(super) fn tone(mut self, tone: Option<&'static str>) -> Self {
        self.tone = tone;
        self
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, command: false, tone: None }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<u64> for Cell {
    fn from(count: u64) -> Self {
        number(count).into()
    }
}

/// Nothing, as a dash.
pub(super) fn or_dash(text: Option<impl Into<String>>) -> Cell {
    text.map_or_else(|| Cell::from("–"), |text| Cell::from(text.into()))
}

/// A number with its thousands set apart.
pub(super) fn number(count: u64) -> String {
    crate::handoff::story::grouped(count)
}

/// A time as people write it: `2 Nov 2026, 09:00 UTC`.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%-d %b %Y, %H:%M UTC").to_string()
}

/// How long ago something was, and when, where that is longer than a day.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let passed = now.duration_since(at);
    match passed {
        passed if passed < SignedDuration::from_secs(1) => "now".to_owned(),
        passed if passed < SignedDuration::from_hours(24) => format!("{} ago", age(at, now)),
        _ => moment(at),
    }
}

/// How long something has lasted: `41s`, `2d 3h`.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    let passed = now.duration_since(since);
    let whole = SignedDuration::from_secs(passed.as_secs().max(0));
    crate::handoff::story::span(whole)
}
