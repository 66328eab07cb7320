//! What holds wherever the instance's tools are called, for a visitor or for a program: which a model
//! may call, within what bounds, and what is told of it.

pub(crate) mod outcome;

use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use stoa_ai::{ToolCall, ToolResult};
use stoa_domain::{InstanceId, ToolCallId, ToolEffect};
use stoa_tools::Outcome;

use super::step::CallNumber;
use crate::App;
use crate::tools::{BoxedTool, Offered, Toolbox};
use outcome::Bounds;

/// How often a model may ask for tools; then it has to answer with what it was told.
pub(crate) const MOST_ROUNDS: usize = 6;
/// How many calls of one round are made.
pub(crate) const MOST_CALLS: usize = 8;
/// How many calls of an answer are made at once.
pub(crate) const AT_ONCE: usize = 4;
/// How long the calls of an answer take at most, without waiting for the visitor.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest name of a tool.
const LONGEST_NAME: usize = 64;

/// What the calls of one answer have used up of what they may.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    /// How many there were.
    count: u16,
    /// How long they took.
    spent: Duration,
    /// How many bytes models were told.
    told: usize,
    /// Whether any gave something.
    gave: bool,
}

impl Allowance {
    /// The number of one more call.
    pub(crate) const fn number(&mut self) -> CallNumber {
        self.count = self.count.saturating_add(1);
        CallNumber(self.count)
    }

    /// Notes what came of one.
    pub(crate) fn note(&mut self, outcome: &Outcome) {
        self.told += outcome.content.len();
        self.gave |= outcome.error.is_none();
    }

    /// Notes that some were made since.
    pub(crate) fn spent_since(&mut self, begun: Instant) {
        self.spent += begun.elapsed();
    }

    /// The bounds of the next calls, so many of which are made together.
    pub(crate) fn bounds(&self, calls: usize) -> Bounds {
        Bounds::of(LONGEST.saturating_sub(self.spent), self.told, calls)
    }

    /// Whether a tool gave something that the answer may be drawn from.
    pub(crate) const fn gave_something(&self) -> bool {
        self.gave
    }
}

/// A call that a model asks for, as it is shown, and whether it may be made.
pub(crate) struct Examined<'a> {
    /// The tool's name, fit to be shown.
    pub(crate) tool: String,
    /// The arguments.
    pub(crate) input: Map<String, Value>,
    /// The tool, if it is offered and the arguments fit; else what the model is told.
    pub(crate) verdict: Result<&'a BoxedTool, Outcome>,
}

/// Looks at a call.
pub(crate) fn examine<'a>(toolbox: &'a Toolbox, offered: Offered, call: &ToolCall) -> Examined<'a> {
    let is_offered =
        |tool: &&BoxedTool| offered == Offered::All || tool.effect() == ToolEffect::Read;
    let tool = toolbox.find(&call.name).filter(is_offered);
    let input = call.input().map(outcome::without_nul);
    let (input, verdict) = match (tool, input) {
        (None, input) => (input.unwrap_or_default(), Err(outcome::unknown_tool())),
        (Some(_), Err(_)) => (Map::new(), Err(outcome::no_object())),
        (Some(tool), Ok(input)) => {
            let fits = tool.check(&input);
            (input, fits.map(|()| tool))
        }
    };
    let tool = match &verdict {
        Ok(tool) => tool.name().to_owned(),
        Err(_) => shown_name(&call.name),
    };
    Examined {
        tool,
        input,
        verdict,
    }
}

/// What a model called a tool, fit to be shown.
fn shown_name(name: &str) -> String {
    let fits = |it: &char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
    let name: String = name.chars().filter(fits).take(LONGEST_NAME).collect();
    match name.is_empty() {
        true => "unknown".to_owned(),
        false => name,
    }
}

/// Makes a call within its bounds, which count from when its round began.
pub(crate) async fn make(
    app: &App,
    instance: InstanceId,
    (tool, input): (&BoxedTool, &Map<String, Value>),
    id: ToolCallId,
    (bounds, begun): (Bounds, Instant),
) -> Outcome {
    let left = bounds.time.saturating_sub(begun.elapsed());
    let outcome = match left.is_zero() {
        true => outcome::no_time(),
        false => tokio::time::timeout(left, tool.run(app, input, id.as_uuid()))
            .await
            .unwrap_or_else(|_| outcome::timed_out()),
    };
    let outcome = bounds.cut(outcome);
    if let Some(code) = outcome.error {
        tracing::info!(%instance, tool = tool.name(), code, "a tool gave nothing");
    }
    outcome
}

/// What the model is told of a call.
pub(crate) fn returned(call: &ToolCall, outcome: Outcome) -> ToolResult {
    ToolResult {
        call_id: call.id.clone(),
        name: call.name.clone(),
        is_error: outcome.error.is_some(),
        content: outcome.content,
    }
}
