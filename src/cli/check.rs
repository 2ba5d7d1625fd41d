//! `lockstep check`

use std::path::PathBuf;
use std::sync::Arc;

use clap::{ArgMatches, Args};
use miette::{GraphicalReportHandler, GraphicalTheme};

use super::output::{Output, Tone, paint};
use super::{Command, Context, Exit, Failure, arguments};
use crate::daemon::{Clock, Misfit, connect, misfits, network, read_mappings};
use crate::mapping::check::REGISTRY;
use crate::mapping::{Diagnostic, Mappings, Report, Severity, Source, load};
use crate::reconcile::example;

pub(super) const COMMAND: Command = Command {
    name: "check",
    about: "Check mapping files: names, tables, rules, conditions, examples",
    long: "\
Reads the mapping files and reports every mistake in all of them at once, with its place and what
would be right. Then runs the mappings' own [[example]]s. Needs neither platform, and changes
nothing; with --live it also signs in on both sides and compares the mappings with the accounts: do
the fields exist, can they be written, do their choices stand in the tables.

Examples:
  lockstep check
  lockstep check mappings/people.toml
  lockstep check mappings --json
  lockstep check --live
  lockstep check --list",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// Mapping files or directories of them [default: the settings' directories.mappings]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Sign in on both sides and compare the mappings with the accounts
    #[arg(long)]
    live: bool,
    /// List the checks, with what each is for
    #[arg(long, conflicts_with = "paths")]
    list: bool,
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { paths, live, list } = arguments(matches)?;
    context.log_little();
    if list {
        list_checks(&context.out);
        return Ok(Exit::Done);
    }
    let paths = match paths.is_empty() {
        false => paths,
        true => vec![context.settings()?.settings.directories.mappings],
    };
    let mut files = Vec::new();
    for path in &paths {
        files.extend(read_mappings(path)?);
    }
    if files.is_empty() {
        let places: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::new(
            Exit::NotFound,
            format!("there is no mapping file in {}", places.join(", ")),
        )
        .hint("a mapping file's name ends in .toml"));
    }
    let count = files.len();
    let sources = sources(&files);
    let loaded = load(files).and_then(run_examples);
    let report = match &loaded {
        Ok(mappings) => &mappings.warnings,
        Err(report) => report,
    };
    let misfits = match &loaded {
        Ok(mappings) if live => compare(context, mappings)?,
        _ => Vec::new(),
    };
    let hinders = misfits.iter().any(|misfit| misfit.hinders);
    let out = &context.out;
    if out.json() {
        out.value(&serde_json::json!({
            "misfits": placed(&misfits, &sources),
            "files": count,
            "errors": report.errors(),
            "warnings": report.warnings(),
            "findings": report,
        }));
    } else {
        show(out, report);
        summary(out, &loaded, count);
        if live {
            show_misfits(out, &misfits, &sources);
        }
    }
    Ok(if report.errors() == 0 && !hinders { Exit::Done } else { Exit::Attention })
}

/// Compares the mappings with both accounts.
fn compare(context: &Context, mappings: &Mappings) -> Result<Vec<Misfit>, Failure> {
    let effective = context.settings()?;
    context.block_on(async {
        let platforms = connect(&effective, &network()?, &Clock::system())?;
        Ok(misfits(&mappings.list, &platforms).await?)
    })
}

/// The files' texts, to show places in them.
fn sources(files: &[(String, String)]) -> Vec<Arc<Source>> {
    let source =
        |(path, text): &(String, String)| Source { path: path.clone(), text: text.clone() };
    files.iter().map(|file| Arc::new(source(file))).collect()
}

/// A misfit at its place in the mapping file.
fn finding(misfit: &Misfit, sources: &[Arc<Source>]) -> Option<Diagnostic> {
    let (source, span) = misfit.spot.find(&misfit.mapping, sources)?;
    Some(Diagnostic {
        source,
        span,
        severity: if misfit.hinders { Severity::Error } else { Severity::Warning },
        code: "account",
        message: misfit.what.clone(),
        label: String::new(),
        help: misfit.help.clone(),
    })
}

