//! `lockstep completions`

use clap::{ArgMatches, Args};
use clap_complete::Shell;

use super::{Command, Context, Exit, Failure, arguments};

pub(super) const COMMAND: Command = Command {
    name: "completions",
    about: "Print a shell's completions",
    long: "\
Examples:
  lockstep completions bash > /usr/share/bash-completion/completions/lockstep
  lockstep completions zsh > /usr/local/share/zsh/site-functions/_lockstep
  lockstep completions fish > ~/.config/fish/completions/lockstep.fish",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { shell } = arguments(matches)?;
    // Into memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::command(), "lockstep", &mut script);
    context.out.bytes(&script);
    Ok(Exit::Done)
}
