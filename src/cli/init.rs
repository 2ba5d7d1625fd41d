//! `lockstep init`

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args};

use super::{Command, Context, Exit, Failure, arguments};
use crate::settings::DEFAULTS;

pub(super) const COMMAND: Command = Command {
    name: "init",
    about: "Write a settings file and the shipped mappings to begin with",
    long: "\
What is there already stays as it is.

Examples:
  lockstep init /etc/lockstep
  lockstep init .",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

/// The mappings that come with the program: a file's name and its text.
pub const SHIPPED: [(&str, &str); 3] = [
    ("people.toml", include_str!("../../mappings/people.toml")),
    ("companies.toml", include_str!("../../mappings/companies.toml")),
    ("deals.toml", include_str!("../../mappings/deals.toml")),
];

#[derive(Debug, Args)]
struct Arguments {
    /// The folder; it is made where it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { folder } = arguments(matches)?;
    // Everything is a comment: a later version's defaults hold unless a line is taken in.
    let settings: String = DEFAULTS
        .lines()
        .map(|line| match line {
            "" => "\n".to_owned(),
            line if line.starts_with(['#', '[']) => format!("{line}\n"),
            line => format!("# {line}\n"),
        })
        .collect();
    let mut written = vec![write_new(&folder.join("lockstep.toml"), &settings)?];
    written.extend(write_mappings(&folder.join("mappings"))?);
    let written: Vec<PathBuf> = written.into_iter().flatten().collect();
    let out = &context.out;
    if out.json() {
        out.value(&serde_json::json!({ "written": written }));
    } else {
        for path in &written {
            out.line(format!("wrote {}", path.display()));
        }
        if written.is_empty() {
            out.line("all of it is there already");
        }
    }
    Ok(Exit::Done)
}

/// Writes the shipped mappings that are not there yet.
pub(super) fn write_mappings(folder: &Path) -> Result<Vec<Option<PathBuf>>, Failure> {
    SHIPPED.iter().map(|(name, text)| write_new(&folder.join(name), text)).collect()
}

/// Writes a file unless it is there.
pub(super) fn write_new(path: &Path, text: &str) -> Result<Option<PathBuf>, Failure> {
    let fail = |error: std::io::Error| {
        Failure::of(Exit::Usage, format!("cannot write {}", path.display()), &error)
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    match made.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes())) {
        Ok(()) => Ok(Some(path.to_path_buf())),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(fail(error)),
    }
}
