//! What the fake says: a function of the request alone.

use serde_json::{Value, json};

use crate::behaviour::{Behaviour, ScriptedCall};

/// At most so many passages are quoted.
const QUOTED: usize = 3;

/// So many words of a passage are quoted.
const QUOTED_WORDS: usize = 14;

/// Has characters of two, three and four bytes.
const WIDE: &str = "Grüße aus 東京 🦀, naïve café. ";

/// An answer, cut into tokens when asked for them.
#[derive(Debug)]
pub(crate) struct Answer {
    words: Vec<String>,
    length: usize,
    pub(crate) prompt_tokens: usize,
    /// The tools that it asks for.
    pub(crate) calls: Vec<FakeCall>,
}

/// A call of a tool.
#[derive(Debug)]
pub(crate) struct FakeCall {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

impl Answer {
    /// The answer to `request`, which is in OpenAI's words whoever asked.
    pub(crate) fn to(request: &Value, behaviour: &Behaviour) -> Self {
        let calls = calls(request, behaviour);
        let mut text = match &behaviour.text {
            _ if behaviour.silent && !calls.is_empty() => String::new(),
            Some(text) => text.clone(),
            None => compose(request),
        };
        if behaviour.cut_utf8 || behaviour.split_utf8 {
            let tokens_before = behaviour
                .fault
                .as_ref()
                .map_or(0, |(tokens, _)| tokens.saturating_sub(1));
            let place = text
                .split_inclusive(' ')
                .take(tokens_before)
                .map(str::len)
                .sum();
            text.insert_str(place, WIDE);
        }
        let words = match behaviour.huge {
            Some(bytes) => vec!["x".repeat(bytes)],
            None => text.split_inclusive(' ').map(str::to_owned).collect(),
        };
        Self {
            calls,
            length: behaviour.tokens.unwrap_or(words.len()),
            words,
            prompt_tokens: messages(request)
                .map(|(_, content)| content.split_whitespace().count())
                .sum(),
        }
    }

    /// How many tokens it has.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The token at `index`; an answer that must be longer than its text begins anew.
    pub(crate) fn token(&self, index: usize) -> &str {
        match self.words.len() {
            0 => "",
            count => &self.words[index % count],
        }
    }

