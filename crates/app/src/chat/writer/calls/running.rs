//! Making calls, a few at once.

use std::pin::Pin;
use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::stream;
use stoa_client_db::tool_calls;
use stoa_tools::Outcome;

use super::{Calls, Outcomes, Planned, Writer};
use crate::chat::calling::outcome::Bounds;
use crate::chat::calling::{self, AT_ONCE};
use crate::chat::writer::attend::{Attendance, Cut};
use crate::database::DatabaseError;

impl<'a> Calls<'a> {
    /// Makes calls that may be made. Dropping this closes their connections.
    pub(super) async fn run(
        &mut self,
        attendance: &mut Attendance<'_>,
        calls: Vec<&Planned<'a>>,
        outcomes: &mut Outcomes,
    ) -> Result<(), Cut> {
        let (begun, bounds) = (Instant::now(), self.allowance.bounds(calls.len()));
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
        self.allowance.spent_since(begun);
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
    let (app, instance) = (&writer.app, writer.registered.id());
    let what = (call.tool, &call.input);
    let outcome = calling::make(app, instance, what, call.id, (bounds, begun)).await;
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
