//! From the texts of all files to all mappings, or to everything that is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::compile::{self, Declared};
use super::diagnostic::{Diagnostic, Findings, Report, Severity, Source};
use super::file::MappingFile;
use super::model::Mapping;
use super::parse::{At, FromToml as _};

/// All mappings, in the order of their files' paths.
#[derive(Debug, Default)]
pub struct Mappings {
    /// The mappings.
    pub list: Vec<Arc<Mapping>>,
    /// What was found that does not hinder.
    pub warnings: Report,
}

impl Mappings {
    /// The mapping called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Mapping>> {
        self.list.iter().find(|mapping| mapping.name == name)
    }

    /// Each mapping's fingerprint by its name, to notice that a mapping changed.
    #[must_use]
    pub fn fingerprints(&self) -> BTreeMap<String, u64> {
        self.list.iter().map(|mapping| (mapping.name.clone(), mapping.fingerprint)).collect()
    }

    /// Each mapping's field names by its name, to notice newly mapped fields.
    #[must_use]
    pub fn fields(&self) -> BTreeMap<String, BTreeSet<String>> {
        let names = |mapping: &Mapping| {
            mapping.fields.iter().map(|field| field.name.clone()).collect::<BTreeSet<_>>()
        };
        self.list.iter().map(|mapping| (mapping.name.clone(), names(mapping))).collect()
    }
}

/// One file on its way through the checks.
pub(super) struct Loaded {
    pub(super) file: At<MappingFile>,
    pub(super) mapping: Option<Mapping>,
    pub(super) findings: Findings,
}

/// Reads, checks and compiles the files, given as path and text.
///
/// # Errors
/// Everything that is wrong with any of the files, in one report.
pub fn load(files: Vec<(String, String)>) -> Result<Mappings, Report> {
    let mut sources: Vec<Arc<Source>> =
        files.into_iter().map(|(path, text)| Arc::new(Source { path, text })).collect();
    sources.sort_by(|left, right| left.path.cmp(&right.path));

    let mut findings = Vec::new();
    let mut loaded = Vec::new();
    for source in sources {
        let mut own = Findings::new(Arc::clone(&source));
        match read_file(&source, &mut own) {
            Some((file, declared)) => {
                let mapping = compile::compile(&file.value, &declared, &mut own);
                loaded.push(Loaded { file, mapping, findings: own });
            }
            None => findings.extend(own.list),
        }
    }
    compile::across(&mut loaded);
    let mut list = Vec::new();
    for one in loaded {
        findings.extend(one.findings.list);
        list.extend(one.mapping.map(Arc::new));
    }
    in_order(&mut findings);
    let report = Report { findings };
    if report.errors() > 0 { Err(report) } else { Ok(Mappings { list, warnings: report }) }
}

/// By file, then by place; what was found twice is told once.
fn in_order(findings: &mut Vec<Diagnostic>) {
    findings.sort_by(|left, right| {
        (&left.source.path, left.span.start, left.severity, &left.message).cmp(&(
            &right.source.path,
            right.span.start,
            right.severity,
            &right.message,
        ))
    });
    findings.dedup();
}

fn read_file(source: &Source, findings: &mut Findings) -> Option<(At<MappingFile>, Declared)> {
    let (table, mut errors) = DeTable::parse_recoverable(&source.text);
    errors.sort_by_key(|error| error.span().map_or(usize::MAX, |span| span.start));
    let mut spans: Vec<Range<usize>> = Vec::new();
    for error in &errors {
        let end = source.text.len();
        let span: Range<usize> = error.span().unwrap_or(end..end);
        // A list that is not opened makes a mistake of each of its lines: the first one is enough.
        let line = |span: &Range<usize>| source.place(span.start).0;
        let follows = spans.last().is_some_and(|last| line(&span) <= line(last) + 1);
        spans.push(span.clone());
        if follows {
            continue;
        }
        findings.error("syntax", &span, error.message().to_owned()).label("here").help(
            "a mapping file is TOML: name = \"value\" in blocks under [headers]; https://toml.io",
        );
    }
    let declared = declared(table.get_ref());
    let span = 0..source.text.len().min(1);
    let value = toml::Spanned::new(span.clone(), DeValue::Table(table.into_inner()));
    let file = MappingFile::from_toml(&value, findings);
    // What stands in for what could not be read is no mistake of its own.
    findings.list.retain(|found| {
        found.code == "syntax" || spans.iter().all(|span| span.start != found.span.start)
    });
    let file = file?;
    Some((At { value: file, span }, declared))
}

/// The names that the blocks give, also those of blocks that are wrong otherwise: a mistake in a
/// field is no reason to report each condition that names the field.
fn declared(table: &DeTable<'_>) -> Declared {
    let names = |block: &str| -> BTreeSet<String> {
        table
            .get(block)
            .and_then(|list| list.get_ref().as_array())
            .into_iter()
            .flat_map(|list| list.iter())
            .filter_map(|item| item.get_ref().as_table()?.get("name")?.get_ref().as_str())
            .map(str::to_owned)
            .collect()
    };
    Declared { fields: names("field") }
}

impl Report {
    /// Whether nothing hinders.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }
}
