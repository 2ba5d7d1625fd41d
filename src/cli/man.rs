//! `lockstep man`

use clap::{ArgMatches, Args};

use super::{COMMANDS, Command, Context, Exit, Failure, arguments};

pub(super) const COMMAND: Command = Command {
    name: "man",
    about: "Print the manual page, or a command's own",
    long: "\
Examples:
  lockstep man > /usr/local/share/man/man1/lockstep.1
  lockstep man status > /usr/local/share/man/man1/lockstep-status.1",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// A command
    command: Option<String>,
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { command } = arguments(matches)?;
    let mut root = super::command();
    root.build();
    let page = match command.as_deref() {
        None => root,
        Some(name) => match root.find_subcommand(name) {
            Some(found) => found.clone(),
            None => {
                let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
                let message = format!("there is no command {name:?}");
                return Err(
                    Failure::new(Exit::Usage, message).hint(format!("one of {}", names.join(", ")))
                );
            }
        },
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(|error| Failure::of(Exit::Internal, "cannot make the manual page", &error))?;
    context.out.bytes(&text);
    Ok(Exit::Done)
}
