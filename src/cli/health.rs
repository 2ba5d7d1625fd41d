//! `lockstep health`

use clap::{ArgMatches, Args};

use super::ask::shape;
use super::output::{Tone, paint};
use super::status::{exit, health};
use super::{Command, Context, Exit, Failure, arguments};
use crate::daemon::control::{AskError, Request, ask};
use crate::daemon::status::Health;

pub(super) const COMMAND: Command = Command {
    name: "health",
    about: "Say in a word whether all is well, for monitoring",
    long: "\
Prints ok, degraded or down, and why. The exit code is 0, 1 or 2, as monitoring plug-ins have it. The
loopback listener (settings, [http]) answers the same at /health.

Examples:
  lockstep health
  lockstep health --json",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments {} = arguments(matches)?;
    context.log_little();
    let settings = context.settings()?.settings;
    let socket = settings.directories.socket();
    let answer = context.block_on(async { Ok(ask(&socket, &Request::Health).await) })?;
    let out = &context.out;
    let answer = match answer {
        Ok(answer) => answer,
        Err(AskError::NotRunning(path)) => {
            // An answer like any other: monitoring asks because of this very case.
            let what = format!("the service does not run: nobody answers on {}", path.display());
            if out.json() {
                let problem = serde_json::json!({ "state": "down", "what": what, "hint": null });
                out.value(&serde_json::json!({ "state": "down", "problems": [problem] }));
            } else {
                out.line(paint(Tone::Bad, "down"));
                out.line(format!("  {what}"));
            }
            return Ok(Exit::Usage);
        }
        Err(error) => return Err(error.into()),
    };
    let told: Health = shape(answer)?;
    if out.json() {
        out.value(&told);
    } else {
        health(out, &told);
    }
    Ok(exit(told.state))
}
