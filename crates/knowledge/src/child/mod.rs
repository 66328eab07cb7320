//! Reading a document in a process of its own, with limits.
//!
//! The parent writes one line of JSON (what to do and within which limits) and the document's bytes
//! to the child's standard input, and reads one JSON answer from its standard output. The child
//! gives up its own rights before it looks at a byte of the document. It has no environment, so no
//! secret of the parent's; it opens no file.

mod parent;
mod worker;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ExtractError, Extracted, Kind, Passage, SplitSettings};

pub use parent::{extract_in_child, prepare_in_child};
pub use worker::{child_main, serve_request};

/// Which program reads documents.
#[derive(Clone, Debug)]
pub struct ChildSettings {
    /// The program to start.
    pub program: PathBuf,
    /// Its arguments, such that it calls [`child_main`] and exits.
    pub args: Vec<OsString>,
}

impl ChildSettings {
    /// The running program itself with one subcommand, which must call [`child_main`].
    ///
    /// # Errors
    /// When the running program's file cannot be found.
    pub fn own_program(subcommand: &str) -> io::Result<Self> {
        // This name still works when an upgrade has replaced the file meanwhile.
        let running = Path::new("/proc/self/exe");
        let program = if running.exists() {
            running.to_owned()
        } else {
            std::env::current_exe()?
        };
        Ok(ChildSettings {
            program,
            args: vec![subcommand.into()],
        })
    }
}

/// What reading one document may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Address space of the child, in bytes. The program itself counts, some tens of MiB.
    pub memory_bytes: u64,
    /// CPU time of the child, in seconds.
    pub cpu_seconds: u64,
    /// Time from start to answer. Longer than the CPU time, since the machine may be busy.
    pub wall_clock: Duration,
    /// The largest document, in bytes.
    pub input_bytes: usize,
    /// The longest answer that is read, in bytes of JSON: text and passages hold the text twice,
    /// with escapes and overlap.
    pub answer_bytes: usize,
}

impl Default for Limits {
    /// 20 MiB of document, 512 MiB of memory, 15 s of CPU, 60 s in all.
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Limits {
            memory_bytes: 512 * MIB as u64,
            cpu_seconds: 15,
            wall_clock: Duration::from_secs(60),
            input_bytes: 20 * MIB,
            answer_bytes: 32 * MIB,
        }
    }
}

/// A document ready to be embedded and stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Its title and text.
    pub extracted: Extracted,
    /// The text in passages; empty when only the text was asked for.
    pub passages: Vec<Passage>,
}

/// What the parent asks of the child: the first line of its standard input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The document's format.
    pub kind: Kind,
    /// How to cut the text into passages; not at all without.
    pub split: Option<SplitSettings>,
    memory_bytes: u64,
    cpu_seconds: u64,
    input_bytes: usize,
}

/// What the child answers.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Read(Prepared),
    Failed(ExtractError),
}
