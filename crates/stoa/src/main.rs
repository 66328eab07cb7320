//! `stoa`: the command line, the server, and the embedded PostgreSQL under it.

mod application;
mod command;
mod command_line;
mod configuration;
mod data_directory;
mod databases;
mod dedicated;
mod demo;
mod doctor;
mod instances;
mod keys;
mod master_key;
mod migrate;
mod serve;
mod super_admins;
mod telemetry;
mod tokens;

use std::process::ExitCode;

use clap::Parser as _;

use command_line::failure::Failure;
use command_line::{Command, CommandLine, output};
use configuration::{Configuration, Environment};

fn main() -> ExitCode {
    let command = match CommandLine::try_parse() {
        // It speaks a protocol of its own and says by its status what became of the document.
        Ok(CommandLine {
            command: Command::ExtractDocument,
        }) => {
            return stoa_knowledge::child_main(std::io::stdin().lock(), std::io::stdout().lock());
        }
        Ok(CommandLine { command }) => command,
        Err(shown) if !shown.use_stderr() => {
            return exit(output::print(&shown.render().to_string()));
        }
        Err(wrong) => {
            output::tell(&command_line::usage_error(&wrong));
            return Failure::usage("").exit_code();
        }
    };
    exit(run(command))
}

fn exit(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::tell(&failure.to_string());
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::ExtractDocument => Ok(()),
        Command::SuperAdmin(command) => in_runtime(super_admins::run(command)),
        Command::Token(command) => in_runtime(tokens::run(command)),
        Command::Instance(command) => in_runtime(instances::run(command)),
        Command::Keys(command) => in_runtime(keys::run(command)),
        Command::Openapi => output::print(&stoa_web::openapi_json()),
        Command::Completions { shell } => command_line::completions(shell),
        Command::Serve { role } => in_runtime(serve::run(role)),
        Command::Demo(output) => in_runtime(serve::run_demo(output)),
        Command::Migrate(arguments) => in_runtime(migrate::run(arguments)),
        Command::Doctor(output) => in_runtime(doctor::run(output)),
    }
}

/// Runs a command's future to its end. The threads that it may have left blocked are not waited
/// for: what must be finished is waited for by the command itself.
fn in_runtime(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error("no_runtime", &error))?;
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    result
}

/// The configuration of a command that does one thing: only warnings and errors are logged.
fn configuration() -> Result<Configuration, Failure> {
    let configuration = parse_configuration()?;
    telemetry::start(&configuration.telemetry, Some("warn"));
    for warning in &configuration.warnings {
        output::tell(&format!("warning: {warning}"));
    }
    Ok(configuration)
}

fn parse_configuration() -> Result<Configuration, Failure> {
    Environment::read()
        .and_then(|environment| Configuration::parse(&environment))
        .map_err(|error| Failure::from_error("malformed_configuration", &error))
}
