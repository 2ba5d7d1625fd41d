//! The built binary: what it prints where, and how it ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

/// A folder that goes with the value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lockstep-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The binary in a folder, without this process's own settings.
pub fn lockstep(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    lockstep(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits for another process, which lives by the real clock.
#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
pub fn wait(length: Duration) {
    std::thread::sleep(length);
}

/// A process that is killed when the value goes.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([format!("-{name}"), self.0.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

/// `lockstep sandbox --json`, and what it said at its start.
pub struct Sandboxed {
    _process: Running,
    told: Value,
}

impl Sandboxed {
    pub fn start(command: &mut Command) -> Self {
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut process = Running(spawned.unwrap());
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { _process: process, told: serde_json::from_str(&line).unwrap() }
    }

    /// Where a side listens.
    pub fn url(&self, side: &str) -> String {
        self.told[side]["url"].as_str().unwrap().to_owned()
    }

    /// A text that it told at its start, by its JSON pointer.
    pub fn told(&self, pointer: &str) -> String {
        self.told.pointer(pointer).and_then(|at| at.as_str()).unwrap().to_owned()
    }

    /// The variables by which Lockstep finds it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let variables = self.told["environment"].as_object().unwrap();
        variables
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
            .collect()
    }

    pub fn variable(&self, name: &str) -> String {
        self.told["environment"][name].as_str().unwrap().to_owned()
    }
}

fn mappings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings")
}

#[test]
fn the_exit_code_says_what_happened() {
    let folder = Folder::new("codes");
    fs::write(folder.0.join("bad.toml"), "name = 3\n").unwrap();
    fs::write(folder.0.join("wrong-settings.toml"), "[settle]\nbatch = 0\n").unwrap();
    fs::write(
        folder.0.join("here.toml"),
        "[directories]\nstate = \"state\"\nruntime = \"run\"\nmappings = \"none\"\n",
    )
    .unwrap();
    let mappings = mappings();
    let mappings = mappings.to_str().unwrap();
    for (arguments, code) in [
        (vec!["--help"], 0),
        (vec!["--version"], 0),
        (vec!["settings"], 0),
        (vec!["settings", "--defaults"], 0),
        (vec!["schema"], 0),
        (vec!["man"], 0),
        (vec!["man", "status"], 0),
        (vec!["completions", "fish"], 0),
        (vec!["sandbox", "--list-faults"], 0),
        (vec!["check", mappings], 0),
        (vec!["check", "bad.toml"], 1),
        (vec![], 2),
        (vec!["dance"], 2),
        (vec!["man", "dance"], 2),
        (vec!["sandbox", "--fault", "nope"], 2),
        (vec!["sandbox", "--webhook-url", "nowhere"], 2),
        (vec!["sandbox", "--webhook-secret-file", "nothing"], 2),
        (vec!["--config", "wrong-settings.toml", "settings"], 2),
        (vec!["--config", "absent.toml", "settings"], 2),
        (vec!["--config", "here.toml", "status"], 2),
        (vec!["--config", "here.toml", "health"], 2),
        (vec!["--config", "here.toml", "run"], 2),
        (vec!["--config", "here.toml", "explain", "L1"], 3),
        (vec!["--config", "here.toml", "journal", "check"], 3),
        (vec!["check", folder.0.join("state").to_str().unwrap()], 2),
    ] {
        let output = run(&folder.0, &arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
        let stderr = text(&output.stderr);
        if code == 2 && !arguments.contains(&"health") {
            assert!(!stderr.is_empty(), "{arguments:?} fails without a word");
            assert!(output.stdout.is_empty(), "{arguments:?} answers although it fails");
        }
        let answer = text(&output.stdout);
        assert!(!answer.contains('\u{1b}'), "{arguments:?} colours a pipe");
    }
}

#[test]
fn programs_get_json_also_where_it_fails() {
    let folder = Folder::new("json");
    for (arguments, pointer) in [
        (vec!["settings", "--json"], "/settings/0/key"),
        (vec!["schema", "--json"], "/title"),
        (vec!["sandbox", "--list-faults", "--json"], "/0/name"),
        (vec!["--config", "absent.toml", "settings", "--json"], "/error/message"),
        (vec!["health", "--json"], "/state"),
    ] {
        let output = run(&folder.0, &arguments);
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", text(&output.stdout)));
        assert!(value.pointer(pointer).is_some_and(Value::is_string), "{arguments:?}: {value}");
    }
}

#[test]
fn a_secret_is_never_shown() {
    let folder = Folder::new("secret");
    let output = lockstep(&folder.0)
        .args(["settings", "-vv"])
        .env("LOCKSTEP_HUBSPOT__TOKEN", "pat-na1-do-not-tell")
        .output()
        .unwrap();
    let shown = text(&output.stdout) + &text(&output.stderr);
    assert!(shown.contains("hubspot.token "), "{shown}");
    assert!(!shown.contains("do-not-tell"), "{shown}");
}

#[test]
fn settings_made_from_the_defaults_mean_the_defaults() {
    let folder = Folder::new("defaults");
    let defaults = run(&folder.0, &["settings", "--defaults"]).stdout;
    fs::write(folder.0.join("lockstep.toml"), defaults).unwrap();
    let values = |arguments: &[&str]| {
        let output = run(&folder.0, arguments);
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        let entries = value["settings"].as_array().unwrap().clone();
        entries
            .iter()
            .map(|entry| (entry["key"].clone(), entry["value"].clone()))
            .collect::<Vec<_>>()
    };
    let from_file = values(&["settings", "--json"]);
    fs::remove_file(folder.0.join("lockstep.toml")).unwrap();
    assert_eq!(from_file, values(&["settings", "--json"]));
}

/// A sandbox on free ports, and settings that lead to it.
struct Site {
    folder: Folder,
    _sandbox: Sandboxed,
    environment: Vec<(String, String)>,
}

impl Site {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let sandbox = Sandboxed::start(lockstep(&folder.0).args(["sandbox", "--json"]));
        let environment = sandbox.environment();
        fs::create_dir(folder.0.join("mappings")).unwrap();
        for name in ["people.toml", "companies.toml", "deals.toml"] {
            fs::copy(mappings().join(name), folder.0.join("mappings").join(name)).unwrap();
        }
        fs::write(
            folder.0.join("lockstep.toml"),
            "[directories]\nstate = \"state\"\nruntime = \"run\"\nmappings = \"mappings\"\n\
             [polling]\nhubspot = \"1s\"\nsalesforce = \"1s\"\n",
        )
        .unwrap();
        Self { folder, _sandbox: sandbox, environment }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = lockstep(&self.folder.0);
        command.args(arguments).envs(self.environment.clone());
        command
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(arguments).output().unwrap();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    }

    /// Asks until the answer is as wished.
    fn until(&self, arguments: &[&str], wished: impl Fn(Option<i32>, &str) -> bool) -> String {
        let mut last = String::new();
        for _ in 0..150 {
            let (code, told) = self.run(arguments);
            if wished(code, &told) {
                return told;
            }
            last = told;
            wait(Duration::from_millis(200));
        }
        panic!("{arguments:?} never came to it; last: {last}");
    }
}

