//! `lockstep sandbox`

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgMatches, Args};

use super::init::write_mappings;
use super::output::Output;
use super::rehearsal::set_up;
use super::stop::Stop;
use super::{Command, Context, Exit, Failure, arguments};
use crate::daemon::Clock;
use crate::sandbox::calls::Purpose;
use crate::sandbox::fault::{FAULTS, FaultOrder, Side};
use crate::sandbox::hubspot::oauth::{PRIVATE_APP, PRIVATE_APP_SECRET, PRIVATE_TOKEN};
use crate::sandbox::hubspot::webhooks::WebhookError;
use crate::sandbox::salesforce::oauth::{CLIENT_ID, CLIENT_SECRET};
use crate::sandbox::server::{ServeOptions, Serving, serve};
use crate::sandbox::{Sandbox, SandboxClock};
use crate::settings::write_private;

pub(super) const COMMAND: Command = Command {
    name: "sandbox",
    about: "Serve a HubSpot and a Salesforce on this machine to rehearse with",
    long: "\
Both platforms' REST APIs and sign-in, in memory, on loopback ports. Lockstep and the vendors' own
client libraries work against them; what they do not model they refuse and count. The custom fields
that the shipped mappings name are there. Nothing of it leaves this machine, and nothing stays when it
ends. It prints the variables by which Lockstep finds it; --write makes a folder with settings,
secrets and the shipped mappings instead, for `lockstep --config rehearsal/lockstep.toml …`.

Both push: Salesforce's change events are served over gRPC (the Pub/Sub API, plain and with TLS), and
HubSpot's webhooks go to --webhook-url, signed by the private app's client secret. What is not
answered by a success is sent again up to ten times, within ten minutes instead of a day.

Faults can be armed at the start and while it runs (POST /sandbox/faults {\"fault\": \"slow=5%\"}).
The same door changes records as a user would: see GET /sandbox/ on either port.

Examples:
  lockstep sandbox
  lockstep sandbox --hubspot-port 4001 --salesforce-port 4002 --seed 7
  lockstep sandbox --fault too-many-requests=5% --fault salesforce:locked=3
  lockstep sandbox --webhook-url http://127.0.0.1:8766/webhooks/hubspot --fault webhooks-late=10%
  lockstep sandbox --write rehearsal
  lockstep sandbox --list-faults",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// HubSpot's port; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    hubspot_port: u16,
    /// Salesforce's port; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    salesforce_port: u16,
    /// The event service's port without TLS; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 0, alias = "pubsub")]
    pubsub_port: u16,
    /// The event service's port with TLS; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pubsub_tls_port: u16,
    /// Where HubSpot's webhooks go, subscribed to every event of contacts, companies and deals
    #[arg(long, value_name = "URL")]
    webhook_url: Option<String>,
    /// The file with the client secret that signs webhooks; else one that everybody knows
    #[arg(long, value_name = "FILE")]
    webhook_secret_file: Option<PathBuf>,
    /// Within which time a webhook that fails is sent again, ten times; a day on the platform
    #[arg(long, value_name = "TIME", value_parser = super::parse::time, default_value = "10m")]
    webhook_retries: Duration,
    /// A fault to arm: NAME, NAME=3 (the next calls), NAME=5% (each call), hubspot:NAME=5%
    #[arg(long, value_name = "FAULT")]
    fault: Vec<FaultOrder>,
    /// The seed of everything that is left to chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop after this time, such as 30s; else at Ctrl-C
    #[arg(long, value_name = "TIME", value_parser = super::parse::time)]
    r#for: Option<Duration>,
    /// Make a folder with settings that lead to it, and the shipped mappings
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// Leave out the custom fields that the shipped mappings name
    #[arg(long)]
    bare: bool,
    /// List the faults and end
    #[arg(long)]
    list_faults: bool,
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let arguments: Arguments = arguments(matches)?;
    context.log_little();
    if arguments.list_faults {
        list_faults(&context.out);
        return Ok(Exit::Done);
    }
    context.block_on(until_stopped(&context.out, arguments))
}

fn list_faults(out: &Output) {
    if out.json() {
        let faults: Vec<_> = FAULTS
            .iter()
            .map(|spec| {
                let sides: Vec<&str> = spec.sides.iter().map(|side| side.word()).collect();
                serde_json::json!({ "name": spec.name, "about": spec.line, "sides": sides })
            })
            .collect();
        return out.value(&faults);
    }
    let mut table = out.table(["fault", "sides", "what happens"]);
    for spec in FAULTS {
        let sides = match spec.sides {
            [one] => one.word(),
            _ => "both",
        };
        table.add_row([spec.name, sides, spec.line]);
    }
    out.print_table(&table);
}

async fn until_stopped(out: &Output, arguments: Arguments) -> Result<Exit, Failure> {
    let sandbox = Sandbox::new(arguments.seed, SandboxClock::starting_at(Clock::system().now()));
    for order in &arguments.fault {
        let armed = sandbox.world().faults.arm_order(order);
        armed.map_err(|error| Failure::from_error(Exit::Usage, &error))?;
    }
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let options = ServeOptions {
        hubspot: local(arguments.hubspot_port),
        salesforce: local(arguments.salesforce_port),
        pubsub: local(arguments.pubsub_port),
        pubsub_tls: local(arguments.pubsub_tls_port),
        webhooks: true,
    };
    // Before the addresses are told: whoever reads them may ask for a stop at once.
    let mut stop = Stop::listen()?;
    if !arguments.bare {
        set_up(&sandbox);
    }
    let secret = push_webhooks(&sandbox, &arguments)?;
    let serving = serve(sandbox.clone(), options).await?;
    if let Some(folder) = &arguments.write {
        write_settings(folder, &serving, &secret, arguments.webhook_url.as_deref())?;
    }
    greet(out, &serving, &arguments);
    let time_is_up = async {
        match arguments.r#for {
            Some(length) => tokio::time::sleep(length).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = stop.asked() => {}
        () = time_is_up => {}
    }
    serving.shutdown().await;
    count(out, &sandbox);
    Ok(Exit::Done)
}

/// Points the private app's webhooks to where they are wanted, and returns its client secret.
fn push_webhooks(sandbox: &Sandbox, arguments: &Arguments) -> Result<String, Failure> {
    let secret = match &arguments.webhook_secret_file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| {
                Failure::of(Exit::Usage, format!("cannot read {}", path.display()), &error)
            })?
            .trim()
            .to_owned(),
        None => PRIVATE_APP_SECRET.to_owned(),
    };
    let now = sandbox.clock().now();
    let mut world = sandbox.world();
    let account = &mut world.hubspot;
    let span = i64::try_from(arguments.webhook_retries.as_millis()).unwrap_or(i64::MAX);
    account.webhooks.settings.retry_span = jiff::SignedDuration::from_millis(span);
    let app = account.webhooks.install(PRIVATE_APP, &secret);
    if let Some(url) = &arguments.webhook_url {
        let usage = |error: &WebhookError| Failure::from_error(Exit::Usage, error);
        app.set_target_url(Some(url)).map_err(|error| usage(&error))?;
        account.subscribe_to_everything(PRIVATE_APP, now).map_err(|error| usage(&error))?;
    }
    Ok(secret)
}

