//! The unit files say what the program needs, and no more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")
}

/// The keys of each section, each with all its values.
fn unit(name: &str) -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(folder().join(name)).unwrap();
    let mut section = String::new();
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with(['#', ';']) && !line.is_empty()) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(name) => section = name.to_owned(),
            None => {
                let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{name}: {line}"));
                keys.entry(format!("{section}.{key}")).or_default().push(value.to_owned());
            }
        }
    }
    keys
}

fn seconds(text: &str) -> u64 {
    let split = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
    let count: u64 = text[..split].parse().unwrap();
    count * if text[split..].starts_with("min") { 60 } else { 1 }
}

#[test]
fn both_units_run_what_exists_and_give_it_what_it_needs() {
    for (name, config) in
        [("lockstep.service", None), ("lockstep@.service", Some("/etc/lockstep/%i/lockstep.toml"))]
    {
        let unit = unit(name);
        let one = |key: &str| {
            let values = unit.get(key).unwrap_or_else(|| panic!("{name} has no {key}"));
            assert_eq!(values.len(), 1, "{name}: {key}");
            values[0].as_str()
        };
        let mut start = one("Service.ExecStart").split_whitespace();
        assert_eq!(start.next(), Some("/usr/local/bin/lockstep"));
        let arguments: Vec<&str> = std::iter::once("lockstep").chain(start).collect();
        let parsed = lockstep::cli::command().try_get_matches_from(&arguments).unwrap();
        assert_eq!(parsed.subcommand_name(), Some("run"));
        let given = parsed.get_one::<PathBuf>("config").map(|path| path.to_str().unwrap());
        assert_eq!(given, config);

        assert_eq!(one("Service.Type"), "notify");
        assert!(seconds(one("Service.WatchdogSec")) >= 90, "the journal may take 30 s to answer");
        let stop = lockstep::settings::load(&lockstep::settings::Sources::default()).unwrap();
        let stop = stop.settings.service.stop.as_secs();
        assert!(seconds(one("Service.TimeoutStopSec")) > stop, "{name} kills before the stop ends");
        assert_eq!(one("Service.RestartPreventExitStatus"), "2");
        assert_eq!(one("Service.StateDirectoryMode"), "0700");
        // The program's own variables would go before the administrator's settings file.
        assert_eq!(one("Service.Environment"), "MALLOC_ARENA_MAX=2");
        for credential in &unit["Service.LoadCredential"] {
            let (id, _) = credential.split_once(':').unwrap();
            let known = [
                "hubspot_token",
                "hubspot_client_secret",
                "salesforce_client_secret",
                "salesforce_key",
                "hubspot_webhook_secret",
                "hubspot_developer_key",
                "notice_receivers",
            ];
            assert!(known.contains(&id), "{name}: {id} is no secret of the settings");
        }
    }
}

#[test]
fn the_template_differs_from_the_unit_only_in_its_names() {
    let (plain, template) = (unit("lockstep.service"), unit("lockstep@.service"));
    assert_eq!(plain.keys().collect::<Vec<_>>(), template.keys().collect::<Vec<_>>());
    for (key, values) in &plain {
        let of_instance =
            template[key].iter().map(|value| value.replace("/%i", "").replace(" for %i", ""));
        let of_instance: Vec<String> = of_instance
            .map(|value| value.replace(" --config /etc/lockstep/lockstep.toml", ""))
            .collect();
        assert_eq!(values, &of_instance, "{key}");
    }
}

#[test]
fn the_service_is_locked_in() {
    for name in ["lockstep.service", "lockstep@.service"] {
        let unit = unit(name);
        for (key, value) in [
            ("CapabilityBoundingSet", ""),
            ("NoNewPrivileges", "yes"),
            ("PrivateDevices", "yes"),
            ("PrivateUsers", "yes"),
            ("ProtectHome", "yes"),
            ("ProtectSystem", "strict"),
            ("MemoryDenyWriteExecute", "yes"),
            ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
            ("SystemCallArchitectures", "native"),
            ("UMask", "0077"),
        ] {
            assert_eq!(unit[&format!("Service.{key}")], [value], "{name}: {key}");
        }
        let path = folder().join(name);
        let Ok(judged) = Command::new("systemd-analyze")
            .args(["security", "--offline=true"])
            .arg(&path)
            .output()
        else {
            eprintln!("systemd-analyze is not here: {name} is judged by its list only");
            continue;
        };
        let text = String::from_utf8_lossy(&judged.stdout);
        // A template cannot be judged without an instance, nor where systemd is too old.
        let Some(line) = text.lines().find(|line| line.contains("Overall exposure level")) else {
            eprintln!("{name} cannot be judged here");
            continue;
        };
        let level: f64 = line
            .rsplit(": ")
            .next()
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap();
        assert!(level <= 2.0, "{line}");
    }
}

#[test]
fn the_user_of_the_units_is_made() {
    let users = std::fs::read_to_string(folder().join("lockstep.sysusers")).unwrap();
    let user = &unit("lockstep.service")["Service.User"][0];
    assert!(users.lines().any(|line| line.starts_with(&format!("u {user} "))), "{users}");
}
