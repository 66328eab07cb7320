//! Asking the visitor whether a call that changes something may be made.
//!
//! The row of the call decides, by compare-and-set from `asking`; a word from another replica is
//! read there. While the visitor thinks, neither a connection nor one of the instance's places is
//! held.

use std::time::{Duration, Instant};

use stoa_client_db::tool_calls;
use stoa_domain::{ToolCallId, ToolCallState};
use tokio::time::timeout;

use super::{Calls, Outcomes, Planned, Writer, outcome};
use crate::chat::step::Step;
use crate::chat::writer::attend::{Attendance, Cut};
use crate::database::DatabaseError;

/// How often the rows are read though nobody said that there is news: a signal may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(10);

impl<'a> Calls<'a> {
    /// Waits for the visitor's word on each call, and makes those that may be made.
    pub(super) async fn ask(
        &mut self,
        attendance: &mut Attendance<'_>,
        mut open: Vec<&Planned<'a>>,
        outcomes: &mut Outcomes,
    ) -> Result<(), Cut> {
        let writer = self.writer;
        let deadline = Instant::now() + writer.app.settings().confirmation_wait;
        while !open.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let word = timeout(left.min(LOOK_EVERY), writer.live.decided());
            // Whether a word came or the time passed, the rows say how things stand.
            drop(attendance.until(writer.place.without(word)).await?);
            let is_over = Instant::now() >= deadline;
            let states = attendance.until(states(writer, &open, is_over)).await?;
            let mut approved = Vec::new();
            let mut asked = Vec::new();
            for call in open {
                match states.as_ref().map(|states| state_of(states, call.id)) {
                    Some(ToolCallState::Asking) | None if !is_over => asked.push(call),
                    Some(ToolCallState::Approved) => approved.push(call),
                    Some(ToolCallState::Denied) => self.note(call, outcome::denied(), outcomes),
                    _ => self.note(call, outcome::not_confirmed(), outcomes),
                }
            }
            open = asked;
            let begun = self.begin(attendance, approved).await?;
            for call in begun.refused {
                self.note(call, outcome::not_kept(), outcomes);
            }
            self.run(attendance, begun.running, outcomes).await?;
        }
        Ok(())
    }

    /// Shows that these are being made, and stores that before they are: whatever becomes of this
    /// process, nobody is told that a call which may have arrived was never made.
    async fn begin<'b>(
        &self,
        attendance: &mut Attendance<'_>,
        approved: Vec<&'b Planned<'a>>,
    ) -> Result<Begun<'a, 'b>, Cut> {
        let (mut running, mut refused) = (Vec::new(), Vec::new());
        if approved.is_empty() {
            return Ok(Begun { running, refused });
        }
        for call in &approved {
            self.writer.live.push_step(Step::Approved {
                call: call.number,
                tool: call.tool.name().to_owned(),
                input: call.input.clone(),
            });
        }
        let is_kept = attendance.save().await?;
        for call in approved {
            let begun = async { is_kept && begin(self.writer, call.id).await };
            match attendance.until(begun).await? {
                true => running.push(call),
                false => refused.push(call),
            }
        }
        Ok(Begun { running, refused })
    }
}

fn state_of(states: &[(ToolCallId, ToolCallState)], call: ToolCallId) -> ToolCallState {
    let found = states.iter().find(|(id, _)| *id == call);
    found.map_or(ToolCallState::Abandoned, |(_, state)| *state)
}

/// How the calls of the answer stand, after giving up the open ones when it is over. `None` when the
/// database does not say.
async fn states(
    writer: &Writer,
    open: &[&Planned<'_>],
    is_over: bool,
) -> Option<Vec<(ToolCallId, ToolCallState)>> {
    let read = async {
        let connection = writer.app.checkout(&writer.registered).await?;
        if is_over {
            let now = writer.app.clock().now();
            for call in open {
                tool_calls::give_up(&connection, call.id, now).await?;
            }
        }
        let states = tool_calls::states(&connection, writer.live.message()).await?;
        Ok::<_, DatabaseError>(states)
    };
    read.await
        .inspect_err(|error| {
            tracing::warn!(
                code = error.code(),
                "what the visitor says could not be read"
            );
        })
        .ok()
}

/// Calls to which the visitor said yes.
struct Begun<'a, 'b> {
    /// Stored as running, and to be made.
    running: Vec<&'b Planned<'a>>,
    /// Not to be made.
    refused: Vec<&'b Planned<'a>>,
}

/// Stores that a call is made now; whether it may be. It may be stored as running and not be made,
/// where the database does not say: nobody will make it.
async fn begin(writer: &Writer, call: ToolCallId) -> bool {
    let begun = async {
        let connection = writer.app.checkout(&writer.registered).await?;
        Ok::<_, DatabaseError>(tool_calls::begin(&connection, call).await?)
    };
    begun.await.unwrap_or_else(|error| {
        tracing::warn!(
            code = error.code(),
            "a call is not made: it could not be stored"
        );
        false
    })
}
