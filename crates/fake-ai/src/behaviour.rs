//! How the fake behaves, and the short notation for it.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::failure::Failure;

/// How the fake behaves. [`Behaviour::default`] is a good provider, as fast as it can be.
///
/// The notation is a comma-separated list of `name` or `name=value`:
///
/// | directive | does |
/// |---|---|
/// | `delay=MS` | waits before the first token, or before a reply that is whole |
/// | `rate=N` | N tokens a second |
/// | `tokens=N` | an answer of exactly N tokens |
/// | `text=…` | this answer; must come last, since it may have commas |
/// | `error=KIND` | fails; KIND is `401`, `403`, `404`, `429`, `500`, `503`, another status, `quota`, `context` or `filter` |
/// | `retry_after=S` | the `Retry-After` of the error |
/// | `times=N` | fails only the first N requests for the model, then answers |
/// | `error_round=N` | fails only where tools were called N times since the question |
/// | `error_model=M` | fails only requests for this model |
/// | `key=K` | fails with 401 without this key |
/// | `hang` | never replies |
/// | `hang_after=N` | falls silent after N tokens; 0 is after the head of the reply |
/// | `drop_after=N` | cuts the connection after N tokens |
/// | `end_after=N` | ends the reply properly after N tokens, without saying that the answer has ended |
/// | `error_after=N` | sends an error as an event after N tokens |
/// | `bad_json_after=N` | sends an event that is no JSON after N tokens |
/// | `cut_utf8` | cuts the connection in the middle of a character: the first, or with `drop_after=N` one of the Nth token |
/// | `split_utf8` | splits every character of several bytes across two writes |
/// | `write=N` | writes N bytes at a time |
/// | `crlf`, `cr` | ends lines so |
/// | `data_lines` | puts every event's data in three lines |
/// | `comments` | sends a comment before every event, and every 50 ms while it hangs |
/// | `no_done`, `no_finish`, `no_usage` | leaves this out |
/// | `stay_open` | keeps the connection after the last event |
/// | `calls=N` | asks for N tool calls after its text, where tools are offered and there is no result yet |
/// | `call=NAME{…}` | calls this tool with these arguments, offered or not; several are one round |
/// | `then` | what is called next is called in the next round, after the results of the one before |
/// | `again` | calls what was called last in every further round |
/// | `obey` | calls whatever a text says: `CALL NAME {…}` in the prompt, then in what tools gave |
/// | `silent` | says nothing in a round in which it calls |
/// | `bad_call` | the arguments of its calls are no JSON |
/// | `call_bytes=N` | arguments of at least this size |
/// | `reasoning=N` | thinks for N tokens first |
/// | `huge=BYTES` | one token of this size |
/// | `finish=WORD` | the reason of finishing |
/// | `garbage` | bytes that are nothing, as an event stream |
/// | `html` | a web page instead of a reply |
/// | `whole` | does not stream though it was asked to |
/// | `strict` | refuses `stream_options` and unknown fields |
/// | `no_temperature` | refuses any temperature, as reasoning models do |
/// | `dims=N` | embeddings of this length |
/// | `reversed`, `short` | embeddings in reverse order, or one too few |
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Behaviour {
    pub(crate) delay: Duration,
    pub(crate) rate: Option<f64>,
    pub(crate) tokens: Option<usize>,
    pub(crate) text: Option<String>,
    pub(crate) error: Option<Failure>,
    pub(crate) retry_after: Option<String>,
    pub(crate) times: Option<usize>,
    pub(crate) error_round: Option<usize>,
    pub(crate) error_model: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) hang: bool,
    pub(crate) fault: Option<(usize, Fault)>,
    pub(crate) cut_utf8: bool,
    pub(crate) split_utf8: bool,
    pub(crate) write: Option<usize>,
    pub(crate) line_end: LineEnd,
    pub(crate) data_lines: bool,
    pub(crate) comments: bool,
    pub(crate) no_done: bool,
    pub(crate) no_finish: bool,
    pub(crate) no_usage: bool,
    pub(crate) stay_open: bool,
    pub(crate) reasoning: usize,
    pub(crate) calls: usize,
    pub(crate) script: Vec<Vec<ScriptedCall>>,
    pub(crate) again: bool,
    pub(crate) obey: bool,
    pub(crate) silent: bool,
    pub(crate) bad_call: bool,
    pub(crate) call_bytes: Option<usize>,
    pub(crate) huge: Option<usize>,
    pub(crate) finish: Option<String>,
    pub(crate) garbage: bool,
    pub(crate) html: bool,
    pub(crate) whole: bool,
    pub(crate) strict: bool,
    pub(crate) no_temperature: bool,
    pub(crate) dims: Option<usize>,
    pub(crate) reversed: bool,
    pub(crate) short: bool,
}

