//! Who may name whom. `src/lib.rs` says why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::source::{Token, test_modules, tokens};

/// The rooms, and which rooms each may name.
const ROOMS: &[(&str, &[&str])] = &[
    ("record", &[]),
    ("mapping", &["record"]),
    ("reconcile", &["record", "mapping"]),
    ("handoff", &["record", "mapping"]),
    ("platform", &["record"]),
    ("journal", &["record", "mapping", "reconcile", "handoff"]),
    ("settings", &["record"]),
    ("daemon", &["record", "mapping", "reconcile", "handoff", "platform", "journal", "settings"]),
    (
        "cli",
        &[
            "record",
            "mapping",
            "reconcile",
            "handoff",
            "platform",
            "journal",
            "settings",
            "daemon",
            "sandbox",
        ],
    ),
    ("sandbox", &[]),
];

/// The rooms without a clock, a network or a store.
const PURE: [&str; 4] = ["record", "mapping", "reconcile", "handoff"];

/// What pure rooms do without.
const IMPURE: [&str; 14] = [
    "tokio",
    "reqwest",
    "hyper",
    "http",
    "axum",
    "tower",
    "sled",
    "oauth2",
    "governor",
    "backoff",
    "config",
    "notify",
    "sd_notify",
    "tracing_subscriber",
];

/// Packages that one room hides from the others, with what stands at the door of each.
const HIDDEN: &[(&str, &[&str])] = &[
    ("sled", &["journal"]),
    ("crossbeam_epoch", &["journal"]),
    ("postcard", &["journal"]),
    // The sandbox sends webhooks by a client of its own.
    ("reqwest", &["platform", "sandbox/server/webhooks.rs"]),
    ("oauth2", &["platform"]),
    ("governor", &["platform"]),
    ("backoff", &["platform"]),
    // The webhook listener's own certificate, and the sender's TLS in the sandbox.
    ("rustls", &["platform", "daemon/webhooks/tls.rs", "sandbox/server/webhooks.rs"]),
    ("rcgen", &["sandbox"]),
    ("config", &["settings"]),
    ("minijinja", &["mapping", "daemon/page/template.rs"]),
    ("prometheus_client", &["daemon"]),
    ("plotters", &["daemon"]),
    ("tonic", &["platform", "sandbox"]),
    ("tonic_prost", &["platform", "sandbox"]),
    ("prost", &["platform", "sandbox"]),
    ("apache_avro", &["platform", "sandbox"]),
    ("clap", &["cli"]),
    ("comfy_table", &["cli"]),
    ("indicatif", &["cli"]),
    ("tracing_subscriber", &["cli"]),
    ("notify", &["daemon"]),
    ("sd_notify", &["daemon"]),
    // The in-process end of the HTTP seam calls a router; the loopback listener serves one.
    // The simulation puts its faults before the sandbox's.
    ("axum", &["sandbox", "platform", "daemon", "cli/simulate/run.rs"]),
];

/// Paths that start work of their own, with the places that may.
const SPAWNING: &[(&[&str], &[&str])] = &[
    // The simulation plays the process: it starts the daemon's work, and ends it in the middle.
    (&["tokio", "::", "spawn"], &["daemon", "sandbox/server.rs", "cli/simulate/seams.rs"]),
    (&["task", "::", "spawn"], &["daemon"]),
    (&["task", "::", "spawn_blocking"], &["daemon"]),
    (&["tokio", "::", "spawn_local"], &[]),
    // The store has one thread of its own: it blocks on the disk.
    (&["thread", "::", "spawn"], &["journal"]),
    (&["thread", "::", "Builder"], &["journal"]),
];

/// Clocks that tokio's paused time does not move.
const CLOCKS: [&[&str]; 3] = [
    &["std", "::", "time", "::", "Instant"],
    &["std", "::", "time", "::", "SystemTime"],
    &["SystemTime", "::", "now"],
];

