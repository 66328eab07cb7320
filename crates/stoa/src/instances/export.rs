//! `stoa instance export`: everything of an instance, for whoever holds the platform's machine.

use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use stoa_app::export::{self, Export, ExportError};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::Which;
use crate::command::on_app;
use crate::command_line::failure::Failure;
use crate::command_line::output::{OutputArguments, tell};
use crate::command_line::progress::Progress;

/// Standard output, by its usual name.
const STANDARD_OUTPUT: &str = "-";

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    #[command(flatten)]
    which: Which,
    /// The file to write, or `-` for standard output
    #[arg(long, default_value = STANDARD_OUTPUT)]
    output: PathBuf,
    /// Why, for the audit log and for the client's own access log
    #[arg(long, default_value = "exported on the command line")]
    reason: String,
    #[command(flatten)]
    shown: OutputArguments,
}

/// What is printed when the archive went into a file.
#[derive(Serialize)]
struct Exported {
    file: String,
    bytes: u64,
}

pub(super) async fn run(arguments: ExportArguments) -> Result<(), Failure> {
    let ExportArguments {
        which,
        output,
        reason,
        shown,
    } = arguments;
    let to_standard_output = output == Path::new(STANDARD_OUTPUT);
    if to_standard_output && io::stdout().is_terminal() {
        return Err(Failure::usage("an archive is nothing for a terminal")
            .hint("name a file with --output, or send standard output into one"));
    }
    let bytes = on_app(async |app, caller| {
        let id = which.find(app, caller).await?.id;
        let export = export::by_operator(app, caller, id, &reason)
            .await
            .map_err(|error| failure(&error))?;
        if to_standard_output {
            copy(export, standard_output()?).await
        } else {
            into_file(export, &output).await
        }
    })
    .await?;
    if to_standard_output {
        tell(&format!("{bytes} bytes were written."));
        return Ok(());
    }
    let exported = Exported {
        file: output.display().to_string(),
        bytes,
    };
    shown.print(&exported, |Exported { file, bytes }| {
        format!("{bytes} bytes were written to {file}.")
    })
}

/// Standard output as a file, which is written beside everything else.
fn standard_output() -> Result<tokio::fs::File, Failure> {
    let output = io::stdout().as_fd().try_clone_to_owned();
    let output = output.map_err(|error| not_written(&error))?;
    Ok(tokio::fs::File::from_std(output.into()))
}

/// Writes beside the file and takes its place when the archive is whole.
async fn into_file(export: Export, path: &Path) -> Result<u64, Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let file = private_file(&beside).map_err(|error| not_written(&error))?;
    let bytes = match copy(export, tokio::fs::File::from_std(file)).await {
        Ok(bytes) => bytes,
        Err(failure) => {
            tokio::fs::remove_file(&beside).await.ok();
            return Err(failure);
        }
    };
    let moved = tokio::fs::rename(&beside, path).await;
    moved.map_err(|error| not_written(&error))?;
    Ok(bytes)
}

/// A new file that nobody else reads: it holds conversations.
fn private_file(path: &Path) -> io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

async fn copy(mut export: Export, mut to: impl AsyncWrite + Unpin) -> Result<u64, Failure> {
    let mut progress = Progress::new("Exporting");
    let mut bytes = 0_u64;
    while let Some(piece) = export.next().await {
        let piece = piece.map_err(|error| failure(&error))?;
        bytes += u64::try_from(piece.len()).unwrap_or_default();
        to.write_all(&piece)
            .await
            .map_err(|error| not_written(&error))?;
        progress.show(|| format!("{} MiB", bytes >> 20));
    }
    to.flush().await.map_err(|error| not_written(&error))?;
    Ok(bytes)
}

fn not_written(error: &io::Error) -> Failure {
    Failure::from_error("cannot_write", error).hint("look at the path, its rights and the disk")
}

fn failure(error: &ExportError) -> Failure {
    let failure = |code| Failure::from_error(code, error);
    match error {
        ExportError::NotFound => failure("not_found"),
        ExportError::UnderWay => failure("export_under_way"),
        ExportError::Database(_) => failure("database").hint("`stoa doctor`, or the client, can say whether its database can be reached"),
        ExportError::Registry(_) | ExportError::Platform(_) => failure("platform_database"),
        ExportError::Disk(_) => failure("disk").hint("a table's rows are kept in the directory of TMPDIR for a moment: it needs as much room as the largest one takes"),
        ExportError::Entry(_) | ExportError::Unread | ExportError::CutOff => failure("export"),
    }
}
