//! `lockstep webhooks`

use std::collections::BTreeMap;

use clap::{ArgMatches, Args, Subcommand};
use serde_json::json;

use super::output::{Output, Tone, paint};
use super::{Command, Context, Exit, Failure, arguments};
use crate::daemon::webhooks::{Need, Standing, Subscriptions, SubscriptionsError};
use crate::daemon::webhooks::{register, subscriptions};
use crate::daemon::{mappings_of, network};

pub(super) const COMMAND: Command = Command {
    name: "webhooks",
    about: "Show of what HubSpot tells us, and subscribe to the rest",
    long: "\
Word of a change reaches Lockstep by HubSpot's webhooks where the app is subscribed to them; polls
find the rest, later. The mappings say what is needed: each property that has a say, and creation,
deletion, merge, restore and erasure of each object.

What an app is subscribed to can be read and changed from here for a public app: set hubspot.app_id
and give the developer account's key (webhooks.developer_key_file). A private app's subscriptions
stand on its page in HubSpot, and a project app's in a file: `register` says what to click, and
prints the file.

The exit code is 0 where everything that can be told is told, 1 where something is missing or cannot
be seen from here.

Examples:
  lockstep webhooks status
  lockstep webhooks status --json
  lockstep webhooks register
  lockstep webhooks register --project > src/app/webhooks/webhooks-hsmeta.json",
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
    /// Show what is subscribed beside what the mappings need
    Status,
    /// Subscribe to what is missing, or say how
    Register {
        /// Print the webhooks-hsmeta.json of a project app instead
        #[arg(long)]
        project: bool,
    },
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { action } = arguments(matches)?;
    context.log_little();
    let effective = context.settings()?;
    let mappings = mappings_of(&effective.settings)?;
    let out = &context.out;
    context.block_on(async {
        let http = network()?;
        let found = match action {
            Action::Register { project: true } => None,
            _ => Some(subscriptions(&effective, &mappings, &http).await?),
        };
        match (action, found) {
            (Action::Register { project: true }, _) => {
                // Whatever key there is: the file is for apps that have none.
                let found = Subscriptions::needed(&effective, &mappings);
                out.text(&format!("{:#}\n", found.project()));
                Ok(Exit::Done)
            }
            (Action::Register { .. }, Some(found)) if !found.known => {
                if out.json() {
                    out.value(&json!({ "done": [], "by_hand": found }));
                } else {
                    by_hand(out, &found);
                }
                Ok(Exit::Attention)
            }
            (Action::Register { .. }, _) => {
                let done = register(&effective, &mappings, &http).await?.unwrap_or_default();
                if out.json() {
                    out.value(&json!({ "done": done }));
                } else if done.is_empty() {
                    out.line("everything that the mappings need is subscribed");
                }
                if !out.json() {
                    done.iter().for_each(|line| out.line(line));
                }
                Ok(Exit::Done)
            }
            (Action::Status, found) => {
                let Some(found) = found else { return Ok(Exit::Internal) };
                if out.json() {
                    out.value(&found);
                } else {
                    told(out, &found);
                }
                Ok(if found.complete() { Exit::Done } else { Exit::Attention })
            }
        }
    })
}

fn told(out: &Output, found: &Subscriptions) {
    match (&found.target, &found.wanted_target) {
        (Some(target), _) if !found.is_elsewhere() => {
            out.line(format!("webhooks are sent to {target}"));
        }
        (target, Some(wanted)) if found.known => out.line(paint(
            Tone::Warn,
            &format!(
                "webhooks are sent to {}, not to {wanted}: `lockstep webhooks register`",
                target.as_deref().unwrap_or("nowhere")
            ),
        )),
        (_, Some(wanted)) => out.line(format!("webhooks should be sent to {wanted}")),
        (_, None) => out.line("webhooks.public_url is not set: nothing says where to send"),
    }
    let mut table = out.table(["event", "property", "for", "state"]);
    for need in &found.needs {
        let tone = match need.standing {
            Standing::Subscribed => Tone::Good,
            Standing::Inactive | Standing::Missing => Tone::Bad,
            Standing::Unknown | Standing::NeverTold => Tone::Dim,
        };
        let mappings: Vec<&str> = need.mappings.iter().map(String::as_str).collect();
        table.add_row([
            need.event.clone(),
            need.property.clone().unwrap_or_else(|| "-".to_owned()),
            mappings.join(", "),
            paint(tone, need.standing.word()),
        ]);
    }
    out.print_table(&table);
    if found.unneeded > 0 {
        out.line(format!("{} other subscriptions, which no mapping needs", found.unneeded));
    }
    if !found.known {
        out.line(
            "what the app is subscribed to cannot be seen without hubspot.app_id and the developer \
             account's key; `lockstep webhooks register` says what to click",
        );
    } else if !found.complete() {
        out.line("`lockstep webhooks register` subscribes to what is missing");
    }
}

/// What a person does where the API cannot.
fn by_hand(out: &Output, found: &Subscriptions) {
    let target = found.wanted_target.as_deref().unwrap_or(
        "the public address of this listener, https://…/webhooks/hubspot (and set \
         webhooks.public_url to it)",
    );
    out.line(format!(
        "\
A private app's webhooks are set up on its page in HubSpot:
  1. Settings > Integrations > Private Apps (Legacy apps): choose the app, Edit app, Webhooks.
  2. Target URL: {target}
  3. Create subscription, and choose for each object:"
    ));
    for (object, needs) in by_object(&found.needs) {
        out.line(format!("     {}", paint(Tone::Strong, object)));
        for (event, properties) in needs {
            let properties: Vec<&str> = properties.into_iter().flatten().collect();
            let which = if properties.is_empty() {
                String::new()
            } else {
                format!(": {}", properties.join(", "))
            };
            out.line(format!("       {event}{which}"));
        }
    }
    out.line(
        "\
  4. Commit changes. HubSpot takes up to five minutes.
  5. The app's client secret (Auth) belongs into the file of webhooks.secret_file.

A project app's stand in a file of the project: `lockstep webhooks register --project` prints it.
A public app's are subscribed from here: set hubspot.app_id and webhooks.developer_key_file.",
    );
}

type ByEvent<'a> = BTreeMap<&'a str, Vec<Option<&'a str>>>;

fn by_object(needs: &[Need]) -> BTreeMap<&str, ByEvent<'_>> {
    let mut objects: BTreeMap<&str, ByEvent<'_>> = BTreeMap::new();
    for need in needs.iter().filter(|need| need.standing != Standing::NeverTold) {
        let event = need.event.split_once('.').map_or(need.event.as_str(), |(_, event)| event);
        let events = objects.entry(&need.object).or_default();
        events.entry(event).or_default().push(need.property.as_deref());
    }
    objects
}

impl From<SubscriptionsError> for Failure {
    fn from(error: SubscriptionsError) -> Self {
        match error {
            SubscriptionsError::Connect(error) => error.into(),
            SubscriptionsError::Platform(error) => error.into(),
            SubscriptionsError::NoTarget => Self::from_error(Exit::Usage, &error).hint(
                "set webhooks.public_url to the address that HubSpot can reach this listener by",
            ),
        }
    }
}
