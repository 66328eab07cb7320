//! The command line: what may be asked for, and how results and failures are told.

pub(crate) mod ask;
pub(crate) mod failure;
pub(crate) mod output;
pub(crate) mod progress;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use failure::Failure;
use output::OutputArguments;

use crate::instances::InstanceCommand;
use crate::keys::KeysCommand;
use crate::migrate::MigrateArguments;
use crate::serve::Role;
use crate::super_admins::SuperAdminCommand;
use crate::tokens::TokenCommand;

/// Chatbots for many clients, each in its own database.
///
/// Settings come from the environment and from the file `.env`. Results go to standard output,
/// everything else to standard error. The exit status is 0 when done, 1 when it failed and 2 when
/// the usage was wrong.
#[derive(Debug, Parser)]
#[command(name = "stoa", version, disable_help_subcommand = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server: pages, APIs and background work
    Serve {
        /// What this process does
        #[arg(long, value_enum, default_value = "all")]
        role: Role,
    },
    /// Serve on the embedded PostgreSQL with a super admin and a client that has documents
    Demo(OutputArguments),
    /// Bring the platform database up to date, and with --clients every client's
    Migrate(MigrateArguments),
    /// Check configuration, databases, keys and clocks, and say how to mend what fails
    Doctor(OutputArguments),
    /// The people who run the platform
    #[command(subcommand)]
    SuperAdmin(SuperAdminCommand),
    /// Tokens for the platform API
    #[command(subcommand)]
    Token(TokenCommand),
    /// Clients' chatbots
    #[command(subcommand)]
    Instance(InstanceCommand),
    /// The master keys that seal every secret
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Print the OpenAPI 3.1 document
    Openapi,
    /// Print a script that completes commands in a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: CompletionShell,
    },
    /// Read a document on standard input; what a server starts in a process of its own
    #[command(hide = true)]
    ExtractDocument,
}

/// The shells whose completions are kept working.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum CompletionShell {
    Bash,
    Zsh,
    Fish,
}

/// The script that completes our commands in a shell.
pub(crate) fn completions(shell: CompletionShell) -> Result<(), Failure> {
    let shell = match shell {
        CompletionShell::Bash => Shell::Bash,
        CompletionShell::Zsh => Shell::Zsh,
        CompletionShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "stoa", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// What clap says about a command line that cannot be carried out, in the form of our failures.
pub(crate) fn usage_error(error: &clap::Error) -> String {
    let text = error.render().to_string();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return format!("{}\n\nerror: usage: a command is missing", text.trim_end());
    }
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    format!("error: usage: {}", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_commands_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
