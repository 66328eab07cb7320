//! How far long work is: one line on a terminal, rewritten in place; nothing in a pipe.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Work that is over sooner shows nothing.
const PATIENCE: Duration = Duration::from_secs(2);
const REWRITE_EVERY: Duration = Duration::from_millis(200);

/// The line of one piece of work. It goes away with the value.
pub(crate) struct Progress {
    what: &'static str,
    is_wanted: bool,
    next: Instant,
    is_shown: bool,
}

impl Progress {
    /// Of work that begins now; `what` reads as “Rotating keys”.
    pub(crate) fn new(what: &'static str) -> Self {
        Self {
            what,
            is_wanted: io::stderr().is_terminal(),
            next: Instant::now() + PATIENCE,
            is_shown: false,
        }
    }

    /// Shows it where somebody is looking and the last time is a while ago.
    pub(crate) fn show(&mut self, how_far: impl FnOnce() -> String) {
        if !self.is_wanted || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + REWRITE_EVERY;
        self.is_shown = true;
        write_line(&format!("{}: {}", self.what, how_far()));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            write_line("");
        }
    }
}

/// Puts the text in the place of the line; a closed standard error is nobody's concern.
fn write_line(text: &str) {
    let mut output = io::stderr().lock();
    drop(write!(output, "\r\x1b[2K{text}").and_then(|()| output.flush()));
}