/// The variables by which Lockstep finds the sandbox. Its credentials are constants: there is
/// nothing behind them.
fn environment<'a>(
    hubspot: &'a str,
    salesforce: &'a str,
    pubsub: &'a str,
) -> [(&'static str, &'a str); 7] {
    [
        ("LOCKSTEP_HUBSPOT__BASE_URL", hubspot),
        ("LOCKSTEP_HUBSPOT__TOKEN", PRIVATE_TOKEN),
        ("LOCKSTEP_SALESFORCE__LOGIN_URL", salesforce),
        ("LOCKSTEP_SALESFORCE__AUTH", "client-credentials"),
        ("LOCKSTEP_SALESFORCE__CLIENT_ID", CLIENT_ID),
        ("LOCKSTEP_SALESFORCE__CLIENT_SECRET", CLIENT_SECRET),
        ("LOCKSTEP_SALESFORCE__EVENTS_URL", pubsub),
    ]
}

/// Settings, secrets and mappings that lead to the sandbox. Settings that are there are replaced:
/// the ports are others each time.
fn write_settings(
    folder: &Path,
    serving: &Serving,
    secret: &str,
    webhooks: Option<&str>,
) -> Result<(), Failure> {
    let (hubspot, salesforce) = (serving.hubspot_url(), serving.salesforce_url());
    let pubsub = serving.pubsub_tls_url();
    let text = format!(
        "# Made by `lockstep sandbox --write`: leads to the sandbox that was started last.\n\
         [directories]\nstate = \"state\"\nruntime = \"run\"\nmappings = \"mappings\"\n\n\
         [hubspot]\nbase_url = {hubspot:?}\ntoken_file = \"secrets/hubspot_token\"\n\n\
         [salesforce]\nlogin_url = {salesforce:?}\nauth = \"client-credentials\"\n\
         client_id = {CLIENT_ID:?}\nclient_secret_file = \"secrets/salesforce_client_secret\"\n\
         events_url = {pubsub:?}\nevents_ca_file = \"pubsub_certificate.pem\"\n\n\
         [polling]\nhubspot = \"2s\"\nsalesforce = \"2s\"\n"
    );
    let text = text + &webhooks.map(listener).unwrap_or_default();
    for (name, text) in [
        ("lockstep.toml", text.as_str()),
        ("secrets/hubspot_token", PRIVATE_TOKEN),
        ("secrets/salesforce_client_secret", CLIENT_SECRET),
        ("secrets/hubspot_client_secret", secret),
        ("pubsub_certificate.pem", &serving.certificate),
    ] {
        let path = folder.join(name);
        write_private(&path, text).map_err(|error| {
            Failure::of(Exit::Usage, format!("cannot write {}", path.display()), &error)
        })?;
    }
    write_mappings(&folder.join("mappings"))?;
    Ok(())
}

