//! The server's process.

use std::io;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{oneshot, watch};

use crate::EmbeddedError;
use crate::postmaster::{FAST_SHUTDOWN, IMMEDIATE_SHUTDOWN};

/// A started server; dropping it asks the server to stop and does not wait.
#[derive(Debug)]
pub(crate) struct Server {
    pid: u32,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Server {
    /// Starts the server from a thread that lives as long as the server.
    ///
    /// A thread of its own, because the signal that Linux sends to a process when its parent dies
    /// is sent when the *thread* ends that started it, and a runtime's threads come and go.
    pub(crate) async fn spawn(mut command: Command) -> io::Result<Self> {
        let (started, starting) = oneshot::channel();
        let (ending, ended) = watch::channel(None);
        thread::Builder::new()
            .name("embedded-postgres".to_owned())
            .spawn(move || match command.spawn() {
                Ok(mut child) => {
                    // Nobody listens any more when the start was given up; the child is waited for.
                    let _ = started.send(Ok(child.id()));
                    let status = child.wait().unwrap_or_default();
                    ending.send_replace(Some(status));
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            })?;
        let pid = starting
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the starting thread ended")))?;
        Ok(Self { pid, ended })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// How the server ended, when it has.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Waits until the server ends.
    pub(crate) async fn wait(&self) -> ExitStatus {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(status) => status.unwrap_or_default(),
            Err(_) => ExitStatus::default(),
        }
    }

    /// Stops the server: its connections are ended and everything is written out; when that takes
    /// too long it is stopped at once and recovers at the next start.
    pub(crate) async fn stop(&self) -> Result<(), EmbeddedError> {
        if self.stopped_by(Signal::INT, FAST_SHUTDOWN).await
            || self.stopped_by(Signal::QUIT, IMMEDIATE_SHUTDOWN).await
        {
            Ok(())
        } else {
            Err(EmbeddedError::DoesNotStop { pid: self.pid })
        }
    }

    async fn stopped_by(&self, signal: Signal, patience: Duration) -> bool {
        self.signal(signal);
        tokio::time::timeout(patience, self.wait()).await.is_ok()
    }

    fn signal(&self, signal: Signal) {
        // Once it has ended its id may be another process's.
        if self.exit_status().is_none()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            // The only failure is that it has just ended.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::INT);
    }
}
