//! The calls that a model asks for: examined, stored before they are made, made within bounds, and
//! told of.
//!
//! What only reads is made at once. What changes something is put to the visitor first, whatever
//! the model, a document or a tool's result says. Nothing is made twice: a call is made by the
//! writer that stored it, and by no other.

mod asking;
mod running;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use stoa_ai::{ToolCall, ToolResult};
use stoa_client_db::tool_calls::{self, NewToolCall};
use stoa_domain::{ToolCallId, ToolEffect};
use stoa_tools::Outcome;

use super::Writer;
use super::attend::{Attendance, Cut};
use crate::chat::calling::{self, Allowance, MOST_CALLS, outcome};
use crate::chat::step::{CallNumber, Step};
use crate::database::DatabaseError;
use crate::tools::BoxedTool;

/// The calls of one answer.
pub(super) struct Calls<'a> {
    writer: &'a Writer,
    allowance: Allowance,
}

/// A call that is to be made.
struct Planned<'a> {
    /// Its place in the round.
    index: usize,
    number: CallNumber,
    id: ToolCallId,
    tool: &'a BoxedTool,
    input: Map<String, Value>,
}

/// What came of the calls of a round, by their places in it.
type Outcomes = BTreeMap<usize, Outcome>;

impl<'a> Calls<'a> {
    /// No calls so far.
    pub(super) fn new(writer: &'a Writer) -> Self {
        Self {
            writer,
            allowance: Allowance::default(),
        }
    }

    /// Whether a tool gave something that the answer may be drawn from.
    pub(super) const fn gave_something(&self) -> bool {
        self.allowance.gave_something()
    }

    /// Makes the calls of a round, and says what to tell the model of each.
    ///
    /// # Errors
    /// Why they were dropped half-way; then none goes on.
    pub(super) async fn make(
        &mut self,
        attendance: &mut Attendance<'_>,
        calls: &[ToolCall],
    ) -> Result<Vec<ToolResult>, Cut> {
        let mut outcomes = Outcomes::new();
        let planned = self.plan(calls, &mut outcomes);
        if !planned.is_empty()
            && let Err(cut) = self.make_planned(attendance, &planned, &mut outcomes).await
        {
            self.drop_unfinished().await;
            return Err(cut);
        }
        attendance.save_now();
        let results = calls.iter().enumerate().map(|(index, call)| {
            let outcome = outcomes.remove(&index).unwrap_or_else(outcome::too_many);
            calling::returned(call, outcome)
        });
        Ok(results.collect())
    }

    /// Shows the calls, and sorts out those that cannot be made.
    fn plan(&mut self, calls: &[ToolCall], outcomes: &mut Outcomes) -> Vec<Planned<'a>> {
        let writer = self.writer;
        let mut planned = Vec::new();
        for (index, call) in calls.iter().take(MOST_CALLS).enumerate() {
            let number = self.allowance.number();
            let call = calling::examine(&writer.contents.toolbox, writer.offered, call);
            self.show(number, call.tool, call.input.clone());
            match call.verdict {
                Ok(tool) => planned.push(Planned {
                    index,
                    number,
                    id: writer.app.new_id(ToolCallId::generate),
                    tool,
                    input: call.input,
                }),
                Err(outcome) => {
                    writer.live.push_step(outcome::step(number, &outcome));
                    outcomes.insert(index, outcome);
                }
            }
        }
        planned
    }

    fn show(&self, call: CallNumber, tool: String, input: Map<String, Value>) {
        let name = tool.clone();
        self.writer.live.push_step(Step::CallStart { call, tool });
        self.writer.live.push_step(Step::CallInput {
            call,
            tool: name,
            input,
        });
    }

    async fn make_planned(
        &mut self,
        attendance: &mut Attendance<'_>,
        planned: &[Planned<'a>],
        outcomes: &mut Outcomes,
    ) -> Result<(), Cut> {
        if !attendance.until(store(self.writer, planned)).await? {
            for call in planned {
                self.note(call, outcome::not_kept(), outcomes);
            }
            return Ok(());
        }
        let writes = |call: &&Planned<'_>| call.tool.effect() == ToolEffect::Write;
        let asked: Vec<_> = planned.iter().filter(writes).collect();
        for call in &asked {
            self.writer.live.push_step(Step::Asked {
                call: call.number,
                approval: call.id,
                host: call.tool.host().to_owned(),
            });
        }
        attendance.save_now();
        let reads = planned.iter().filter(|call| !writes(call)).collect();
        self.run(attendance, reads, outcomes).await?;
        self.ask(attendance, asked, outcomes).await
    }

    /// Notes what came of a call, for the model and for those who look on.
    fn note(&mut self, call: &Planned<'_>, outcome: Outcome, outcomes: &mut Outcomes) {
        self.allowance.note(&outcome);
        let step = match outcome.error {
            Some(outcome::DENIED) => Step::Denied { call: call.number },
            _ => outcome::step(call.number, &outcome),
        };
        self.writer.live.push_step(step);
        outcomes.insert(call.index, outcome);
    }

    /// Says of every call without an outcome that nobody waits for one. What a database that fails
    /// keeps of them is mended by the sweep.
    async fn drop_unfinished(&self) {
        self.writer.live.end_calls();
        if let Err(error) = abandon(self.writer).await {
            tracing::warn!(code = error.code(), "dropped calls could not be closed");
        }
    }
}

/// Stores the calls; whether they may be made.
async fn store(writer: &Writer, planned: &[Planned<'_>]) -> bool {
    let calls: Vec<_> = planned
        .iter()
        .map(|call| NewToolCall {
            id: call.id,
            ordinal: call.number.0,
            tool: call.tool.name(),
            input: &call.input,
            effect: call.tool.effect(),
        })
        .collect();
    let stored = async {
        let connection = writer.app.checkout(&writer.registered).await?;
        let now = writer.app.clock().now();
        let stored = tool_calls::insert(&connection, writer.live.message(), &calls, now).await?;
        Ok::<_, DatabaseError>(stored)
    };
    stored.await.unwrap_or_else(|error| {
        tracing::warn!(
            code = error.code(),
            "calls are not made: they could not be stored"
        );
        false
    })
}

async fn abandon(writer: &Writer) -> Result<(), DatabaseError> {
    let connection = writer.app.checkout(&writer.registered).await?;
    let now = writer.app.clock().now();
    tool_calls::abandon(&connection, writer.live.message(), now).await?;
    Ok(())
}