/// The daemon's end of the webhooks, where they go to this machine.
fn listener(target: &str) -> String {
    let address = target.parse::<http::Uri>().ok();
    let address = address.as_ref().and_then(|target| target.authority());
    let address = address.map(|address| address.as_str().replace("localhost", "127.0.0.1"));
    let Some(address) = address.filter(|address| address.parse::<SocketAddr>().is_ok()) else {
        return String::new();
    };
    format!(
        "\n[webhooks]\nlisten = {address:?}\npublic_url = {target:?}\n\
         secret_file = \"secrets/hubspot_client_secret\"\n"
    )
}

fn greet(out: &Output, serving: &Serving, arguments: &Arguments) {
    let (hubspot, salesforce) = (serving.hubspot_url(), serving.salesforce_url());
    let (pubsub, pubsub_tls) = (serving.pubsub_url(), serving.pubsub_tls_url());
    let written = arguments.write.as_deref();
    let environment = environment(&hubspot, &salesforce, &pubsub);
    if out.json() {
        let environment: std::collections::BTreeMap<_, _> = environment.into();
        return out.value(&serde_json::json!({
            "hubspot": { "url": hubspot },
            "salesforce": { "url": salesforce },
            "pubsub": { "url": pubsub, "tls_url": pubsub_tls, "certificate": serving.certificate },
            "webhooks": { "url": arguments.webhook_url },
            "environment": environment,
            "written": written,
        }));
    }
    out.line(format!("HubSpot     {hubspot}"));
    out.line(format!("Salesforce  {salesforce}"));
    out.line(format!("Pub/Sub     {pubsub}, with TLS {pubsub_tls}"));
    if let Some(url) = &arguments.webhook_url {
        out.line(format!("Webhooks    to {url}"));
    }
    match written {
        Some(folder) => out.line(format!(
            "\nFor Lockstep:\n\n  lockstep --config {}/lockstep.toml sync --once\n",
            folder.display()
        )),
        None => {
            out.line("\nFor Lockstep, in another terminal:\n");
            for (variable, value) in environment {
                out.line(format!("  export {variable}='{value}'"));
            }
            out.line("");
        }
    }
    out.line("Ctrl-C stops it.");
}

fn count(out: &Output, sandbox: &Sandbox) {
    let world = sandbox.world();
    if out.json() {
        let calls = |side| {
            let of = |purpose| world.calls.of(side, purpose);
            serde_json::json!({
                "total": world.calls.total(side),
                "reads": of(Purpose::Read),
                "writes": of(Purpose::Write),
                "tokens": of(Purpose::Token),
            })
        };
        let pushed: Vec<_> = world
            .calls
            .pushes()
            .iter()
            .map(|((side, what, outcome), count)| {
                serde_json::json!({
                    "side": side.word(), "what": what, "outcome": outcome, "count": count,
                })
            })
            .collect();
        return out.value(&serde_json::json!({
            "hubspot": calls(Side::HubSpot),
            "salesforce": calls(Side::Salesforce),
            "pushed": pushed,
        }));
    }
    let mut table = out.table(["", "calls", "reads", "writes", "sign-ins"]);
    for (side, name) in [(Side::HubSpot, "HubSpot"), (Side::Salesforce, "Salesforce")] {
        let of = |purpose| world.calls.of(side, purpose).to_string();
        table.add_row([
            name.to_owned(),
            world.calls.total(side).to_string(),
            of(Purpose::Read),
            of(Purpose::Write),
            of(Purpose::Token),
        ]);
    }
    out.print_table(&table);
    for ((side, what, outcome), count) in world.calls.pushes() {
        out.line(format!("pushed by {side}: {what}: {outcome} ({count} times)"));
    }
    for ((side, asked), count) in world.calls.unmodelled() {
        out.line(format!("not modelled: {side} {asked} ({count} times)"));
    }
}
