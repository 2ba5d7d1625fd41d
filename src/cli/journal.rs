//! `lockstep journal`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, Subcommand};

use super::output::{Output, Tone, paint};
use super::{Command, Context, Exit, Failure, arguments};
use crate::daemon::journal_options;
use crate::journal::{Report, check, compact, salvage};

pub(super) const COMMAND: Command = Command {
    name: "journal",
    about: "Check the journal, copy it, make it small, rescue what is readable of a damaged one",
    long: "\
The journal is what Lockstep remembers: links, what both sides last agreed on, what waits, history.
These commands need it for themselves: stop the service first. What a damaged journal loses is found
again on both platforms; the history of it is not.

The service makes the journal small by itself when it starts and most of the files is dead space;
`compact` does so at any time. It needs room for a copy of what lives, and a crash on the way leaves the
old files or the new ones, each whole.

Examples:
  lockstep journal check
  lockstep journal compact
  lockstep journal copy /var/backups/lockstep-journal
  lockstep journal salvage
  lockstep journal salvage --to /var/lib/lockstep/rescued",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read every value and follow every index both ways
    Check,
    /// Copy the journal into a new directory, without the dead space
    Copy {
        /// The new directory
        to: PathBuf,
    },
    /// Make the journal's files small: leave the dead space behind
    Compact,
    /// Copy what is readable into a new journal and put it in the old one's place
    Salvage {
        /// Leave the old one in place and make the new one here
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { action } = arguments(matches)?;
    context.log_little();
    let settings = context.settings()?.settings;
    let dir = settings.directories.journal();
    let options = journal_options(&settings);
    if !dir.exists() {
        return Err(Failure::new(
            Exit::NotFound,
            format!("there is no journal in {}", dir.display()),
        )
        .hint("name the service's settings with --config"));
    }
    let out = &context.out;
    match action {
        Action::Check => {
            let report = check(&dir, &options)?;
            told(out, &report, &dir);
            Ok(if report.is_sound() { Exit::Done } else { Exit::Journal })
        }
        Action::Copy { to } => {
            let rows = context.block_on(async {
                let journal = super::ask::open(&settings)?;
                let rows = journal.copy_to(&to, &options).await;
                journal.close().await;
                Ok(rows?)
            })?;
            if out.json() {
                out.value(&serde_json::json!({ "rows": rows, "to": to }));
            } else {
                out.line(format!("{rows} values copied to {}", to.display()));
            }
            Ok(Exit::Done)
        }
        Action::Compact => made_small(out, &dir, &options),
        Action::Salvage { to } => rescue(out, &dir, to, &options),
    }
}

fn made_small(
    out: &Output,
    dir: &Path,
    options: &crate::journal::Options,
) -> Result<Exit, Failure> {
    let bar = out.progress(0, "compacting");
    let compacted = compact(dir, options, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let compacted = compacted?;
    if out.json() {
        out.value(&serde_json::json!({
            "rows": compacted.rows, "before": compacted.before, "after": compacted.after,
            "journal": dir,
        }));
    } else {
        let size = |bytes: u64| indicatif::HumanBytes(bytes).to_string();
        let (before, after) = (size(compacted.before), size(compacted.after));
        let rows = compacted.rows;
        out.line(format!("{}: {before} before, {after} now, {rows} values", dir.display()));
    }
    Ok(Exit::Done)
}

fn rescue(
    out: &Output,
    dir: &Path,
    to: Option<PathBuf>,
    options: &crate::journal::Options,
) -> Result<Exit, Failure> {
    let in_place = to.is_none();
    let beside = |ending: &str| {
        let mut name = dir.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let to = to.unwrap_or_else(|| beside(".rescued"));
    let saved = salvage(dir, &to, options)?;
    let mut new = to.clone();
    let mut old = None;
    if in_place {
        let kept = free_name(&beside(".damaged"));
        let moved = std::fs::rename(dir, &kept).and_then(|()| std::fs::rename(&to, dir));
        moved.map_err(|error| {
            Failure::of(
                Exit::Journal,
                "cannot put the rescued journal in the old one's place",
                &error,
            )
            .hint(format!("it is whole in {}", to.display()))
        })?;
        (new, old) = (dir.to_path_buf(), Some(kept));
    }
    if out.json() {
        let doubles: Vec<String> = saved.doubles.iter().map(ToString::to_string).collect();
        out.value(&serde_json::json!({
            "kept": saved.kept, "lost": problems(&saved.lost), "gaps": saved.gaps,
            "doubles": doubles, "journal": new, "damaged": old,
        }));
    } else {
        rows(out, &saved.kept);
        for problem in &saved.lost.problems {
            out.line(paint(Tone::Warn, &format!("lost: {problem}")));
        }
        if saved.lost.more > 0 {
            out.line(format!("… and {} more", saved.lost.more));
        }
        if saved.gaps > 0 {
            let gaps = format!("{} places could not be read at all", saved.gaps);
            out.line(paint(Tone::Warn, &gaps));
        }
        for link in &saved.doubles {
            out.line(paint(Tone::Warn, &format!("{link} had a record of another link, and ended")));
        }
        out.line(format!("the journal is in {}", new.display()));
        if let Some(old) = old {
            out.line(format!("the damaged one is kept in {}", old.display()));
        }
    }
    let whole = saved.lost.is_sound() && saved.gaps == 0 && saved.doubles.is_empty();
    Ok(if whole { Exit::Done } else { Exit::Attention })
}

/// The path, or the first with a number that nothing has yet.
fn free_name(path: &Path) -> PathBuf {
    let numbered = (2..).map(|number| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    });
    std::iter::once(path.to_path_buf())
        .chain(numbered)
        .find(|path| !path.exists())
        .unwrap_or_else(|| path.to_path_buf())
}

fn problems(report: &Report) -> serde_json::Value {
    let named = report.problems.iter().map(|problem| {
        serde_json::json!({ "kind": problem.kind, "key": problem.key, "what": problem.what })
    });
    serde_json::json!({ "problems": named.collect::<Vec<_>>(), "more": report.more })
}

fn told(out: &Output, report: &Report, dir: &Path) {
    if out.json() {
        let mut value = problems(report);
        value["rows"] = serde_json::json!(report.rows);
        value["bytes"] = report.bytes.into();
        value["sound"] = report.is_sound().into();
        return out.value(&value);
    }
    rows(out, &report.rows);
    for problem in &report.problems {
        out.line(paint(Tone::Bad, &problem.to_string()));
    }
    if report.more > 0 {
        out.line(format!("… and {} more", report.more));
    }
    if report.is_sound() {
        let sound = format!("{} is sound: {} bytes", dir.display(), report.bytes);
        out.line(paint(Tone::Good, &sound));
    } else {
        out.line("`lockstep journal salvage` rescues what is readable");
    }
}

fn rows(out: &Output, rows: &BTreeMap<&'static str, u64>) {
    let mut table = out.table(["what", "how many"]);
    for (kind, count) in rows {
        table.add_row([(*kind).to_owned(), count.to_string()]);
    }
    out.print_table(&table);
}