/// The misfits as data, each with its place.
fn placed(misfits: &[Misfit], sources: &[Arc<Source>]) -> Vec<serde_json::Value> {
    let one = |misfit: &Misfit| {
        let mut value = serde_json::json!(misfit);
        if let (Some(finding), Some(fields)) = (finding(misfit, sources), value.as_object_mut()) {
            let (line, column) = finding.place();
            fields.insert("file".to_owned(), finding.source.path.clone().into());
            fields.insert("line".to_owned(), line.into());
            fields.insert("column".to_owned(), column.into());
        }
        value
    };
    misfits.iter().map(one).collect()
}

fn show_misfits(out: &Output, misfits: &[Misfit], sources: &[Arc<Source>]) {
    let findings = misfits.iter().filter_map(|misfit| finding(misfit, sources)).collect();
    show(out, &Report { findings });
    // A mapping whose file cannot be told is shown without a place.
    for misfit in misfits.iter().filter(|misfit| finding(misfit, sources).is_none()) {
        let (tone, word) =
            if misfit.hinders { (Tone::Bad, "error") } else { (Tone::Warn, "warning") };
        out.line(format!("{} {}: {}", paint(tone, word), misfit.mapping, misfit.what));
    }
    let hinder = misfits.iter().filter(|misfit| misfit.hinders).count();
    out.line(match (hinder, misfits.len() - hinder) {
        (0, 0) => paint(Tone::Good, "both accounts fit"),
        (0, 1) => "both accounts fit, with 1 warning".to_owned(),
        (0, warnings) => format!("both accounts fit, with {warnings} warnings"),
        (1, _) => paint(Tone::Bad, "1 mistake keeps records from being settled"),
        (many, _) => paint(Tone::Bad, &format!("{many} mistakes keep records from being settled")),
    });
}

fn list_checks(out: &Output) {
    if out.json() {
        let checks = REGISTRY.iter().map(|check| {
            serde_json::json!({ "name": check.name, "line": check.line, "long": check.long })
        });
        return out.value(&checks.collect::<Vec<_>>());
    }
    for check in REGISTRY {
        out.line(format!("{}: {}", paint(Tone::Strong, check.name), check.line));
        out.line(format!("    {}", check.long.replace('\n', "\n    ")));
    }
}

/// Runs the mappings' own examples: one that fails is a mistake like any other.
fn run_examples(mappings: Mappings) -> Result<Mappings, Report> {
    let failed = mappings.list.iter().flat_map(|mapping| {
        let examples = mapping.examples.iter();
        examples.flat_map(|one| example::run(mapping, one).into_iter().map(|why| one.finding(why)))
    });
    let failed: Vec<_> = failed.collect();
    if failed.is_empty() {
        return Ok(mappings);
    }
    let mut findings = mappings.warnings.findings;
    findings.extend(failed);
    Err(Report { findings })
}

/// Shows findings: underlined in the file for people, one line each for a pipe.
pub(super) fn show(out: &Output, report: &Report) {
    if !out.terminal() {
        return out.text(&report.plain());
    }
    let theme = match out.colour() {
        true => GraphicalTheme::unicode(),
        false => GraphicalTheme::unicode_nocolor(),
    };
    let handler = GraphicalReportHandler::new_themed(theme);
    for finding in &report.findings {
        let mut text = String::new();
        match handler.render_report(&mut text, finding) {
            Ok(()) => out.rendered(&text),
            Err(_) => out.line(finding.plain()),
        }
    }
}

fn summary(out: &Output, loaded: &Result<Mappings, Report>, files: usize) {
    let mappings = match loaded {
        Ok(mappings) => mappings,
        Err(report) => return out.line(paint(Tone::Bad, &report.to_string())),
    };
    for mapping in &mappings.list {
        let examples = match mapping.examples.len() {
            1 => "1 example".to_owned(),
            count => format!("{count} examples"),
        };
        out.line(format!(
            "{} {}: {} fields, {examples}",
            paint(Tone::Good, "ok"),
            mapping.name,
            mapping.fields.len(),
        ));
    }
    if mappings.warnings.warnings() > 0 {
        out.line(paint(Tone::Warn, &mappings.warnings.to_string()));
    } else if files > 1 {
        out.line(format!("{files} files, no mistakes"));
    }
}
