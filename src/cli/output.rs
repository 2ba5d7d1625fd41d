//! What people and programs read.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, TableStyle};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::Failure;

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Also into a pipe.
    Always,
    /// Nowhere.
    Never,
}

/// A colour by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// To be looked at.
    Warn,
    /// Wrong.
    Bad,
    /// Beside the point.
    Dim,
    /// A heading.
    Strong,
}

/// Where a command says what it has to say: the standard output for what was asked for, the error
/// stream for what went wrong and for progress.
#[derive(Debug)]
pub struct Output {
    json: bool,
    colour: bool,
    colour_errors: bool,
    terminal: bool,
    progress: bool,
}

impl Output {
    pub(super) fn new(json: bool, when: When, no_progress: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let errors_terminal = std::io::stderr().is_terminal();
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let wanted = |terminal: bool| match when {
            When::Always => true,
            When::Never => false,
            When::Auto => {
                terminal
                    && !set("NO_COLOR")
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        };
        Self {
            json,
            colour: wanted(terminal) && !json,
            colour_errors: wanted(errors_terminal),
            terminal,
            progress: errors_terminal && !no_progress && !json,
        }
    }

    /// Whether a program reads.
    #[must_use]
    pub const fn json(&self) -> bool {
        self.json
    }

    /// Whether the standard output is a terminal.
    #[must_use]
    pub const fn terminal(&self) -> bool {
        self.terminal
    }

    /// A line for people, or a text of several.
    pub fn line(&self, text: impl Display) {
        self.text(&format!("{text}\n"));
    }

    /// A text that ends where it ends.
    pub fn text(&self, text: &str) {
        write(&mut std::io::stdout().lock(), &shown(text, self.colour));
    }

    /// Whether the standard output is coloured.
    #[must_use]
    pub const fn colour(&self) -> bool {
        self.colour
    }

    /// Empties a terminal, so that what follows stands at its top.
    pub fn clear(&self) {
        if self.terminal && !self.json {
            self.rendered("\u{1b}[H\u{1b}[2J");
        }
    }

    /// A text that carries its own colours already.
    pub fn rendered(&self, text: &str) {
        write(&mut std::io::stdout().lock(), text);
    }

    /// Bytes that are not for a terminal.
    pub fn bytes(&self, bytes: &[u8]) {
        finish(std::io::stdout().lock().write_all(bytes));
    }

    /// A value for programs: one JSON document and a line end.
    pub fn value(&self, value: &impl Serialize) {
        let text = if self.terminal {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        match text {
            Ok(text) => write(&mut std::io::stdout().lock(), &format!("{text}\n")),
            Err(error) => self.note(&format!("cannot print the answer as JSON: {error}")),
        }
    }

    /// Something beside the answer: on the error stream, so that a pipe carries the answer alone.
    pub fn note(&self, text: &str) {
        let text = shown(&format!("{text}\n"), self.colour_errors);
        write(&mut std::io::stderr().lock(), &text);
    }

    /// A table with these headings: columns two blanks apart, without lines, fitting a terminal and
    /// of its own width in a pipe.
    #[must_use]
    pub fn table<const N: usize>(&self, headings: [&str; N]) -> Table {
        let mut table = Table::new();
        table.load_style(TableStyle::new());
        let width = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        match width {
            Some(width) if self.terminal => {
                table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
            }
            _ => {
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        table.set_header(headings.map(|heading| paint(Tone::Dim, heading)));
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        table
    }

    /// Prints a table without the blanks at its lines' ends.
    pub fn print_table(&self, table: &Table) {
        for line in table.lines() {
            self.line(line.trim_end());
        }
    }

    /// A bar on the error stream, invisible where nobody looks.
    #[must_use]
    pub fn progress(&self, length: u64, what: &str) -> ProgressBar {
        let target =
            if self.progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        bar.with_message(what.to_owned())
    }

    /// Says why the command failed: for people on the error stream, for programs as the answer.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            self.value(&serde_json::json!({ "error": {
                "kind": failure.exit.word(),
                "message": failure.message,
                "causes": failure.causes,
                "hint": failure.hint,
            }}));
            return;
        }
        self.note(&format!("{} {}", paint(Tone::Bad, "error:"), failure.message));
        for cause in &failure.causes {
            self.note(&format!("  because: {cause}"));
        }
        if let Some(hint) = &failure.hint {
            self.note(&format!("{} {hint}", paint(Tone::Good, "hint:")));
        }
    }
}

impl Tone {
    /// The character that marks where the tone begins, and the terminal's code for it.
    const fn marks(self) -> (char, &'static str) {
        match self {
            Self::Good => ('\u{2061}', "\u{1b}[32m"),
            Self::Warn => ('\u{2062}', "\u{1b}[33m"),
            Self::Bad => ('\u{2063}', "\u{1b}[1;31m"),
            Self::Dim => ('\u{2064}', "\u{1b}[2m"),
            Self::Strong => ('\u{206a}', "\u{1b}[1m"),
        }
    }

    const ALL: [Self; 5] = [Self::Good, Self::Warn, Self::Bad, Self::Dim, Self::Strong];
}

const END: char = '\u{206f}';

/// The text with marks for its tone. The marks have no width, so that tables stay aligned; printing
/// turns them into colour, or drops them where there is none.
#[must_use]
pub fn paint(tone: Tone, text: &str) -> String {
    format!("{}{text}{END}", tone.marks().0)
}

/// What is printed: marks become colour, and control characters become visible. A field's value
/// comes from anyone who can fill in a form, and could otherwise command the reader's terminal.
pub(super) fn shown(text: &str, colour: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let code = match c {
            END => "\u{1b}[0m",
            _ => match Tone::ALL.into_iter().find(|tone| tone.marks().0 == c) {
                Some(tone) => tone.marks().1,
                None if c.is_control() && c != '\n' && c != '\t' => {
                    shown.extend(c.escape_default());
                    continue;
                }
                None => {
                    shown.push(c);
                    continue;
                }
            },
        };
        if colour {
            shown.push_str(code);
        }
    }
    shown
}

fn write(to: &mut impl Write, text: &str) {
    finish(to.write_all(text.as_bytes()).and_then(|()| to.flush()));
}

/// A reader that has seen enough (`| head`) ends the program without a word, as it ends others.
fn finish(result: std::io::Result<()>) {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        // There is nowhere left to say it.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_colour_or_nothing_and_keep_tables_aligned() {
        let painted = format!("{} and {}", paint(Tone::Good, "well"), paint(Tone::Bad, "not"));
        assert_eq!(shown(&painted, false), "well and not");
        assert_eq!(shown(&painted, true), "\u{1b}[32mwell\u{1b}[0m and \u{1b}[1;31mnot\u{1b}[0m");

        let out = Output::new(false, When::Never, true);
        let mut table = out.table(["a", "b"]);
        table.add_row([paint(Tone::Warn, "x"), "1".to_owned()]);
        table.add_row(["longer".to_owned(), "2".to_owned()]);
        let lines: Vec<String> = table.lines().map(|line| shown(line.trim_end(), false)).collect();
        assert_eq!(lines, ["a       b", "x       1", "longer  2"]);
    }

    #[test]
    fn a_value_cannot_command_the_terminal() {
        assert_eq!(shown("a\u{1b}]0;owned\u{7}b\n", true), "a\\u{1b}]0;owned\\u{7}b\n");
    }
}
