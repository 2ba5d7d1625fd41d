//! The built binary between two platforms while people edit both: killed at random times, told to
//! end, its journal cut short, its disk full. In the end nobody's edit is lost, nobody exists twice
//! and both sides agree.
//!
//! Each person's telephone number is edited in Salesforce only and the mobile number in HubSpot only:
//! the last edit must be on both sides. The job title is edited on both sides at once: both must agree
//! on one of the two last edits.

mod office;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use self::office::Office;
use crate::cli::{Folder, Running, Sandboxed, lockstep, wait};

/// A sandbox, people who work in it, and the settings of a daemon between both sides.
struct Site {
    folder: Folder,
    office: Office,
    _sandbox: Sandboxed,
}

impl Site {
    /// With so many people, half of whom begin in HubSpot and half in Salesforce.
    fn new(name: &str, people: usize, seed: u64) -> Self {
        let folder = Folder::new(name);
        let arguments = ["sandbox", "--json", "--write", "site"];
        let sandbox = Sandboxed::start(lockstep(&folder.0).args(arguments));
        let settings = folder.0.join("site/lockstep.toml");
        let text = fs::read_to_string(&settings).unwrap();
        let text = text.replace("\"2s\"", "\"300ms\"") + "\n[mappings]\nreload_on_save = false\n";
        fs::write(settings, text).unwrap();
        let mut office = Office::new(&sandbox, seed);
        for _ in 0..people {
            office.a_person_comes();
        }
        Self { folder, office, _sandbox: sandbox }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.0.join("site").join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = lockstep(&self.folder.0);
        command.args(["--config", "site/lockstep.toml"]).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// The service, its log at the end of the site's.
    fn service(&self) -> Running {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.command(&["run"]);
        Running(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Asks until the answer is as wished, half a minute long.
    fn until(&self, arguments: &[&str], wished: impl Fn(Option<i32>, &Value) -> bool) -> Value {
        let mut last = String::new();
        for _ in 0..150 {
            let (code, out, _) = self.run(arguments);
            let answer = serde_json::from_str(&out).unwrap_or(Value::Null);
            if wished(code, &answer) {
                return answer;
            }
            last = out;
            wait(Duration::from_millis(200));
        }
        panic!("{arguments:?} never came to it; last: {last}\n{}", self.log());
    }

    /// What is not carried over and waits for nobody's decision.
    fn disagreements(&self) -> Vec<String> {
        let (code, out, errors) = self.run(&["conflicts", "list", "--json"]);
        assert!(matches!(code, Some(0 | 1)), "{out}{errors}");
        let open: Value = serde_json::from_str(&out).unwrap();
        self.office.disagreements(open["fields"].as_array().unwrap())
    }

    /// Until the running service has carried everybody's last edit over.
    fn until_carried(&self) {
        let mut last = Vec::new();
        for _ in 0..150 {
            last = self.disagreements();
            if last.is_empty() {
                return;
            }
            wait(Duration::from_millis(200));
        }
        panic!("never carried over: {last:#?}\n{}", self.log());
    }

    /// Syncs until two rounds in a row find nothing to write, then looks whether all is well.
    fn comes_to_rest(&self) {
        let mut quiet = 0;
        for _ in 0..30 {
            let (code, out, errors) = self.run(&["sync", "--once", "--json", "--wait", "20s"]);
            assert!(matches!(code, Some(0 | 1)), "{code:?} {out}{errors}");
            let synced: Value = serde_json::from_str(&out).unwrap();
            let count = |name: &str, side: &str| synced[name][side].as_u64().unwrap();
            let busy = ["written", "refused"]
                .into_iter()
                .any(|name| count(name, "hubspot") + count(name, "salesforce") > 0);
            let quiet_now = !busy && synced["postponed"] == 0 && self.disagreements().is_empty();
            quiet = if quiet_now { quiet + 1 } else { 0 };
            if quiet == 2 {
                break;
            }
            wait(Duration::from_millis(500));
        }
        assert_eq!(self.disagreements(), Vec::<String>::new(), "{}", self.log());
        assert_eq!(quiet, 2, "it never comes to rest\n{}", self.log());
        let (code, out, errors) = self.run(&["journal", "check"]);
        assert_eq!(code, Some(0), "{out}{errors}");
        assert!(!self.log().contains("panicked"), "{}", self.log());
    }
}

#[test]
fn nothing_is_lost_and_nobody_comes_twice_however_often_it_is_killed() {
    let mut site = Site::new("killed", 24, 7);
    let mut random = fastrand::Rng::with_seed(7);
    // Answers that are lost after their effect are what makes people come twice.
    for fault in ["hubspot:timeout-after=2%", "salesforce:cut-after=2%", "slow=2%"] {
        site.office.arm(fault);
    }
    for round in 0..8 {
        // Some die while they open the journal or sign in.
        let life = random.u64(if round % 4 == 3 { 20..300 } else { 600..2200 });
        let mut service = site.service();
        let mut lived = 0;
        while lived < life {
            site.office.somebody_edits();
            let pause = random.u64(5..60);
            wait(Duration::from_millis(pause));
            lived += pause;
        }
        assert_eq!(service.0.try_wait().unwrap(), None, "it ended by itself: {}", site.log());
        service.signal("KILL");
        service.0.wait().unwrap();
    }
    site.office.heal();
    site.comes_to_rest();
}

#[test]
fn told_to_end_it_ends_well_and_the_next_one_goes_on() {
    let mut site = Site::new("told", 12, 11);
    for _ in 0..2 {
        let mut service = site.service();
        site.until(&["health"], |code, _| matches!(code, Some(0 | 1)));
        for _ in 0..30 {
            site.office.somebody_edits();
        }
        wait(Duration::from_millis(700));
        // A second one says who holds the journal.
        let (code, _, errors) = site.run(&["run"]);
        assert_eq!(code, Some(5), "{errors}");
        assert!(errors.contains(&format!("in use by process {}", service.0.id())), "{errors}");
        service.signal("TERM");
        assert_eq!(service.0.wait().unwrap().code(), Some(0), "{}", site.log());
        assert!(!site.path("run/control.sock").exists());
    }
    site.comes_to_rest();
}

#[test]
fn a_wrong_mapping_on_sighup_leaves_the_last_good_ones_at_work() {
    let mut site = Site::new("hup", 4, 13);
    let service = site.service();
    site.until(&["health"], |code, _| matches!(code, Some(0 | 1)));
    let people = site.path("mappings/people.toml");
    let good = fs::read_to_string(&people).unwrap();
    fs::write(&people, good.replace("object = \"Lead\"", "object = 7")).unwrap();
    service.signal("HUP");
    let told = |status: &Value| status["problems"].to_string().contains("last good ones");
    let status = site.until(&["status", "--json"], |_, status| told(status));
    assert_eq!(status["state"], "degraded", "{status}");
    assert_eq!(status["mappings"].as_array().unwrap().len(), 3, "{status}");
    for _ in 0..8 {
        site.office.somebody_edits();
    }
    site.until_carried();
    fs::write(&people, good).unwrap();
    service.signal("HUP");
    site.until(&["status", "--json"], |_, status| status.is_object() && !told(status));
}

#[test]
fn a_journal_cut_short_is_said_with_the_way_out() {
    let mut site = Site::new("cut", 12, 17);
    site.comes_to_rest();
    let file = site.path("state/journal/db/db");
    // The file is made larger than what is in it: half of it may be empty.
    File::options().write(true).open(&file).unwrap().set_len(48 << 10).unwrap();
    for arguments in [&["run"][..], &["sync", "--once"], &["journal", "check"]] {
        let (code, out, errors) = site.run(arguments);
        assert_eq!(code, Some(5), "{arguments:?} {out}{errors}");
        assert!(errors.contains("the journal is damaged"), "{errors}");
        assert!(errors.contains("lockstep journal salvage"), "{errors}");
    }
    let (code, out, errors) = site.run(&["journal", "salvage"]);
    assert_eq!(code, Some(1), "it says that something is lost: {out}{errors}");
    assert!(site.path("state/journal.damaged").exists());
    for _ in 0..12 {
        site.office.somebody_edits();
    }
    site.comes_to_rest();
}

/// A small file system that goes with the value.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// None where this process may not mount one.
    fn mount(at: &'a Path, mebibytes: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let size = format!("size={mebibytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "lockstep-test"]).arg(at).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_waited_out() {
    let mut site = Site::new("full", 12, 19);
    let state = site.path("state");
    // The journal leaves 32 MiB alone, so that it can always be opened.
    let Some(_disk) = SmallDisk::mount(&state, 96) else {
        eprintln!("skipped: a small file system cannot be mounted (root only)");
        return;
    };
    let mut service = site.service();
    site.until(&["health"], |code, _| matches!(code, Some(0 | 1)));
    site.until_carried();
    let filler = state.join("filler");
    assert!(
        Command::new("dd")
            .args(["if=/dev/zero", "bs=1M", &format!("of={}", filler.display())])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| !status.success()),
        "the disk is not full"
    );
    for _ in 0..20 {
        site.office.somebody_edits();
    }
    let full = "the journal's file system is full";
    for _ in 0..100 {
        if site.log().contains(full) {
            break;
        }
        wait(Duration::from_millis(200));
    }
    assert!(site.log().contains(full), "{}", site.log());
    assert_eq!(service.0.try_wait().unwrap(), None, "it ended: {}", site.log());
    fs::remove_file(&filler).unwrap();
    site.until_carried();
    service.signal("TERM");
    assert_eq!(service.0.wait().unwrap().code(), Some(0), "{}", site.log());
    site.comes_to_rest();
}
