//! Making calls, a few at once.

use std::pin::Pin;
use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::stream;
use stoa_client_db::tool_calls;
use stoa_tools::Outcome;

use super::outcome::{self, Bounds};
use super::{Calls, Outcomes, Planned, Writer};
use crate::chat::writer::attend::{Attendance, Cut};
use crate::database::DatabaseError;

/// How many calls of an answer are made at once.
const AT_ONCE: usize = 4;

impl<'a> Calls<'a> {
    /// Makes calls that may be made. Dropping this closes their connections.
    pub(super) async fn run(
        &mut self,
        attendance: &mut Attendance<'_>,
        calls: Vec<&Planned<'a>>,
        outcomes: &mut Outcomes,
    ) -> Result<(), Cut> {
        let (begun, bounds) = (Instant::now(), self.bounds(calls.len()));
        let making: Vec<Making<'_>> = calls
            .iter()
            .map(|call| Box::pin(made(self.writer, call, bounds, begun)) as Making<'_>)
            .collect();
        let mut running = stream::iter(making).buffer_unordered(AT_ONCE);
        while let Some((index, outcome)) = attendance.until(running.next()).await? {
            if let Some(call) = calls.iter().find(|it| it.index == index) {
                self.note(call, outcome, outcomes);
            }
            attendance.save_now();
        }
        drop(running);
        self.spent_since(begun);
        Ok(())
    }
}

/// A call under way: its place in the round, and what came of it.
type Making<'a> = Pin<Box<dyn Future<Output = (usize, Outcome)> + Send + 'a>>;

/// Makes a call and keeps what came of it.
async fn made(
    writer: &Writer,
    call: &Planned<'_>,
    bounds: Bounds,
    begun: Instant,
) -> (usize, Outcome) {
    let left = bounds.time.saturating_sub(begun.elapsed());
    let running = call.tool.run(&writer.app, &call.input, call.id.as_uuid());
    let outcome = match left.is_zero() {
        true => outcome::no_time(),
        false => tokio::time::timeout(left, running)
            .await
            .unwrap_or_else(|_| outcome::timed_out()),
    };
    let outcome = bounds.cut(outcome);
    if let Some(code) = outcome.error {
        let (instance, tool) = (writer.registered.id(), call.tool.name());
        tracing::info!(%instance, tool, code, "a tool gave nothing");
    }
    if let Err(error) = keep(writer, call, &outcome).await {
        tracing::warn!(code = error.code(), "what a tool gave could not be kept");
    }
    (call.index, outcome)
}

async fn keep(writer: &Writer, call: &Planned<'_>, outcome: &Outcome) -> Result<(), DatabaseError> {
    let connection = writer.app.checkout(&writer.registered).await?;
    let (text, now) = (outcome.content.replace('\0', ""), writer.app.clock().now());
    tool_calls::finish(&connection, call.id, &text, outcome.error, now).await?;
    Ok(())
}