#[test]
fn one_round_without_a_service_ends_well() {
    let site = Site::new("sync");
    let (code, told) = site.run(&["check", "--live", "mappings"]);
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = site.run(&["plan"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("nothing was written"), "{told}");
    assert!(!site.folder.0.join("state").exists(), "a preview made a journal");
    let (code, told) = site.run(&["sync", "--once", "--json"]);
    assert_eq!(code, Some(0), "{told}");
    let synced: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(synced["postponed"], 0, "{synced}");
    // The journal is there now, sound, and answers without a service.
    let (code, told) = site.run(&["journal", "check"]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(site.run(&["conflicts", "list"]).0, Some(0));
    assert_eq!(site.run(&["explain", "nobody@example.com"]).0, Some(3));
    let (code, told) = site.run(&["handoff", "preview", "nobody@example.com"]);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("nobody@example.com"), "{told}");
    let (code, told) = site.run(&["holds", "release", "7"]);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("holds list"), "{told}");
    let (code, told) = site.run(&["journal", "compact", "--json"]);
    assert_eq!(code, Some(0), "{told}");
    let compacted: Value = serde_json::from_str(&told).unwrap();
    assert!(compacted["rows"].as_u64() > Some(0), "{compacted}");
    assert!(compacted["after"].as_u64() > Some(0), "{compacted}");
    let (code, told) = site.run(&["journal", "check"]);
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = site.run(&["journal", "copy", "copied"]);
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = site.run(&["journal", "salvage"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(site.folder.0.join("state/journal.damaged").exists());
    let (code, told) = site.run(&["sync", "--once"]);
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn the_service_starts_answers_reloads_and_stops() {
    let site = Site::new("run");
    let log = fs::File::create(site.folder.0.join("log")).unwrap();
    // What systemd would hear.
    let notify = site.folder.0.join("notify");
    let systemd = UnixDatagram::bind(&notify).unwrap();
    // It reads all the time, as systemd does: a full socket would hold the service up.
    let listening = std::thread::spawn(move || {
        let (mut heard, mut message) = (String::new(), [0; 4096]);
        while let Ok(length) = systemd.recv(&mut message) {
            heard += &text(&message[..length]);
            heard.push('\n');
            if heard.contains("STOPPING=1") {
                break;
            }
        }
        heard
    });
    let mut command = site.command(&["run"]);
    command.env("NOTIFY_SOCKET", &notify).env("WATCHDOG_USEC", "1500000");
    let mut service = Running(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    site.until(&["health"], |code, _| code == Some(0));
    let status: Value = serde_json::from_str(&site.run(&["status", "--json"]).1).unwrap();
    assert_eq!(status["mappings"].as_array().unwrap().len(), 3, "{status}");
    assert!(status["sides"]["salesforce"]["account"].is_string(), "{status}");

    let (code, told) = site.run(&["plan", "--json"]);
    assert_eq!(code, Some(0), "{told}");
    let left: Vec<_> = fs::read_dir(site.folder.0.join("state")).unwrap().collect();
    assert_eq!(left.len(), 1, "a preview leaves its copy behind: {left:?}");

    // A second one does not start, and says who is there.
    let (code, told) = site.run(&["run"]);
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains("in use by"), "{told}");
    // The journal's own commands do not touch it either.
    assert_eq!(site.run(&["journal", "check"]).0, Some(5));
    let (code, told) = site.run(&["journal", "compact"]);
    assert_eq!(code, Some(5), "{told}");
    let process = format!("in use by process {}", service.0.id());
    assert!(told.contains(&process), "{told}");

    // A wrong mapping file leaves the last good ones in force, loudly.
    let people = site.folder.0.join("mappings/people.toml");
    let good = fs::read_to_string(&people).unwrap();
    fs::write(&people, format!("nonsense = 1\n{good}")).unwrap();
    let told = site.until(&["health"], |code, _| code == Some(1));
    assert!(told.contains("last good ones are in force"), "{told}");
    fs::write(&people, &good).unwrap();
    site.until(&["health"], |code, _| code == Some(0));
    // So does a signal.
    fs::write(&people, good.replace("about = \"", "about = \"Now: ")).unwrap();
    service_reload(&service);
    site.until(&["health"], |code, _| code == Some(0));

    service.signal("TERM");
    assert_eq!(service.0.wait().unwrap().code(), Some(0));
    assert_eq!(site.run(&["health"]).0, Some(2));
    assert!(!site.folder.0.join("run/control.sock").exists());
    let log = fs::read_to_string(site.folder.0.join("log")).unwrap();
    assert!(log.contains("stopped"), "{log}");
    let heard = listening.join().unwrap();
    let order = ["READY=1", "STATUS=running", "RELOADING=1", "STOPPING=1"];
    let places: Vec<_> = order.iter().map(|state| heard.find(state)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{heard}");
    assert!(heard.contains("WATCHDOG=1"), "{heard}");
    assert!(!log.contains("pat-na1"), "a secret in the log: {log}");
    assert_eq!(site.run(&["journal", "check"]).0, Some(0));
}

fn service_reload(service: &Running) {
    service.signal("HUP");
    // It must not end by the signal.
    wait(Duration::from_millis(300));
}

#[test]
fn wrong_credentials_are_a_state_and_not_an_end() {
    let mut site = Site::new("credentials");
    for (key, value) in &mut site.environment {
        if key == "LOCKSTEP_HUBSPOT__TOKEN" {
            *value = "pat-na1-00000000-0000-0000-0000-000000000000".to_owned();
        }
    }
    let mut service = Running(
        site.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(),
    );
    let told =
        site.until(&["health", "--json"], |code, told| code == Some(2) && told.contains("HubSpot"));
    assert!(told.contains("\"state\":\"down\""), "{told}");
    assert_eq!(service.0.try_wait().unwrap(), None, "the service ended");
    let (code, _) = site.run(&["sync", "--once"]);
    assert_eq!(code, Some(4));
    service.signal("INT");
    assert_eq!(service.0.wait().unwrap().code(), Some(0));
}

#[test]
fn an_interrupted_demo_leaves_nothing_but_what_was_asked_for() {
    for (name, keep, says) in [
        ("demo-int", None, "was removed"),
        ("demo-keep", Some("kept"), "the journal so far is kept in"),
    ] {
        let folder = Folder::new(name);
        let temporary = folder.0.join("tmp");
        fs::create_dir(&temporary).unwrap();
        let mut command = lockstep(&folder.0);
        command
            .args(["demo", "--people", "20", "--seconds", "600"])
            .args(keep.iter().flat_map(|place| ["--keep", place]))
            .env("TMPDIR", &temporary)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut demo = Running(command.spawn().unwrap());
        let place = keep.map_or(temporary.clone(), |place| folder.0.join(place));
        // Where its journal is made, it listens for signals.
        let made = || fs::read_dir(&place).is_ok_and(|mut files| files.next().is_some());
        for _ in 0..300 {
            if made() {
                break;
            }
            wait(Duration::from_millis(100));
        }
        assert!(made(), "{name} never began");
        wait(Duration::from_millis(500));
        demo.signal("INT");
        let code = demo.0.wait().unwrap().code();
        let told = std::io::read_to_string(demo.0.stderr.take().unwrap()).unwrap();
        assert_eq!(code, Some(130), "{told}");
        assert!(told.contains(says), "{told}");
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "{name} leaves something: {told}");
        if let Some(kept) = keep {
            let kept = folder.0.join(kept);
            assert!(kept.join("LOCK").exists(), "{told}");
        }
    }
}