/// A call that is made whatever the request says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ScriptedCall {
    pub(crate) name: String,
    pub(crate) arguments: Map<String, Value>,
}

impl ScriptedCall {
    /// Reads `NAME {…}` at the beginning of a text, and gives the rest.
    pub(crate) fn read(text: &str) -> Option<(Self, &str)> {
        let (name, _) = text.split_once('{')?;
        let arguments = &text[name.len()..];
        let name = name.trim();
        let is_name = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
        if name.is_empty() || !name.chars().all(is_name) {
            return None;
        }
        let mut objects = serde_json::Deserializer::from_str(arguments).into_iter();
        let object = objects.next()?.ok()?;
        let call = Self {
            name: name.to_owned(),
            arguments: object,
        };
        Some((call, &arguments[objects.byte_offset()..]))
    }
}

/// What happens after some tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Hang,
    Drop,
    End,
    Error,
    BadJson,
}

/// What ends a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LineEnd {
    #[default]
    Lf,
    CrLf,
    Cr,
}

/// A directive that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no directive of the fake provider")]
pub struct BehaviourError(String);

impl Behaviour {
    /// Reads the notation.
    ///
    /// # Errors
    ///
    /// Names the first directive that is unknown or has a wrong value.
    pub fn parse(notation: &str) -> Result<Self, BehaviourError> {
        Self::default().with(notation)
    }

    /// This behaviour, changed by what `notation` names.
    ///
    /// # Errors
    ///
    /// As [`Behaviour::parse`].
    pub fn with(mut self, notation: &str) -> Result<Self, BehaviourError> {
        let mut rest = notation.trim();
        while !rest.is_empty() {
            if let Some(text) = rest.strip_prefix("text=") {
                self.text = Some(text.to_owned());
                return Ok(self);
            }
            if let Some(text) = rest.strip_prefix("call=") {
                let read = ScriptedCall::read(text);
                let (call, after) = read.ok_or_else(|| BehaviourError(rest.to_owned()))?;
                match self.script.last_mut() {
                    Some(round) => round.push(call),
                    None => self.script.push(vec![call]),
                }
                rest = after.trim_start().trim_start_matches(',').trim_start();
                continue;
            }
            let (directive, after) = rest.split_once(',').unwrap_or((rest, ""));
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            self.set(name.trim(), value.trim())
                .ok_or_else(|| BehaviourError(directive.trim().to_owned()))?;
            rest = after.trim_start();
        }
        Ok(self)
    }

