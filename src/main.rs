//! Parses the command line, runs it, and turns its end into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    lockstep::cli::main(std::env::args_os())
}
