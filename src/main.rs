//! Parses the command line, runs the command, maps its result to an exit code; nothing else.

use std::process::ExitCode;

use clap::Parser;
use infra::{commands::Cli, logging, ui};

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.verbosity());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            ui::failure::show(&format!("cannot start: {error}"), &[]);
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(cli.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            ui::failure::show(&failure.message, &failure.hints);
            ExitCode::from(failure.exit_code())
        }
    }
}
