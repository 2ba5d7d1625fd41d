//! Every command in the README is run, or, where it needs root, read.
//!
//! A block of the kind `console` is run line by line in a folder of its own and must end well; one
//! of the kind `console,root` is taken apart: its programs are known, its files exist, and what it
//! says to `lockstep` parses. Settings load, and a proxy's configuration leads to the port and the
//! path that they say.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cli::Folder;

/// Blocks that are files, or parts of files.
const CONFIGURATIONS: [&str; 3] = ["toml", "nginx", "caddy"];

struct Block {
    kind: String,
    lines: Vec<(usize, String)>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in readme().lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(kind), None) => open = Some(Block { kind: kind.to_owned(), lines: Vec::new() }),
            (None, Some(block)) if CONFIGURATIONS.contains(&block.kind.as_str()) => {
                block.lines.push((at + 1, line.to_owned()));
            }
            (None, Some(block)) => {
                let command =
                    line.strip_prefix("$ ").unwrap_or_else(|| panic!("README.md:{}", at + 1));
                block.lines.push((at + 1, command.to_owned()));
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block of the README does not end");
    blocks
}

#[test]
fn every_command_in_it_runs() {
    let folder = Folder::new("readme");
    let binary = Path::new(env!("CARGO_BIN_EXE_lockstep"));
    let path = std::env::join_paths(
        std::iter::once(binary.parent().unwrap().to_path_buf())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap();
    let mut ran = 0;
    for block in blocks().into_iter().filter(|block| block.kind == "console") {
        // One shell a block: a sandbox in the background lives as long as its block.
        let mut script = "set -e\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n".to_owned();
        for (line, command) in &block.lines {
            script += &format!("at={line}\n{command}\n");
            ran += 1;
        }
        let output = Command::new("bash")
            .args(["-c", &format!("trap 'echo README.md:$at >&2' ERR\n{script}")])
            .current_dir(&folder.0)
            .env_clear()
            .env("PATH", &path)
            .env("HOME", &folder.0)
            .output()
            .unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{script}\n{out}\n{err}");
    }
    assert!(ran >= 12, "only {ran} commands were found");
}

#[test]
fn what_needs_root_is_said_rightly() {
    let commands = blocks().into_iter().filter(|block| block.kind != "console");
    for block in commands.filter(|block| !CONFIGURATIONS.contains(&block.kind.as_str())) {
        assert_eq!(block.kind, "console,root");
        for (line, command) in block.lines {
            let words: Vec<&str> = command.split_whitespace().collect();
            let here = |file: &str| root().join(file).exists();
            let right = match words[..] {
                ["install", "-d", "-m", _, into] => into.starts_with("/etc/lockstep/"),
                // The administrator's own secrets.
                ["install", "-m", "0600", _, to] => to.starts_with("/etc/lockstep/secrets/"),
                ["install", "-m", _, "target/release/lockstep", _] => true,
                ["install", "-m", "0644", file, _] => here(file),
                ["systemd-sysusers"] | ["cargo", "build", "--release", "--locked"] => true,
                ["systemctl", "daemon-reload"] => true,
                ["systemctl", _, ref rest @ ..] => {
                    rest.last().is_some_and(|unit| here(&format!("systemd/{unit}.service")))
                }
                ["lockstep", ..] => lockstep::cli::command().try_get_matches_from(&words).is_ok(),
                _ => false,
            };
            assert!(right, "README.md:{line}: {command}");
        }
    }
}

#[test]
fn commands_in_its_tables_and_text_exist() {
    let text = readme();
    let mut seen = 0;
    for (at, line) in text.lines().enumerate() {
        for code in line.split('`').skip(1).step_by(2) {
            let Some(rest) = code.strip_prefix("lockstep ") else { continue };
            // A folder or file that the reader names.
            let words: Vec<&str> =
                std::iter::once("lockstep").chain(rest.split_whitespace()).collect();
            let parsed = lockstep::cli::command().try_get_matches_from(&words);
            let fine = match &parsed {
                Ok(_) => true,
                // `lockstep --help` is answered by an error that is none.
                Err(error) => !error.use_stderr(),
            };
            assert!(fine, "README.md:{}: {code}", at + 1);
            seen += 1;
        }
    }
    // The blocks that are not fenced name cargo and scripts.
    let mut fenced = false;
    for (at, line) in text.lines().enumerate() {
        fenced ^= line.starts_with("```");
        if fenced {
            continue;
        }
        let Some(command) = line.strip_prefix("    ").filter(|rest| !rest.starts_with(' ')) else {
            continue;
        };
        let words: Vec<&str> =
            command.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
        let fine = match words[..] {
            ["cargo", "run", "--release", "--", ref rest @ ..] => {
                let words = std::iter::once("lockstep").chain(rest.iter().copied());
                lockstep::cli::command().try_get_matches_from(words).is_ok()
            }
            ["cargo", "test", ..] | ["cargo", "doc", ..] => true,
            [script] => root().join(script).exists(),
            _ => false,
        };
        assert!(fine, "README.md:{}: {command}", at + 1);
    }
    assert!(seen >= 15, "only {seen} commands were found");
}

#[test]
fn its_proxies_lead_to_the_address_of_its_settings() {
    let text = |kind: &str| {
        let found = blocks().into_iter().filter(|block| block.kind == kind);
        let lines = found.flat_map(|block| block.lines).map(|(_, line)| line);
        lines.collect::<Vec<_>>().join("\n")
    };
    let file = Some(("lockstep.toml".into(), text("toml")));
    let sources = lockstep::settings::Sources { file, ..Default::default() };
    let webhooks = lockstep::settings::load(&sources).unwrap().settings.webhooks;
    let address = webhooks.listen.unwrap().to_string();
    let public = webhooks.public_url.unwrap();
    assert_eq!(public.path(), lockstep::daemon::webhooks::PATH);
    for kind in ["nginx", "caddy"] {
        let text = text(kind);
        assert!(text.contains(&address), "{kind}: {address}");
        assert!(text.contains(public.path()), "{kind}: {public}");
        assert!(text.contains(public.host_str().unwrap()), "{kind}: {public}");
    }
}

#[test]
fn its_links_lead_somewhere() {
    let text = readme();
    for (at, line) in text.lines().enumerate() {
        for part in line.split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            let fine = match target.strip_prefix('#') {
                Some(anchor) => text.lines().any(|line| {
                    line.strip_prefix("## ")
                        .is_some_and(|title| title.to_lowercase().replace(' ', "-") == anchor)
                }),
                None => root().join(target).exists(),
            };
            assert!(fine, "README.md:{}: {target}", at + 1);
        }
    }
}
