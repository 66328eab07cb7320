//! Processes beside this one: started, found by the address they announce, and what they use.

use std::ffi::OsStr;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// How long a process may take to start, and to end when asked to.
const PATIENCE: Duration = Duration::from_secs(20);

/// Time in `/proc/PID/stat` is in hundredths of a second, whatever the kernel's own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// How often a program is looked at that runs to its end.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running server. Killed when dropped.
pub(crate) struct Process {
    /// Where it listens, such as `http://127.0.0.1:41234`.
    pub(crate) base: String,
    child: Child,
}

impl Process {
    /// This program as another of its parts, which says where it listens.
    pub(crate) async fn of_ours(arguments: &[&str], secrets: &[(&str, &str)]) -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut child = Command::new(&program)
            .args(arguments)
            .envs(secrets.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = child.stdout.take().context("no standard output")?;
        let mut line = String::new();
        let mut lines = BufReader::new(output);
        tokio::time::timeout(PATIENCE, lines.read_line(&mut line))
            .await
            .context("it does not say where it listens")??;
        let address: SocketAddr = line
            .trim()
            .parse()
            .with_context(|| format!("{} does not start", arguments.join(" ")))?;
        Ok(Self {
            base: format!("http://{address}"),
            child,
        })
    }

    /// A process that listens where it was told to.
    pub(crate) fn listening_at(base: String, mut command: Command) -> Result<Self> {
        let child = command.kill_on_drop(true).spawn();
        let child = child.with_context(|| format!("cannot start {:?}", program(&command)))?;
        Ok(Self { base, child })
    }

    /// Fails when the process has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("it has ended with {status}"),
            None => Ok(()),
        }
    }

    pub(crate) fn id(&self) -> Result<u32> {
        self.child.id().context("the process has ended")
    }

    /// Its resident memory now, in bytes.
    pub(crate) fn resident(&self) -> Result<f64> {
        Ok(kilobytes(self.id()?, "VmRSS:")? * 1024.0)
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.child.start_kill()?;
        tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .context("it does not end")??;
        Ok(())
    }
}

fn program(command: &Command) -> &OsStr {
    command.as_std().get_program()
}

/// Seconds of processor time that a process has used, with all its threads.
///
/// Counted by the scheduler in nanoseconds. `stat` rounds each process down to a hundredth of a
/// second, which is more than one of PostgreSQL's many processes uses in a short turn.
pub(crate) fn seconds_of(process: u32) -> Result<f64> {
    let mut sum = 0.0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread that has just ended cannot be read.
        let Ok(text) = std::fs::read_to_string(thread?.path().join("schedstat")) else {
            continue;
        };
        let nanoseconds = text.split(' ').next().context("nothing in schedstat")?;
        sum += nanoseconds.parse::<f64>()? / 1e9;
    }
    Ok(sum)
}

/// The same for a process with all its children, those that have ended included, for PostgreSQL.
pub(crate) fn seconds_of_family(parent: u32) -> Result<f64> {
    let mut sum = seconds_of(parent)? + Stat::read(parent)?.ended_children;
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that has just ended is counted with its parent's ended children from then on.
        if let Ok(stat) = Stat::read(process)
            && stat.parent == parent
        {
            sum += seconds_of(process).unwrap_or_default();
        }
    }
    Ok(sum)
}

struct Stat {
    parent: u32,
    /// Seconds.
    ended_children: f64,
}

impl Stat {
    fn read(process: u32) -> Result<Self> {
        let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name stands in parentheses and may hold spaces; see proc(5) for the rest.
        let fields = text.rsplit_once(')').map(|(_, fields)| fields);
        let fields: Vec<&str> = fields.unwrap_or_default().split_whitespace().collect();
        let field = |index: usize| fields.get(index).context("too few fields in stat");
        let ticks = field(13)?.parse::<f64>()? + field(14)?.parse::<f64>()?;
        Ok(Self {
            parent: field(1)?.parse()?,
            ended_children: ticks / TICKS_PER_SECOND,
        })
    }
}

/// What a program that ended used and printed.
pub(crate) struct Watched {
    /// Its standard output.
    pub(crate) output: Vec<u8>,
    /// Processor time, in seconds.
    pub(crate) seconds: f64,
    /// The most memory that was resident, in bytes.
    pub(crate) most_resident: f64,
}

/// Runs a program to its end and looks at it meanwhile; the last few milliseconds escape.
pub(crate) async fn watch(mut command: Command) -> Result<Watched> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {:?}", program(&command)))?;
    let id = child.id().context("it has ended already")?;
    let (mut seconds, mut most_resident) = (0.0, 0.0);
    let mut ended = std::pin::pin!(child.wait_with_output());
    let ended = loop {
        tokio::select! {
            ended = &mut ended => break ended?,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        // While it ends, there is less and less to read.
        if let (Ok(used), Ok(most)) = (seconds_of(id), kilobytes(id, "VmHWM:"))
            && used > seconds
        {
            (seconds, most_resident) = (used, most * 1024.0);
        }
    };
    anyhow::ensure!(ended.status.success(), "it failed with {}", ended.status);
    Ok(Watched {
        output: ended.stdout,
        seconds,
        most_resident,
    })
}

fn kilobytes(process: u32, name: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    let number = number.with_context(|| format!("no {name} in its status"))?;
    Ok(number.parse()?)
}

/// Lets this process and its children open as many files as they may: each stream is one or two.
pub(crate) fn raise_open_files() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).context("cannot raise the bound on open files")
}

/// Says to whoever started this process where it listens.
pub(crate) fn announce(address: SocketAddr) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{address}")?;
    Ok(output.flush()?)
}
