//! `lockstep check`

use std::path::PathBuf;

use clap::{ArgMatches, Args};
use miette::{GraphicalReportHandler, GraphicalTheme};

use super::output::{Output, Tone, paint};
use super::{Command, Context, Exit, Failure, arguments};
use crate::daemon::{Clock, Misfit, connect, misfits, network, read_mappings};
use crate::mapping::check::REGISTRY;
use crate::mapping::{Mappings, Report, load};
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
            "misfits": misfits,
            "files": count,
            "errors": report.errors(),
            "warnings": report.warnings(),
            "findings": report,
        }));
    } else {
        show(out, report);
        summary(out, &loaded, count);
        show_misfits(out, &misfits);
        if live && misfits.is_empty() && report.errors() == 0 {
            out.line("both accounts fit");
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

fn show_misfits(out: &Output, misfits: &[Misfit]) {
    for misfit in misfits {
        let (tone, word) =
            if misfit.hinders { (Tone::Bad, "error") } else { (Tone::Warn, "warning") };
        let field = misfit.field.as_ref().map(|field| format!(" {field}")).unwrap_or_default();
        out.line(format!(
            "{} {}: {} {}{field}: {}",
            paint(tone, word),
            misfit.mapping,
            misfit.side,
            misfit.object,
            misfit.what,
        ));
    }
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
