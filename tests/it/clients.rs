//! The vendors' own clients against the sandbox, over TCP: if they do not notice the difference, the
//! sandbox's wire is right where our own client and our own sandbox could share a mistake.
//!
//! The clients come from Python's registry into a virtual environment under `target/`. Where there is
//! no Python, or the registry cannot be reached, the tests say so and prove nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::cli::{Folder, Sandboxed, lockstep};

/// What is installed for calls. A change of this list makes a new environment.
const OF_CALLS: [&str; 2] = ["hubspot-api-client==12.0.0", "simple-salesforce==1.12.9"];
/// What is installed for event streams: apart, so that the one does not need the other.
const OF_STREAMS: [&str; 4] =
    ["grpcio==1.85.1", "grpcio-tools==1.85.1", "fastavro==1.13.1", "requests==2.34.2"];

/// Seconds that the installation may take.
const PATIENCE: &str = "180";

/// The interpreter of the environment for calls, or why there is none.
fn python() -> &'static Result<PathBuf, String> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    MADE.get_or_init(|| environment(&OF_CALLS))
}

/// Makes the environment with these packages, if it is not there, and finds its interpreter.
fn environment(packages: &[&str]) -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let home = target.join(format!("clients-{}", packages.join("-").replace("==", "-")));
    let (python, ready) = (home.join("bin/python"), home.join("ready"));
    if ready.exists() {
        return Ok(python);
    }
    // One that was begun and not finished may lack anything.
    let _ = std::fs::remove_dir_all(&home);
    run(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    run(Command::new("timeout")
        .arg(PATIENCE)
        .arg(home.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", "--retries", "1"])
        .args(packages))?;
    std::fs::write(ready, packages.join("\n")).map_err(|error| error.to_string())?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} ended with {}: {}", output.status, told.lines().last().unwrap_or("")))
}

/// Runs a script against a fresh sandbox, and compares the parts that it says it went through.
fn goes_through(
    python: &Result<PathBuf, String>,
    script: &str,
    arguments: impl Fn(&Sandboxed, &Folder) -> Vec<String>,
    parts: &str,
) {
    let python = match python {
        Ok(python) => python,
        Err(why) => {
            eprintln!("skipped: {why}");
            return;
        }
    };
    let folder = Folder::new(script);
    let sandbox = Sandboxed::start(lockstep(&folder.0).args(["sandbox", "--json"]));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients").join(script);
    let output = Command::new(python)
        .arg(path)
        .args(arguments(&sandbox, &folder))
        .env_clear()
        .output()
        .unwrap();
    let (told, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{errors}");
    assert_eq!(told.trim(), parts, "{errors}");
}

#[test]
fn hubspots_client_does_not_notice() {
    goes_through(
        python(),
        "hubspot_client.py",
        |sandbox, _| vec![sandbox.url("hubspot"), sandbox.variable("LOCKSTEP_HUBSPOT__TOKEN")],
        "HubSpot's client: create_and_read, conflict, stages_do_not_go_back, batches, search, \
         schema, associations, archive",
    );
}

#[test]
fn a_salesforce_client_does_not_notice() {
    goes_through(
        python(),
        "salesforce_client.py",
        |sandbox, _| {
            vec![
                sandbox.url("salesforce"),
                sandbox.variable("LOCKSTEP_SALESFORCE__CLIENT_ID"),
                sandbox.variable("LOCKSTEP_SALESFORCE__CLIENT_SECRET"),
            ]
        },
        "simple-salesforce: describe, create_read_update_delete, upsert_by_external_id, \
         collections, queries, bulk, conversion, sessions_expire",
    );
}

#[test]
fn a_subscriber_on_googles_grpc_does_not_notice() {
    goes_through(
        &environment(&OF_STREAMS),
        "pubsub_client.py",
        |sandbox, folder| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let protocol = root.join("src/platform/salesforce/pubsub/pubsub_api.proto");
            let certificate = folder.0.join("certificate.pem");
            std::fs::write(&certificate, sandbox.told("/pubsub/certificate")).unwrap();
            vec![
                protocol.to_str().unwrap().to_owned(),
                sandbox.url("salesforce"),
                sandbox.variable("LOCKSTEP_SALESFORCE__CLIENT_ID"),
                sandbox.variable("LOCKSTEP_SALESFORCE__CLIENT_SECRET"),
                sandbox.url("pubsub"),
                sandbox.told("/pubsub/tls_url"),
                certificate.to_str().unwrap().to_owned(),
            ]
        },
        "grpcio: topic_and_schema, events, with_tls, replay, schema_changes, refusals",
    );
}