    /// This behaviour, changed by what stands after `fake:` in the model's name.
    ///
    /// # Errors
    ///
    /// As [`Behaviour::parse`].
    pub(crate) fn for_model(self, model: &str) -> Result<Self, BehaviourError> {
        match model.split_once("fake:") {
            Some((_, notation)) => self.with(notation),
            None => Ok(self),
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        let flag = match value {
            "" => Some(true),
            _ => None,
        };
        let number = || value.parse::<usize>().ok();
        match name {
            "delay" => self.delay = Duration::from_millis(value.parse().ok()?),
            "rate" => self.rate = Some(value.parse().ok().filter(|it| *it > 0.0)?),
            "tokens" => self.tokens = Some(number()?),
            "error" => self.error = Some(Failure::parse(value)?),
            "retry_after" => self.retry_after = Some(value.to_owned()),
            "times" => self.times = Some(number()?),
            "error_round" => self.error_round = Some(number()?),
            "error_model" => self.error_model = Some(value.to_owned()),
            "key" => self.key = Some(value.to_owned()),
            "hang_after" => self.fault = Some((number()?, Fault::Hang)),
            "drop_after" => self.fault = Some((number()?, Fault::Drop)),
            "end_after" => self.fault = Some((number()?, Fault::End)),
            "error_after" => self.fault = Some((number()?, Fault::Error)),
            "bad_json_after" => self.fault = Some((number()?, Fault::BadJson)),
            "write" => self.write = Some(number().filter(|it| *it > 0)?),
            "reasoning" => self.reasoning = number()?,
            "calls" => self.calls = number()?,
            "call_bytes" => self.call_bytes = Some(number()?),
            "huge" => self.huge = Some(number()?),
            "finish" => self.finish = Some(value.to_owned()),
            "dims" => self.dims = Some(number().filter(|it| (1..=4096).contains(it))?),
            "then" => self.script.push(flag.map(|_| Vec::new())?),
            "crlf" => self.line_end = flag.map(|_| LineEnd::CrLf)?,
            "cr" => self.line_end = flag.map(|_| LineEnd::Cr)?,
            _ => *self.flag(name)? = flag?,
        }
        Some(())
    }

    fn flag(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "hang" => &mut self.hang,
            "again" => &mut self.again,
            "obey" => &mut self.obey,
            "silent" => &mut self.silent,
            "bad_call" => &mut self.bad_call,
            "cut_utf8" => &mut self.cut_utf8,
            "split_utf8" => &mut self.split_utf8,
            "data_lines" => &mut self.data_lines,
            "comments" => &mut self.comments,
            "no_done" => &mut self.no_done,
            "no_finish" => &mut self.no_finish,
            "no_usage" => &mut self.no_usage,
            "stay_open" => &mut self.stay_open,
            "garbage" => &mut self.garbage,
            "html" => &mut self.html,
            "whole" => &mut self.whole,
            "strict" => &mut self.strict,
            "no_temperature" => &mut self.no_temperature,
            "reversed" => &mut self.reversed,
            "short" => &mut self.short,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_sets_what_it_names_and_later_wins() {
        let base = Behaviour::parse("delay=200, rate=50,no_done").unwrap();
        assert_eq!(base.delay, Duration::from_millis(200));
        assert!(base.no_done && base.rate == Some(50.0));
        let model = base.for_model("gpt-fake:delay=5,text=a, b=c").unwrap();
        assert_eq!(model.delay, Duration::from_millis(5));
        assert!(model.no_done);
        assert_eq!(model.text.as_deref(), Some("a, b=c"));
    }

    #[test]
    fn calls_are_written_round_by_round() {
        let behaviour =
            Behaviour::parse(r#"silent,call=find {"id": "7, {8}"},call=list{},then,call=find{}"#);
        let script = behaviour.unwrap().script;
        let names = |round: &Vec<ScriptedCall>| -> Vec<String> {
            round.iter().map(|it| it.name.clone()).collect()
        };
        let rounds: Vec<_> = script.iter().map(names).collect();
        assert_eq!(rounds, [vec!["find", "list"], vec!["find"]]);
        assert_eq!(script[0][0].arguments["id"], "7, {8}");
        assert!(Behaviour::parse("call=find").is_err());
        assert!(Behaviour::parse("call=find{,delay=1").is_err());
    }

    #[test]
    fn what_is_no_directive_is_named() {
        for wrong in [
            "nonsense",
            "delay=x",
            "rate=0",
            "hang=1",
            "error=200",
            "dims=0",
            "write=0",
        ] {
            let error = Behaviour::parse(&format!("delay=1,{wrong}")).unwrap_err();
            assert!(error.to_string().contains(wrong), "{error}");
        }
    }
}
