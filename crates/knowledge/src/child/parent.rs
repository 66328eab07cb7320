//! The parent's side: start, feed, read, judge how it ended.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{Answer, ChildSettings, Limits, Prepared, Request};
use crate::{ExtractError, Extracted, Kind, SplitSettings};

/// How much of what the child complains is looked at, in bytes.
const COMPLAINT_BYTES: usize = 4096;

/// Signal numbers, the same on Linux (x86 and ARM), the BSDs and macOS.
const SIGABRT: i32 = 6;
const SIGXCPU: i32 = 24;

/// Extracts a document's text in a child process.
///
/// Dropping the future kills the child. How many run at once is the caller's to bound.
///
/// # Errors
/// What is wrong with the document, or which limit it hit; see [`ExtractError`].
pub async fn extract_in_child(
    child: &ChildSettings,
    kind: Kind,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    Ok(read_in_child(child, kind, None, bytes, limits)
        .await?
        .extracted)
}

/// Extracts a document's text and cuts it into passages, both in a child process: cutting parses
/// Markdown that is no more to be trusted than the document was.
///
/// Dropping the future kills the child. How many run at once is the caller's to bound.
///
/// # Errors
/// What is wrong with the document, or which limit it hit; see [`ExtractError`].
pub async fn prepare_in_child(
    child: &ChildSettings,
    kind: Kind,
    bytes: &[u8],
    split: &SplitSettings,
    limits: &Limits,
) -> Result<Prepared, ExtractError> {
    read_in_child(child, kind, Some(split.clone()), bytes, limits).await
}

async fn read_in_child(
    settings: &ChildSettings,
    kind: Kind,
    split: Option<SplitSettings>,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Prepared, ExtractError> {
    if bytes.len() > limits.input_bytes {
        return Err(ExtractError::TooLarge {
            limit_bytes: limits.input_bytes,
        });
    }
    let request = request_line(kind, split, limits)?;
    let child = start(settings).map_err(|source| ExtractError::Unavailable { source })?;
    let conversation = converse(child, &request, bytes, limits.answer_bytes);
    match tokio::time::timeout(limits.wall_clock, conversation).await {
        Ok(Ok(ended)) => judge(&ended),
        Ok(Err(error)) => Err(crashed(format!("reading its answer: {error}"))),
        // Dropping the conversation killed the child.
        Err(_) => Err(ExtractError::TimedOut),
    }
}

fn request_line(
    kind: Kind,
    split: Option<SplitSettings>,
    limits: &Limits,
) -> Result<Vec<u8>, ExtractError> {
    let request = Request {
        kind,
        split,
        memory_bytes: limits.memory_bytes,
        cpu_seconds: limits.cpu_seconds,
        input_bytes: limits.input_bytes,
    };
    let mut line = serde_json::to_vec(&request).map_err(|error| ExtractError::Unavailable {
        source: error.into(),
    })?;
    line.push(b'\n');
    Ok(line)
}

fn start(settings: &ChildSettings) -> io::Result<Child> {
    Command::new(&settings.program)
        .args(&settings.args)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// How a child ended and what it said.
struct Ended {
    status: ExitStatus,
    answer: Vec<u8>,
    answer_is_whole: bool,
    complaint: Vec<u8>,
}

async fn converse(
    mut child: Child,
    request: &[u8],
    bytes: &[u8],
    answer_bytes: usize,
) -> io::Result<Ended> {
    let stdin = child.stdin.take();
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // A child that ends early closes the pipe; its status says why, not this error.
            let _ = stdin.write_all(request).await;
            let _ = stdin.write_all(bytes).await;
            let _ = stdin.shutdown().await;
        }
        Ok(())
    };
    let (answer, complaint, ()) = tokio::try_join!(
        read_at_most(stdout, answer_bytes),
        read_at_most(stderr, COMPLAINT_BYTES),
        feed,
    )?;
    // A child that says more than it may is stopped by the closed pipe or by this.
    if answer.len() > answer_bytes {
        child.start_kill()?;
    }
    Ok(Ended {
        status: child.wait().await?,
        answer_is_whole: answer.len() <= answer_bytes,
        answer,
        complaint,
    })
}

/// Reads to the end, or one byte beyond the bound and then closes the pipe.
async fn read_at_most(from: Option<impl AsyncRead + Unpin>, bound: usize) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    if let Some(from) = from {
        let most = u64::try_from(bound).unwrap_or(u64::MAX).saturating_add(1);
        from.take(most).read_to_end(&mut read).await?;
    }
    Ok(read)
}

fn judge(ended: &Ended) -> Result<Prepared, ExtractError> {
    if !ended.answer_is_whole {
        return Err(crashed("its answer was too long".to_owned()));
    }
    if ended.status.success() {
        return match serde_json::from_slice(&ended.answer) {
            Ok(Answer::Read(prepared)) => Ok(prepared),
            Ok(Answer::Failed(error)) => Err(error),
            // Where, not what: the message could quote the document.
            Err(error) => Err(crashed(format!(
                "its answer was no answer (line {}, column {})",
                error.line(),
                error.column()
            ))),
        };
    }
    let complaint = String::from_utf8_lossy(&ended.complaint);
    match ended.status.signal() {
        Some(SIGXCPU) => Err(ExtractError::TimedOut),
        Some(SIGABRT) if complaint.contains("memory allocation of") => {
            Err(ExtractError::OutOfMemory)
        }
        _ => Err(crashed(describe(ended.status, &complaint))),
    }
}

/// How it ended and, for a panic, where; never the panic's message, which may quote the document.
fn describe(status: ExitStatus, complaint: &str) -> String {
    let place = complaint
        .lines()
        .find_map(|line| line.split_once("panicked at "))
        .map(|(_, place)| place.trim_end_matches(':'));
    match place {
        Some(place) => format!("{status}, panicked at {place}"),
        None if complaint.contains("overflowed its stack") => format!("{status}, stack overflow"),
        None => status.to_string(),
    }
}

fn crashed(detail: String) -> ExtractError {
    tracing::debug!(detail, "a document's reader failed");
    ExtractError::Crashed { detail }
}
