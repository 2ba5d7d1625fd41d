//! `lockstep login`

use clap::{ArgMatches, Args, ValueEnum};

use super::{Command, Context, Exit, Failure, arguments};
use crate::daemon::{login, network};
use crate::record::Side;
use crate::settings::{HubSpotAuth, SalesforceAuth};

pub(super) const COMMAND: Command = Command {
    name: "login",
    about: "Log in at HubSpot or Salesforce in a browser, for OAuth",
    long: "\
Prints the address of a page, waits for the browser to come back to this machine, and keeps the
refresh token in the state directory, readable for its owner only. Needed once, for hubspot.auth =
\"oauth\" and for salesforce.auth = \"refresh\"; a private app's token and a certificate need none.

The address that the browser comes back to, http://localhost:8764/callback, has to be registered
with the app. On a server without a browser, forward the port first:
ssh -L 8764:localhost:8764 server

Examples:
  lockstep login hubspot
  lockstep login salesforce --port 9000",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

/// A side, as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SideWord {
    /// HubSpot
    #[value(name = "hubspot")]
    HubSpot,
    /// Salesforce
    Salesforce,
}

impl From<SideWord> for Side {
    fn from(word: SideWord) -> Self {
        match word {
            SideWord::HubSpot => Self::HubSpot,
            SideWord::Salesforce => Self::Salesforce,
        }
    }
}

#[derive(Debug, Args)]
struct Arguments {
    /// Where to log in
    #[arg(value_enum)]
    side: SideWord,
    /// The port on this machine that the browser comes back to; 0 for any free one
    #[arg(long, default_value_t = 8764)]
    port: u16,
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { side, port } = arguments(matches)?;
    context.log_little();
    let side = Side::from(side);
    let effective = context.settings()?;
    let out = &context.out;
    context.block_on(async {
        let http = network()?;
        let show = |page: &url::Url| {
            if out.json() {
                out.value(&serde_json::json!({ "page": page.as_str() }));
            } else {
                out.line(format!("Open this page in a browser:\n\n  {page}\n"));
            }
        };
        Ok(login(&effective, side, &http, port, show).await?)
    })?;
    let kept = effective.settings.directories.refresh_token(side);
    if out.json() {
        out.value(&serde_json::json!({ "side": side.key(), "kept": kept }));
        return Ok(Exit::Done);
    }
    out.line(format!("Logged in at {side}. The refresh token is in {}.", kept.display()));
    let settings = &effective.settings;
    let unused = match side {
        Side::HubSpot => settings.hubspot.auth != HubSpotAuth::OAuth,
        Side::Salesforce => settings.salesforce.auth != SalesforceAuth::Refresh,
    };
    if unused {
        let word = if side == Side::HubSpot { "oauth" } else { "refresh" };
        out.line(format!("To use it, set {}.auth = {word:?} in the settings.", side.key()));
    }
    Ok(Exit::Done)
}
