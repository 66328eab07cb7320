//! The child's side: give up rights, read, answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{Answer, Prepared, Request};
use crate::{ExtractError, extract, split};

/// The longest request line, in bytes.
const MAX_REQUEST_LINE: u64 = 4096;

/// Open files that the child may have: the three it was born with, and a few to spare.
const OPEN_FILES: u64 = 8;

/// Status of a child that was not asked properly or could not answer.
const NOT_SERVED: u8 = 65;

/// What the product's hidden subcommand calls, and then exits with what this returns.
///
/// Call it first thing in `main`, before a runtime or any other thread is started: stacks of
/// threads count as memory, and the limits hold for all of the process from then on.
pub fn child_main(stdin: impl Read, stdout: impl Write) -> ExitCode {
    serve_request(stdin, stdout, |request, document| {
        let extracted = extract(request.kind, document)?;
        let passages = request
            .split
            .as_ref()
            .map(|settings| split(&extracted.markdown, settings))
            .unwrap_or_default();
        Ok(Prepared {
            extracted,
            passages,
        })
    })
}

/// [`child_main`] with another reader in it: takes the request, lowers this process's limits, reads
/// the document, lets `read` work on it, and answers.
pub fn serve_request(
    stdin: impl Read,
    stdout: impl Write,
    read: impl FnOnce(&Request, &[u8]) -> Result<Prepared, ExtractError>,
) -> ExitCode {
    match serve(stdin, stdout, read) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(NOT_SERVED),
    }
}

fn serve(
    stdin: impl Read,
    mut stdout: impl Write,
    read: impl FnOnce(&Request, &[u8]) -> Result<Prepared, ExtractError>,
) -> io::Result<()> {
    let mut stdin = BufReader::new(stdin);
    let mut line = Vec::new();
    (&mut stdin)
        .take(MAX_REQUEST_LINE)
        .read_until(b'\n', &mut line)?;
    let request: Request = serde_json::from_slice(&line)?;
    lower_limits(&request)?;

    let most = u64::try_from(request.input_bytes).unwrap_or(u64::MAX);
    let mut document = Vec::new();
    stdin
        .take(most.saturating_add(1))
        .read_to_end(&mut document)?;
    let answer = if document.len() > request.input_bytes {
        Err(ExtractError::TooLarge {
            limit_bytes: request.input_bytes,
        })
    } else {
        read(&request, &document)
    };
    let answer = answer.map_or_else(Answer::Failed, Answer::Read);
    serde_json::to_writer(io::BufWriter::new(&mut stdout), &answer)?;
    stdout.flush()
}

/// Lowers what this process may use, for good. Pipes are no files, so it can still answer when it
/// may write none.
fn lower_limits(request: &Request) -> io::Result<()> {
    // The kernel says SIGXCPU at the soft limit, which tells this end from others, and SIGKILL at
    // the hard one.
    let cpu = request.cpu_seconds;
    let limits = [
        (Resource::As, request.memory_bytes, request.memory_bytes),
        (Resource::Cpu, cpu, cpu.saturating_add(1)),
        (Resource::Core, 0, 0),
        (Resource::Fsize, 0, 0),
        (Resource::Nofile, OPEN_FILES, OPEN_FILES),
    ];
    for (resource, soft, hard) in limits {
        let limit = Rlimit {
            current: Some(soft),
            maximum: Some(hard),
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}