    pub(crate) fn whole(&self) -> String {
        (0..self.length).map(|it| self.token(it)).collect()
    }
}

/// The calls of this round.
fn calls(request: &Value, behaviour: &Behaviour) -> Vec<FakeCall> {
    if request["may_call"] == Value::Bool(false) {
        return Vec::new();
    }
    let round = round(request);
    let scripted = match behaviour.script.get(round) {
        Some(calls) => calls.clone(),
        None if behaviour.again => behaviour.script.last().cloned().unwrap_or_default(),
        None if behaviour.obey => told(request, round),
        None => Vec::new(),
    };
    if behaviour.script.is_empty() && !behaviour.obey {
        return offered(request, behaviour);
    }
    let numbered = scripted.into_iter().enumerate();
    numbered
        .map(|(index, call)| FakeCall {
            id: format!("fake{:05}", round * 100 + index),
            name: call.name,
            arguments: Value::Object(call.arguments).to_string(),
        })
        .collect()
}

/// How often tools were called since the last question.
pub(crate) fn round(request: &Value) -> usize {
    let list = request["messages"].as_array();
    let (mut rounds, mut in_calls) = (0, false);
    for message in list.into_iter().flatten() {
        let called = message["called"] == Value::Bool(true);
        rounds = match message["role"].as_str() {
            Some("user") => 0,
            _ => rounds + usize::from(called && !in_calls),
        };
        in_calls = called;
    }
    rounds
}

/// What the texts tell a model to call that does what it is told: those of the prompt at first, then
/// those of the last results.
fn told(request: &Value, round: usize) -> Vec<ScriptedCall> {
    let all: Vec<_> = messages(request).collect();
    let results = all.iter().rev().take_while(|(role, _)| *role == "tool");
    let new = match round {
        0 => all.as_slice(),
        _ => &all[all.len() - results.count()..],
    };
    let texts = new.iter().flat_map(|(_, text)| text.split("CALL ").skip(1));
    texts
        .filter_map(|text| ScriptedCall::read(text).map(|(call, _)| call))
        .collect()
}

/// As many calls as are wanted of the tools that are offered, in turn; none once there is a result.
fn offered(request: &Value, behaviour: &Behaviour) -> Vec<FakeCall> {
    let names: Vec<&str> = request["tools"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let has_result = messages(request).any(|(role, _)| role == "tool");
    if names.is_empty() || has_result {
        return Vec::new();
    }
    let filler = "x".repeat(behaviour.call_bytes.unwrap_or_default());
    (0..behaviour.calls)
        .map(|index| FakeCall {
            id: format!("fake{index:05}"),
            name: names[index % names.len()].to_owned(),
            arguments: match behaviour.bad_call {
                true => "{\"query\": ".to_owned(),
                false => {
                    json!({"query": question(request), "number": index, "more": filler}).to_string()
                }
            },
        })
        .collect()
}

fn question(request: &Value) -> &str {
    messages(request)
        .filter(|(role, _)| *role == "user")
        .last()
        .map_or("", |(_, content)| content)
}

/// Repeats what the last tool gave, or the question, and quotes the numbered passages of the system prompt.
fn compose(request: &Value) -> String {
    let result = messages(request).filter(|(role, _)| *role == "tool").last();
    let mut text = match result {
        Some((_, result)) => format!("The tool said: {result}"),
        None => format!("You asked: {}", question(request)),
    };
    let system = messages(request).filter(|(role, _)| matches!(*role, "system" | "developer"));
    for (number, passage) in system.flat_map(|(_, it)| passages(it)).take(QUOTED) {
        text.push_str(&format!(" According to [{number}]: {passage}."));
    }
    text
}

/// The passages of a prompt: lines that begin with `[1]` and the like, with what follows them.
fn passages(prompt: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, Vec<&str>)> = Vec::new();
    for line in prompt.lines() {
        let numbered = line
            .strip_prefix('[')
            .and_then(|it| it.split_once(']'))
            .and_then(|(number, rest)| Some((number.parse().ok()?, rest)));
        match (numbered, found.last_mut()) {
            (Some((number, rest)), _) => found.push((number, rest.split_whitespace().collect())),
            (None, Some((_, words))) if !line.starts_with('<') => {
                words.extend(line.split_whitespace());
            }
            _ => {}
        }
    }
    let quote = |words: Vec<&str>| {
        let kept: Vec<&str> = words.into_iter().take(QUOTED_WORDS).collect();
        kept.join(" ").trim_end_matches('.').to_owned()
    };
    found
        .into_iter()
        .map(|(number, words)| (number, quote(words)))
        .collect()
}

fn messages(request: &Value) -> impl Iterator<Item = (&str, &str)> {
    let list = request["messages"].as_array();
    list.into_iter().flatten().map(|it| {
        (
            it["role"].as_str().unwrap_or_default(),
            it["content"].as_str().unwrap_or_default(),
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_repeats_the_question_and_quotes_the_passages() {
        let request = json!({"messages": [
            {"role": "system", "content": "Be kind.\n<passages>\n[1] Returns\n60 days.\n[2] Shipping\nFree.\n</passages>"},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "an answer"},
            {"role": "user", "content": "How long?"},
        ]});
        let answer = Answer::to(&request, &Behaviour::default());
        assert_eq!(
            answer.whole(),
            "You asked: How long? According to [1]: Returns 60 days. According to [2]: Shipping Free."
        );
        assert_eq!(answer.prompt_tokens, 11 + 1 + 2 + 2);
        let long = Answer::to(&request, &Behaviour::parse("tokens=40").unwrap());
        assert_eq!(long.len(), 40);
        assert_eq!(long.token(0), "You ");
    }
}
