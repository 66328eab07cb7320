//! `with-postgres [--data-dir DIR] COMMAND…`: runs a command with a PostgreSQL of its own.
//!
//! The command finds the superuser's address in `STOA_TEST_DATABASE_URL` and PostgreSQL's directory
//! in `STOA_POSTGRES_DIR`. The server is stopped and everything removed when the command ends, also
//! after SIGINT and SIGTERM; with `--data-dir` the data is kept there. The exit status is the
//! command's.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret;
use stoa_domain::Random;
use stoa_embedded_postgres::{Durability, EmbeddedPostgres, Settings};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

const PREFIX: &str = "stoa-with-postgres-";

/// How long the command may take to end after each stronger signal.
const PATIENCE: Duration = Duration::from_secs(15);

/// A leftover this old belongs to a run that was killed.
const LEFTOVER_AGE: Duration = Duration::from_secs(3600);

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1).peekable();
    let mut data_dir = None;
    if arguments
        .next_if(|argument| argument == "--data-dir")
        .is_some()
    {
        data_dir = arguments.next().map(PathBuf::from);
    }
    let Some(program) = arguments.next() else {
        say("usage: with-postgres [--data-dir DIR] COMMAND [ARGUMENT…]");
        return ExitCode::from(2);
    };
    match run(data_dir, program, arguments.collect()).await {
        Ok(status) => ExitCode::from(code_of(status)),
        Err(failure) => {
            say(&format!("with-postgres: {}", chain(failure.as_ref())));
            ExitCode::FAILURE
        }
    }
}

async fn run(
    data_dir: Option<PathBuf>,
    program: OsString,
    arguments: Vec<OsString>,
) -> Result<ExitStatus, Failure> {
    // Listening first: a signal during the start must not leave a directory behind.
    let mut signals = Signals::listen()?;
    let Some(data_dir) = data_dir else {
        remove_leftovers();
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
        let ended = serve(throwaway(dir.path()), program, arguments, &mut signals).await;
        remove(dir)?;
        return ended;
    };
    serve(Settings::new(data_dir), program, arguments, &mut signals).await
}

fn throwaway(dir: &Path) -> Settings {
    let mut settings = Settings::new(dir);
    settings.durability = Durability::Throwaway;
    // Test runners start many tests at once, each with pools of its own.
    settings.max_connections = 400;
    settings
}

async fn serve(
    mut settings: Settings,
    program: OsString,
    arguments: Vec<OsString>,
    signals: &mut Signals,
) -> Result<ExitStatus, Failure> {
    settings.binaries = env::var_os("STOA_POSTGRES_DIR").map(Into::into);
    let random = Random::system();
    let postgres = tokio::select! {
        started = EmbeddedPostgres::start(settings, &random) => started?,
        number = signals.next() => return Ok(ExitStatus::from_raw(number)),
    };
    let ended = match command(&postgres, &program, arguments).spawn() {
        Ok(child) => wait(child, signals).await,
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("cannot run {}: {error}", program.display()),
        )),
    };
    postgres.stop().await?;
    Ok(ended?)
}

/// Removes the directory, which a start as root may have made a link to where the data really is.
fn remove(dir: TempDir) -> io::Result<()> {
    if !dir.path().is_symlink() {
        return dir.close();
    }
    let real = fs::canonicalize(dir.path())?;
    fs::remove_file(dir.path())?;
    fs::remove_dir_all(real)
}

fn command(postgres: &EmbeddedPostgres, program: &OsStr, arguments: Vec<OsString>) -> Command {
    let bin = postgres.bin_dir();
    let url = postgres.superuser_url("postgres");
    // Without parameters, so that tests can add theirs.
    let url = url.expose_secret().split('?').next().unwrap_or_default();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("STOA_POSTGRES_DIR", bin.parent().unwrap_or(bin))
        .env("STOA_TEST_DATABASE_URL", url);
    command
}

/// Waits for the command. After a signal it is given time to end by itself, then less and less.
async fn wait(mut child: Child, signals: &mut Signals) -> io::Result<ExitStatus> {
    let first = tokio::select! {
        status = child.wait() => return status,
        number = signals.next() => number,
    };
    // A terminal sends SIGINT to the command as well, and test runners take a second one for
    // impatience; SIGTERM comes to us alone.
    if first == Signal::TERM.as_raw() {
        send(&child, Signal::TERM);
    }
    for next in [Signal::TERM, Signal::KILL] {
        if let Ok(status) = tokio::time::timeout(PATIENCE, child.wait()).await {
            return status;
        }
        send(&child, next);
    }
    child.wait().await
}

fn send(child: &Child, signal: Signal) {
    if let Some(pid) = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
    {
        // The only failure is that it has just ended.
        let _ = kill_process(pid, signal);
    }
}

struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT.as_raw(),
            _ = self.terminate.recv() => Signal::TERM.as_raw(),
        }
    }
}

/// Removes what runs left that were killed and could not clean up. What cannot be removed stays.
fn remove_leftovers() {
    for entry in fs::read_dir(env::temp_dir())
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_leftover(&path) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn is_leftover(dir: &Path) -> bool {
    let lock = dir.join("lock");
    let old = fs::metadata(&lock)
        .and_then(|meta| meta.modified())
        .is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > LEFTOVER_AGE));
    old && File::open(&lock).is_ok_and(|file| file.try_lock().is_ok())
}

fn code_of(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|number| 128 + number));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn say(line: &str) {
    // Without standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "{line}");
}
