//! Tool calls, put together from their pieces whichever way a format cuts them.

use std::collections::VecDeque;

use crate::answer::AnswerEvent;
use crate::error::AiError;
use crate::request::MADE_UP_ID;
use crate::tools::ToolCall;
use crate::wire::CallPart;

/// More calls than this in one answer are no answer.
const MOST_CALLS: usize = 64;

/// Thoughts that are longer than this are not kept: half of them are none.
const THOUGHT_BYTES: usize = 64 << 10;

/// The longest name or id that is kept.
const NAME_BYTES: usize = 256;

/// The calls of one answer.
#[derive(Debug)]
pub(crate) struct Calls {
    calls: Vec<Growing>,
    /// Bytes of arguments that may still come.
    room: usize,
    /// The number of the first id that is made up.
    first_id: usize,
    /// What the model thought before the first of them, for one that wants to see it again.
    thoughts: String,
    thought_too_much: bool,
}

#[derive(Debug)]
struct Growing {
    call: ToolCall,
    key: Option<u64>,
    /// Whether the id is the provider's own.
    named: bool,
    whole: bool,
}

impl Calls {
    pub(crate) fn new(first_id: usize, room: usize) -> Self {
        Self {
            calls: Vec::new(),
            room,
            first_id,
            thoughts: String::new(),
            thought_too_much: false,
        }
    }

