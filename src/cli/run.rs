//! `lockstep run`

use clap::{ArgMatches, Args};

use super::{Command, Context, Exit, Failure, arguments};
use crate::daemon::{self, ServiceError, Trouble};

pub(super) const COMMAND: Command = Command {
    name: "run",
    about: "Run the service in the foreground, as systemd does",
    long: "\
Signs in on both sides, takes in what exists, then keeps both sides in agreement until it is told to
end (SIGTERM, Ctrl-C): it finishes what is under way and closes its journal. SIGHUP reads the mapping
files again; wrong ones leave the last good ones in force. Tells systemd when it is ready, what it is
doing, and that it lives.

Examples:
  lockstep run
  lockstep run --config /etc/lockstep/emea/lockstep.toml -v",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments {} = arguments(matches)?;
    let effective = context.settings()?;
    context.log_by(&effective.settings.logs)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(Exit::Internal, "cannot start the runtime", &error))?;
    runtime.block_on(daemon::run(&effective))?;
    // A call that hangs must not hold up the end.
    runtime.shutdown_background();
    Ok(Exit::Done)
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Platform(error) => error.into(),
            Trouble::Journal(error) => error.into(),
            Trouble::Setup { message, hint } => Self::new(Exit::Usage, message).hint(hint),
        }
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Unreadable(error) => error.into(),
            ServiceError::Mappings(report) => Self::new(Exit::Usage, report.to_string())
                .hint(format!("`lockstep check` shows them:\n{}", report.plain())),
            ServiceError::NoMappings(_) => Self::from_error(Exit::Usage, &error)
                .hint("copy one of the mappings that come with Lockstep there, and change it"),
            ServiceError::Connect(error) => error.into(),
            ServiceError::Journal(error) => error.into(),
            ServiceError::Trouble(trouble) => trouble.into(),
            ServiceError::Refused(refused) => refused.into(),
            ServiceError::Socket { .. } => Self::from_error(Exit::Usage, &error)
                .hint("is another `lockstep run` at work? see directories.runtime in the settings"),
            ServiceError::Http { .. } => Self::from_error(Exit::Usage, &error)
                .hint("choose another port, or leave http.listen out"),
            ServiceError::Webhooks(ref why) => {
                Self::from_error(Exit::Usage, &error).hint(why.hint())
            }
            ServiceError::HttpOpen { .. } => Self::from_error(Exit::Usage, &error).hint(
                "let it listen on 127.0.0.1, or put a token into a file and set http.token_file to \
                 its path (openssl rand -base64 24)",
            ),
            ServiceError::HttpTokenShort { .. } => Self::from_error(Exit::Usage, &error)
                .hint("make one with `openssl rand -base64 24`"),
            ServiceError::HttpToken(error) => error.into(),
            ServiceError::Receivers(_) => Self::from_error(Exit::Usage, &error)
                .hint("mappings/README.md, Notices, shows what it holds"),
            ServiceError::System { .. } => Self::from_error(Exit::Internal, &error),
        }
    }
}