struct File {
    /// From `src/` on: `journal/store.rs`.
    path: String,
    tokens: Vec<Token>,
}

impl File {
    fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn place(&self, line: usize) -> String {
        format!("src/{}:{line}", self.path)
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.room() == *place || self.path == *place)
    }

    /// The lines on which these tokens stand one after the other.
    fn lines_with<'a>(&'a self, pattern: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
        self.tokens
            .windows(pattern.len())
            .filter(move |window| {
                window.iter().zip(pattern).all(|(token, text)| token.text == *text)
            })
            .map(|window| window[0].line)
    }

    /// The lines on which the package is named: at the head of a path, or of a `use`.
    fn lines_naming(&self, package: &str) -> Vec<usize> {
        let text = |at: usize| self.tokens.get(at).map_or("", |token| token.text.as_str());
        (0..self.tokens.len())
            .filter(|&at| text(at) == package)
            .filter(|&at| {
                let before = if at == 0 { "" } else { text(at - 1) };
                let used = before == "use" && matches!(text(at + 1), "::" | ";" | "as");
                let path = text(at + 1) == "::" && before != "::" && before != ".";
                // `use crate::{config::…}` names our own module.
                let ours = before == "{" || before == ",";
                used || (path && !(ours && self.in_crate_group(at)))
            })
            .map(|at| self.tokens[at].line)
            .collect()
    }

    fn in_crate_group(&self, at: usize) -> bool {
        let mut depth = 0;
        for back in (0..at).rev() {
            match self.tokens[back].text.as_str() {
                "}" => depth += 1,
                "{" if depth > 0 => depth -= 1,
                "{" => return back >= 1 && self.tokens[back - 1].text == "::",
                ";" => return false,
                _ => {}
            }
        }
        false
    }

    /// The rooms that are named, with their lines: `crate::room` and `crate::{room…, room…}`.
    fn rooms_named(&self) -> Vec<(String, usize)> {
        let mut named = Vec::new();
        for (at, pair) in self.tokens.windows(2).enumerate() {
            if pair[0].text != "crate" || pair[1].text != "::" {
                continue;
            }
            let Some(next) = self.tokens.get(at + 2) else { continue };
            if next.text != "{" {
                named.push((next.text.clone(), next.line));
                continue;
            }
            let (mut depth, mut head) = (0, true);
            for token in &self.tokens[at + 2..] {
                match token.text.as_str() {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    "," if depth == 1 => head = true,
                    word if depth == 1 && head => {
                        named.push((word.to_owned(), token.line));
                        head = false;
                    }
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
        }
        named
    }
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    let mut files = Vec::new();
    let mut only_tests = Vec::new();
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let children = match path.file_name().and_then(|name| name.to_str()) {
            Some("mod.rs" | "lib.rs" | "main.rs") => path.parent().unwrap().to_path_buf(),
            _ => path.with_extension(""),
        };
        only_tests.extend(test_modules(&text).into_iter().map(|name| children.join(name)));
        files.push((path, text));
    }
    let is_test = |path: &Path| {
        only_tests
            .iter()
            .any(|module| path.with_extension("") == *module || path.starts_with(module))
    };
    files
        .into_iter()
        .filter(|(path, _)| !is_test(path))
        .map(|(path, text)| File {
            tokens: tokens(&text),
            path: path.strip_prefix(&root).unwrap().to_string_lossy().into_owned(),
        })
        .collect()
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn rooms_name_only_the_rooms_below_them() {
    let allowed: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut complaints = Vec::new();
    for file in files() {
        let room = file.room();
        if matches!(room, "lib" | "main") {
            continue;
        }
        let Some(may) = allowed.get(room) else {
            complaints.push(format!("src/{}: the room {room} has no borders yet", file.path));
            continue;
        };
        for (named, line) in file.rooms_named() {
            if named != room && allowed.contains_key(named.as_str()) && !may.contains(&&*named) {
                let place = file.place(line);
                complaints.push(format!("{place}: {room} must not name {named}"));
            }
        }
    }
    none(&complaints);
}

#[test]
fn pure_rooms_have_no_clock_no_network_and_no_store() {
    let mut complaints = Vec::new();
    for file in files().iter().filter(|file| PURE.contains(&file.room())) {
        for package in IMPURE {
            for line in file.lines_naming(package) {
                complaints.push(format!("{}: a pure room names {package}", file.place(line)));
            }
        }
        for module in ["fs", "net", "env", "process", "thread", "io"] {
            for line in file.lines_with(&["std", "::", module]) {
                complaints.push(format!("{}: a pure room names std::{module}", file.place(line)));
            }
        }
    }
    none(&complaints);
}

#[test]
fn packages_stay_behind_their_room() {
    let mut complaints = Vec::new();
    for file in files() {
        for (package, rooms) in HIDDEN {
            if file.is_in(rooms) {
                continue;
            }
            for line in file.lines_naming(package) {
                let place = file.place(line);
                complaints.push(format!("{place}: only {} names {package}", rooms.join(", ")));
            }
        }
    }
    none(&complaints);
}

#[test]
fn only_the_command_line_prints() {
    let mut complaints = Vec::new();
    for file in files().iter().filter(|file| file.room() != "cli") {
        for printing in ["print", "println", "eprint", "eprintln", "dbg"] {
            for line in file.lines_with(&[printing, "!"]) {
                complaints.push(format!("{}: only cli prints", file.place(line)));
            }
        }
    }
    none(&complaints);
}

#[test]
fn only_the_daemon_starts_work_of_its_own() {
    let mut complaints = Vec::new();
    for file in files() {
        for (pattern, places) in SPAWNING {
            for line in file.lines_with(pattern).filter(|_| !file.is_in(places)) {
                complaints.push(format!("{}: {} here", file.place(line), pattern.concat()));
            }
        }
    }
    none(&complaints);
}

#[test]
fn no_room_reads_a_clock_that_the_simulation_does_not_move() {
    let mut complaints = Vec::new();
    for file in files() {
        // It tells how long many simulations took, outside all of them.
        if file.path == "cli/simulate/many.rs" {
            continue;
        }
        for clock in CLOCKS {
            for line in file.lines_with(clock) {
                complaints.push(format!("{}: {}", file.place(line), clock.concat()));
            }
        }
    }
    none(&complaints);
}

#[test]
fn each_vendors_json_stays_at_its_door() {
    // Outside a side's own folder nobody names its wire types.
    let mut complaints = Vec::new();
    for file in files() {
        for side in ["hubspot", "salesforce"] {
            let own = format!("platform/{side}/");
            for line in
                file.lines_with(&[side, "::", "wire"]).filter(|_| !file.path.starts_with(&own))
            {
                complaints.push(format!("{}: {side}'s wire types", file.place(line)));
            }
        }
    }
    none(&complaints);
}

#[test]
fn what_names_are_seen() {
    let file = |text: &str| File { path: "record/mod.rs".into(), tokens: tokens(text) };
    for (text, seen) in [
        ("use sled::Db;", true),
        ("use sled;", true),
        ("fn f(db: &sled::Db) {}", true),
        ("use {serde::Serialize, sled::Db};", true),
        ("use crate::{sled::Store, record::Side};", false),
        ("use super::sled::Store;", false),
        ("let sled = 1;", false),
    ] {
        assert_eq!(!file(text).lines_naming("sled").is_empty(), seen, "{text}");
    }
    let named = file("use crate::{mapping::{Kind, Rule}, journal};\nfn f() -> crate::cli::Exit {}");
    let named: Vec<(String, usize)> = named.rooms_named();
    let expected = [("mapping", 1), ("journal", 1), ("cli", 2)];
    assert_eq!(named, expected.map(|(room, line)| (room.to_owned(), line)));
}
