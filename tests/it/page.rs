//! The page in a real browser: Debian's Chromium, without a window. Where there is none, the tests
//! say so and leave it at that.
//!
//! `LOCKSTEP_SCREENSHOTS=DIR` keeps the pictures, for a look.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use lockstep::daemon::page::{Leaders, Page, Place, StuckKind, document};
use lockstep::handoff::report::{By, Item, Query, Terms, report};
use lockstep::handoff::stuck::Stuck;
use lockstep::handoff::{Fact, Facts, Handoff, HandoffId, How, Owner, Touch, What, Witness};
use lockstep::mapping::handoff::{Calendar, Level, ServiceLevels};
use lockstep::record::{LinkId, RecordRef};

use crate::cli::{Folder, Running, Sandboxed, lockstep, wait};

const TOKEN: &str = "a-token-for-the-browser-test";

struct Browser(PathBuf);

impl Browser {
    /// The browser, where this machine has one.
    fn here() -> Option<Self> {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .map(|folder| folder.join("chromium"))
            .find(|path| path.exists());
        if found.is_none() {
            println!("skipped: there is no chromium on this machine (apt-get install chromium)");
        }
        found.map(Self)
    }

    /// Opens `url` in a window of this width, in the light scheme or the dark one.
    fn open(&self, folder: &Folder, url: &str, wide: u32, dark: bool, more: &[String]) -> Output {
        let scheme = if dark { 0 } else { 1 };
        let profile = folder.0.join(format!("profile-{wide}-{dark}"));
        Command::new(&self.0)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
            .args(["--no-first-run", "--disable-extensions", "--disable-background-networking"])
            .args(["--enable-logging=stderr", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("--window-size={wide},2400"))
            .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
            .args(more)
            .arg(url)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The document as the browser has it, and what the browser complained of.
    fn dom(&self, folder: &Folder, url: &str) -> (String, String) {
        let output = self.open(folder, url, 1280, false, &["--dump-dom".to_owned()]);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let told = text(&output.stderr);
        let console = told.lines().filter(|line| line.contains("CONSOLE")).collect::<Vec<_>>();
        (text(&output.stdout), console.join("\n"))
    }

    /// A picture of `url`.
    fn picture(&self, folder: &Folder, url: &str, name: &str, wide: u32, dark: bool) -> Vec<u8> {
        let scheme = if dark { "dark" } else { "light" };
        let path = folder.0.join(format!("{name}-{wide}-{scheme}.png"));
        let shot = format!("--screenshot={}", path.display());
        let output = self.open(folder, url, wide, dark, &[shot]);
        let picture = fs::read(&path)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        if let Some(kept) = std::env::var_os("LOCKSTEP_SCREENSHOTS") {
            fs::create_dir_all(&kept).unwrap();
            fs::copy(&path, Path::new(&kept).join(path.file_name().unwrap())).unwrap();
        }
        picture
    }

    /// Pictures of `url` on a phone and on a desk, light and dark, which differ as they should.
    fn pictures(&self, folder: &Folder, url: &str, name: &str) {
        for wide in [500, 1280] {
            let [light, dark] =
                [false, true].map(|dark| self.picture(folder, url, name, wide, dark));
            for picture in [&light, &dark] {
                assert!(picture.starts_with(b"\x89PNG"), "{name} {wide}");
                // Its header says how wide it is; a picture of nothing compresses to next to it.
                let found = u32::from_be_bytes(picture[16..20].try_into().unwrap());
                assert_eq!(found, wide, "{name}");
                assert!(picture.len() > 20_000, "{name} {wide}: {} bytes", picture.len());
            }
            assert_ne!(light, dark, "{name} {wide}: the dark scheme looks like the light one");
        }
    }
}

/// A year of handoffs, the same each time.
fn handoffs() -> Vec<Handoff> {
    let start: Timestamp = "2025-11-03T08:00:00Z".parse().unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    let sources =
        ["organic search", "paid search", "social", "email", "direct traffic", "referral", "fair"];
    let people = ["ann.miller", "bob.okafor", "carla.ruiz", "dmitri.petrov"];
    (0..900)
        .map(|number| {
            let qualified_at = start + SignedDuration::from_mins(number * 540);
            let mut facts = Facts::default();
            let mut add = |minutes: f64, what: What| {
                let seconds = SignedDuration::from_secs_f64(minutes * 60.0);
                facts.add(Fact { at: qualified_at + seconds, what, witness: Witness::Salesforce });
            };
            let owner = Owner::person(format!("{}@example.com", random.choice(people).unwrap()));
            match random.u32(0..100) {
                0..4 => {
                    let (name, reason) = ("customers".into(), "a customer already".into());
                    add(0.0, What::Excluded { name, reason });
                }
                4 => add(0.1, What::Rejected { reason: "INVALID_EMAIL_ADDRESS".into() }),
                luck => {
                    let record = RecordRef::salesforce("Lead", format!("00Q{number:012}AAA"));
                    let how = if luck < 12 { How::Matched } else { How::Created };
                    let sent = 0.05 + random.f64() * 0.3;
                    add(sent, What::Sent { record, how });
                    add(sent, What::Assigned { to: owner.clone() });
                    let task = RecordRef::salesforce("Task", format!("00T{number:012}AAA"));
                    add(sent + 0.02, What::Tasked { task });
                    let touched = 10.0 + random.f64().powi(3) * 2_000.0;
                    if luck > 25 {
                        let by = Some(owner);
                        add(touched, What::Touched { method: Touch::Call, by });
                    }
                    match luck {
                        40..80 => add(touched + 60.0, What::Accepted { cause: "working".into() }),
                        80..90 => {
                            let reason = *random.choice(&["no budget", "wrong person"]).unwrap();
                            add(touched + 90.0, What::Returned { reason: reason.into() });
                        }
                        _ => {}
                    }
                    if (40..58).contains(&luck) {
                        let cents = Some(random.i64(50_000..4_000_000));
                        let days = 1_440.0 * (2.0 + random.f64() * 60.0);
                        add(days, What::Won { opportunity: None, cents });
                    }
                }
            }
            let source = sources[(random.f64().powi(2) * 7.0) as usize].to_owned();
            Handoff {
                id: HandoffId { link: LinkId(number.unsigned_abs()), nth: 1 },
                mapping: "people".into(),
                rule: "score".into(),
                reason: "the score reached 50".into(),
                qualified_at,
                witness: Witness::HubSpot,
                groups: BTreeMap::from([("source".to_owned(), source)]),
                facts,
            }
        })
        .collect()
}

fn leaders(by: By, now: Timestamp) -> Leaders {
    let handoffs = handoffs();
    let levels = ServiceLevels {
        touch: Some(Level { within: SignedDuration::from_hours(4) }),
        accept: Some(Level { within: SignedDuration::from_hours(16) }),
        ..ServiceLevels::default()
    };
    let calendar = Calendar::weekdays(TimeZone::UTC, 9, 17);
    let terms = Terms { levels: &levels, calendar: &calendar };
    let items: Vec<Item<'_>> = handoffs.iter().map(|handoff| Item { handoff, terms }).collect();
    let query = Query { since: None, until: None, by: Some(by), now };
    let stuck = |kind, count, longest: &str| {
        let longest = longest.split(' ').map(str::to_owned).collect();
        StuckKind { kind, count, longest }
    };
    Leaders {
        report: report(&items, &query),
        stuck: vec![
            stuck(Stuck::Refused, 8, "L61-1 L93-1 L112-1"),
            stuck(Stuck::InactiveOwner, 3, "L14-1 L15-1 L230-1"),
            stuck(Stuck::Overdue, 182, "L3-1 L4-1 L9-1"),
            stuck(Stuck::Silent, 41, "L7-1 L21-1 L35-1"),
        ],
        remarks: Vec::new(),
    }
}

#[test]
fn the_report_in_a_file_is_read_on_a_phone_and_on_a_desk() {
    let Some(browser) = Browser::here() else { return };
    let folder = Folder::new("page-file");
    let now = "2026-11-06T16:00:00Z".parse().unwrap();
    for by in [By::Source, By::Week] {
        let leaders = Some(leaders(by, now));
        let page = Page { made: now, leaders, waiting: None, status: None };
        let path = folder.0.join(format!("report-{}.html", by.key()));
        fs::write(&path, document(&page, Place::File).unwrap()).unwrap();
        let url = format!("file://{}", path.display());
        let (dom, complaints) = browser.dom(&folder, &url);
        assert_eq!(complaints, "");
        assert!(dom.contains("900 qualified = "), "{dom}");
        if by == By::Source {
            browser.pictures(&folder, &url, "report");
        }
    }
}

/// One request by hand: the code and the whole answer.
fn ask(port: u16, path: &str, bearer: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {bearer}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap();
    (code, answer)
}

#[test]
fn the_running_service_shows_how_it_is_doing_to_whoever_has_the_token() {
    let folder = Folder::new("page-served");
    let arguments = ["sandbox", "--json", "--write", "site"];
    let _sandbox = Sandboxed::start(lockstep(&folder.0).args(arguments));
    let settings = folder.0.join("site/lockstep.toml");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = fs::read_to_string(&settings).unwrap();
    let with = |listen: &str, token: &str| {
        fs::write(&settings, format!("{text}\n[http]\nlisten = \"{listen}:{port}\"\n{token}"))
            .unwrap();
    };
    let command = |arguments: &[&str]| {
        let mut command = lockstep(&folder.0);
        command.args(["--config", "site/lockstep.toml"]).args(arguments);
        command
    };

    with("0.0.0.0", "");
    let refused = command(&["run"]).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{told}");
    assert!(told.contains("can be reached from other machines, and no token is set"), "{told}");

    fs::write(folder.0.join("site/http.token"), TOKEN).unwrap();
    with("127.0.0.1", "token_file = \"http.token\"\n");
    let log = fs::File::create(folder.0.join("log")).unwrap();
    let _service = Running(command(&["run"]).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    let log = || fs::read_to_string(folder.0.join("log")).unwrap_or_default();
    for _ in 0..150 {
        let up = TcpStream::connect(("127.0.0.1", port)).is_ok();
        if up && ask(port, "/metrics", TOKEN).1.contains("lockstep_side_up{side=\"hubspot\"} 1") {
            break;
        }
        wait(Duration::from_millis(200));
    }
    let (code, metrics) = ask(port, "/metrics", TOKEN);
    assert_eq!(code, 200, "{metrics}{}", log());
    for wanted in [
        "application/openmetrics-text",
        "# TYPE lockstep_calls counter",
        "lockstep_build_info{version=",
        "lockstep_side_up{side=\"salesforce\"} 1",
        "lockstep_handoffs{mapping=\"people\",state=\"assigned\"} 0",
        "lockstep_handoff_system_share_seconds_bucket{le=\"+Inf\",mapping=\"people\"} 0",
        "# EOF",
    ] {
        assert!(metrics.contains(wanted), "{wanted}: {metrics}{}", log());
    }
    for (path, bearer, code) in [
        ("/", "", 401),
        ("/metrics", "not-the-token-at-all", 401),
        ("/status", TOKEN, 200),
        ("/", TOKEN, 200),
        ("/?since=2026-11-02&until=&by=week", TOKEN, 200),
        ("/?since=soon&by=person", TOKEN, 200),
    ] {
        assert_eq!(ask(port, path, bearer).0, code, "{path}");
    }

    let told = ask(port, "/?since=2026-11-02&until=&by=week", TOKEN).1;
    assert!(told.contains("value=\"2026-11-02\"") && told.contains("value=\"week\" selected"));
    assert!(told.contains("Handoffs that qualified from 2 Nov 2026, 00:00 UTC"), "{told}");

    let written = command(&["report", "--html", "report.html"]).output().unwrap();
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let file = fs::read_to_string(folder.0.join("report.html")).unwrap();
    assert!(file.contains("Four questions") && !file.contains("<form"), "{file}");

    let Some(browser) = Browser::here() else { return };
    let (dom, complaints) = browser.dom(&folder, &format!("http://localhost:{port}/"));
    assert!(dom.contains("type=\"password\""), "{dom}");
    assert_eq!(complaints, "", "the form");
    // The link of a person who was sent the token: the session carries on from there.
    let link = format!("http://localhost:{port}/?token={TOKEN}");
    let (dom, complaints) = browser.dom(&folder, &link);
    assert!(dom.contains("Waiting for a person") && dom.contains("Sign out"), "{dom}");
    assert!(dom.contains("Four questions") && dom.contains("0 qualified = "), "{dom}");
    assert!(!dom.contains(TOKEN), "{dom}");
    assert_eq!(complaints, "", "the page");
    browser.pictures(&folder, &link, "service");
}