    /// Keeps what the model thinks before it asks for anything.
    pub(crate) fn think(&mut self, more: &str) {
        self.thought_too_much |= self.thoughts.len() + more.len() > THOUGHT_BYTES;
        match self.thought_too_much {
            true => self.thoughts.clear(),
            false => self.thoughts.push_str(more),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Takes a piece and says what it adds. A piece of a call that never began is skipped.
    pub(crate) fn take(
        &mut self,
        part: CallPart,
        ready: &mut VecDeque<AnswerEvent>,
    ) -> Result<(), AiError> {
        let Some(index) = self.place_of(&part, ready)? else {
            return Ok(());
        };
        let growing = &mut self.calls[index];
        if growing.whole {
            return Ok(());
        }
        if part.signature.is_some() {
            growing.call.signature = part.signature;
        }
        if part.arguments.len() > self.room {
            return Err(AiError::protocol(
                "the arguments of a tool call are too long",
            ));
        }
        self.room -= part.arguments.len();
        if !part.arguments.is_empty() {
            growing.call.arguments.push_str(&part.arguments);
            ready.push_back(AnswerEvent::ToolCallArguments {
                index,
                text: part.arguments,
            });
        }
        if part.whole {
            growing.close(index, ready);
        }
        Ok(())
    }

    /// Nothing more will come: what is there is the whole.
    pub(crate) fn close(&mut self, ready: &mut VecDeque<AnswerEvent>) {
        for (index, growing) in self.calls.iter_mut().enumerate() {
            growing.close(index, ready);
        }
    }

    /// Which call `part` belongs to; a new one where it has a name of its own.
    fn place_of(
        &mut self,
        part: &CallPart,
        ready: &mut VecDeque<AnswerEvent>,
    ) -> Result<Option<usize>, AiError> {
        let id = part.id.as_deref().filter(|it| !it.is_empty());
        let name = part.name.as_deref().filter(|it| !it.is_empty());
        let known = match part.key {
            Some(_) => self.calls.iter().rposition(|it| it.key == part.key),
            None if name.is_some() => None,
            None => self.calls.len().checked_sub(1),
        };
        // Some servers give every call of an answer the same index, but ids of their own.
        let is_another = |it: &usize| {
            let growing = &self.calls[*it];
            name.is_some() && growing.named && id.is_some_and(|id| id != growing.call.id)
        };
        if let Some(known) = known.filter(|it| !is_another(it)) {
            return Ok(Some(known));
        }
        let Some(name) = name else {
            return Ok(None);
        };
        if self.calls.len() == MOST_CALLS {
            return Err(AiError::protocol("the answer has too many tool calls"));
        }
        if name.len() > NAME_BYTES || id.is_some_and(|it| it.len() > NAME_BYTES) {
            return Err(AiError::protocol("the name of a tool call is too long"));
        }
        let index = self.calls.len();
        let call = ToolCall {
            id: id.map_or_else(
                || format!("{MADE_UP_ID}{}", self.first_id + index),
                str::to_owned,
            ),
            name: name.to_owned(),
            arguments: String::new(),
            signature: match index {
                0 => ToolCall::signature_of(&self.thoughts),
                _ => None,
            },
        };
        ready.push_back(AnswerEvent::ToolCallStart {
            index,
            id: call.id.clone(),
            name: call.name.clone(),
        });
        self.calls.push(Growing {
            call,
            key: part.key,
            named: id.is_some(),
            whole: false,
        });
        Ok(Some(index))
    }
}

impl Growing {
    fn close(&mut self, index: usize, ready: &mut VecDeque<AnswerEvent>) {
        if !std::mem::replace(&mut self.whole, true) {
            let call = self.call.clone();
            ready.push_back(AnswerEvent::ToolCall { index, call });
        }
    }
}

/// The calls of an answer that came whole.
pub(crate) fn whole(
    parts: Vec<CallPart>,
    thoughts: &str,
    first_id: usize,
    room: usize,
) -> Result<Vec<ToolCall>, AiError> {
    let mut calls = Calls::new(first_id, room);
    calls.think(thoughts);
    let mut ready = VecDeque::new();
    for part in parts {
        calls.take(part, &mut ready)?;
    }
    Ok(calls.calls.into_iter().map(|it| it.call).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(key: Option<u64>, id: &str, name: &str, arguments: &str) -> CallPart {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        CallPart {
            key,
            id: given(id),
            name: given(name),
            arguments: arguments.to_owned(),
            ..CallPart::default()
        }
    }

    fn gathered(parts: Vec<CallPart>) -> Vec<(String, String, String)> {
        let calls = whole(parts, "", 7, 100).unwrap();
        calls
            .into_iter()
            .map(|it| (it.id, it.name, it.arguments))
            .collect()
    }

    fn row(id: &str, name: &str, arguments: &str) -> (String, String, String) {
        (id.to_owned(), name.to_owned(), arguments.to_owned())
    }

    #[test]
    fn pieces_find_their_call_however_a_server_numbers_them() {
        // OpenAI: by index, interleaved.
        let parts = vec![
            part(Some(0), "a", "one", ""),
            part(Some(1), "b", "two", "{"),
            part(Some(0), "", "", "{}"),
            part(Some(1), "", "", "}"),
        ];
        assert_eq!(
            gathered(parts),
            [row("a", "one", "{}"), row("b", "two", "{}")]
        );
        // One index for all, told apart by their ids; the id repeated in every piece.
        let parts = vec![
            part(Some(0), "a", "one", "{"),
            part(Some(0), "a", "one", "}"),
            part(Some(0), "b", "one", "[]"),
        ];
        assert_eq!(
            gathered(parts),
            [row("a", "one", "{}"), row("b", "one", "[]")]
        );
        // Neither index nor id: whole calls, one after the other.
        let parts = vec![part(None, "", "one", "{}"), part(None, "", "one", "{}")];
        assert_eq!(
            gathered(parts),
            [row("call_7", "one", "{}"), row("call_8", "one", "{}")]
        );
        // A piece of a call that never began.
        assert_eq!(gathered(vec![part(Some(3), "x", "", "{}")]), []);
        assert_eq!(gathered(vec![part(None, "", "", "{}")]), []);
    }

    #[test]
    fn arguments_and_calls_are_bounded() {
        let long = part(Some(0), "a", "one", &"x".repeat(101));
        assert!(whole(vec![long], "", 0, 100).is_err());
        let halves = vec![
            part(Some(0), "a", "one", &"x".repeat(60)),
            part(Some(1), "b", "one", &"x".repeat(60)),
        ];
        assert!(whole(halves, "", 0, 100).is_err());
        let many = (0..65).map(|it| part(Some(it), "", "one", "")).collect();
        assert!(whole(many, "", 0, 100).is_err());
        let name = part(Some(0), "a", &"n".repeat(257), "");
        assert!(whole(vec![name], "", 0, 100).is_err());
    }

    #[test]
    fn thoughts_stay_with_the_first_call_unless_they_are_too_long() {
        let two = || vec![part(Some(0), "a", "one", ""), part(Some(1), "b", "one", "")];
        let thoughts = |text: &str| {
            let calls = whole(two(), text, 0, 100).unwrap();
            let of = |call: &ToolCall| call.thoughts().map(str::to_owned);
            (of(&calls[0]), of(&calls[1]))
        };
        assert_eq!(thoughts("hm"), (Some("hm".to_owned()), None));
        assert_eq!(thoughts(""), (None, None));
        assert_eq!(thoughts(&"x".repeat(THOUGHT_BYTES + 1)), (None, None));
    }
}
