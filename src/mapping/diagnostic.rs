//! Mistakes in mapping files: what was found, where, what would be right.
//!
//! A [`Diagnostic`] carries the text of its file, so that it can be shown underlined at the place
//! ([`miette::Diagnostic`]), as one line for a pipe ([`Diagnostic::plain`]) or as data
//! ([`serde::Serialize`]). This room makes them and prints none.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{LabeledSpan, SourceCode};
use serde::Serialize;
use serde::ser::SerializeStruct;

/// One mapping file: where it lies and what stands in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the reader of the files knows it.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// The line and column of the byte `offset`, both from 1; the column counts characters.
    #[must_use]
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// It can be used, and is probably not what was meant.
    Warning,
}

/// One finding in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file.
    pub source: Arc<Source>,
    /// Where in it, in bytes.
    pub span: Range<usize>,
    /// How bad it is.
    pub severity: Severity,
    /// The name of the check that found it; `lockstep check --list` explains each.
    pub code: &'static str,
    /// What was found.
    pub message: String,
    /// What to say at the underlined place.
    pub label: String,
    /// What would be right, with an example.
    pub help: Option<String>,
}

impl Diagnostic {
    /// The line and column where it begins, both from 1.
    #[must_use]
    pub fn place(&self) -> (usize, usize) {
        self.source.place(self.span.start)
    }

    /// Says what to write at the underlined place.
    pub fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = label.into();
        self
    }

    /// Says what would be right.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Adds "did you mean", where a name of `known` is close to `found`.
    pub fn suggest<'a>(
        &mut self,
        found: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> &mut Self {
        if let Some(near) = nearest(found, known) {
            let help = self.help.take();
            let tail = help.map(|help| format!("\n{help}")).unwrap_or_default();
            self.help = Some(format!("did you mean `{near}`?{tail}"));
        }
        self
    }

    /// One finding as plain text: `path:line:column: error[code]: message`, and the help in an
    /// indented line.
    #[must_use]
    pub fn plain(&self) -> String {
        let (line, column) = self.place();
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut text = format!(
            "{}:{line}:{column}: {word}[{}]: {}",
            self.source.path, self.code, self.message
        );
        for line in self.help.iter().flat_map(|help| help.lines()) {
            text.push_str("\n    ");
            text.push_str(line);
        }
        text
    }
}

/// The one of `known` that `found` was probably meant to be.
#[must_use]
pub fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found = found.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&found, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, name)| name)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = (!self.label.is_empty()).then(|| self.label.clone());
        let span = LabeledSpan::new(label, self.span.start, self.span.len());
        Some(Box::new(std::iter::once(span)))
    }
}

/// The file's text under the file's name, without a copy.
impl SourceCode for Diagnostic {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let contents = self.source.text.read_span(span, before, after)?;
        Ok(Box::new(miette::MietteSpanContents::new_named(
            self.source.path.clone(),
            contents.data(),
            *contents.span(),
            contents.line(),
            contents.column(),
            contents.line_count(),
        )))
    }
}

impl Serialize for Diagnostic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (line, column) = self.place();
        let mut fields = serializer.serialize_struct("Diagnostic", 7)?;
        fields.serialize_field("file", &self.source.path)?;
        fields.serialize_field("line", &line)?;
        fields.serialize_field("column", &column)?;
        fields.serialize_field("severity", &self.severity)?;
        fields.serialize_field("check", self.code)?;
        fields.serialize_field("message", &self.message)?;
        fields.serialize_field("help", &self.help)?;
        fields.end()
    }
}

/// All findings of all files, in the order of the files and of the places in them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Report {
    /// The findings.
    pub findings: Vec<Diagnostic>,
}

impl Report {
    /// How many findings are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
    }

    /// How many findings are warnings.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.findings.len() - self.errors()
    }

    /// Every finding as plain text, one below the other.
    #[must_use]
    pub fn plain(&self) -> String {
        self.findings.iter().map(|finding| finding.plain() + "\n").collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize, noun: &str| match count {
            1 => format!("1 {noun}"),
            _ => format!("{count} {noun}s"),
        };
        let counts = match (self.errors(), self.warnings()) {
            (errors, 0) => plural(errors, "mistake"),
            (0, warnings) => plural(warnings, "warning"),
            (errors, warnings) => {
                format!("{} and {}", plural(errors, "mistake"), plural(warnings, "warning"))
            }
        };
        write!(f, "{counts} in the mapping files")
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        Some(Box::new(self.findings.iter().map(|finding| finding as &dyn miette::Diagnostic)))
    }
}

/// The findings of one file while it is read and checked.
#[derive(Debug)]
pub struct Findings {
    /// The file.
    pub source: Arc<Source>,
    /// What was found so far.
    pub list: Vec<Diagnostic>,
}

impl Findings {
    /// No findings yet.
    #[must_use]
    pub const fn new(source: Arc<Source>) -> Self {
        Self { source, list: Vec::new() }
    }

    /// Adds an error.
    pub fn error(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.add(Severity::Error, code, span, message.into())
    }

    /// Adds a warning.
    pub fn warning(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.add(Severity::Warning, code, span, message.into())
    }

    /// Whether something within `span` is an error already: what follows from its absence is not told
    /// again.
    #[must_use]
    pub fn blame(&self, span: &Range<usize>) -> bool {
        self.list.iter().any(|found| {
            found.severity == Severity::Error
                && span.start <= found.span.start
                && found.span.end <= span.end
        })
    }

    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        span: &Range<usize>,
        message: String,
    ) -> &mut Diagnostic {
        debug_assert!(super::check::by_name(code).is_some(), "{code} is not in the registry");
        let source = Arc::clone(&self.source);
        let label = String::new();
        let at = self.list.len();
        let span = span.clone();
        self.list.push(Diagnostic { source, span, severity, code, message, label, help: None });
        &mut self.list[at]
    }
}
