//! An answer's text with the steps between its words: one order of events, wherever it is told
//! from.
//!
//! Text that follows a step begins a new part, two line breaks further on where there are words
//! before it. A position is how much of the text and how many steps have been seen.

use serde_json::Value;

use super::event::{Cursor, Event, EventId};
use super::step::{self, Placed, Step, TextPart};

/// What stands between the words before a step and those after it.
const BETWEEN_PARTS: &str = "\n\n";

/// What an answer says and does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    text: String,
    steps: Vec<Placed>,
}

impl Body {
    /// As it was stored. Places that cannot be are moved to where they can: the client's database
    /// may hold anything.
    #[must_use]
    pub fn stored(text: &str, steps: &Value) -> Self {
        let mut steps = step::stored(steps);
        let mut least = 0;
        for placed in &mut steps {
            placed.at = text.floor_char_boundary(placed.at).max(least);
            least = placed.at;
        }
        Self {
            text: text.to_owned(),
            steps,
        }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[Placed] {
        &self.steps
    }

    /// Whether nothing was said or done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.steps.is_empty()
    }

    /// Adds text. What PostgreSQL cannot hold, a database cannot keep, so that nobody is told it.
    pub fn push_text(&mut self, text: &str) {
        if self.open_part().is_none() {
            let part = self.last_part().next();
            self.place(Step::TextStart { part });
            if !self.text.trim().is_empty() {
                self.text.push_str(BETWEEN_PARTS);
            }
        }
        self.text.extend(text.split('\0'));
    }

    /// Adds a step, at which the text stops.
    pub fn push_step(&mut self, step: Step) {
        if let Some(part) = self.open_part() {
            self.place(Step::TextEnd { part });
        }
        self.place(step);
    }

    /// Says of every call without an outcome what is known of it, since the answer ends here.
    pub fn end_calls(&mut self) {
        for (call, text) in step::unfinished(&self.steps) {
            let text = text.to_owned();
            self.push_step(Step::Failed { call, text });
        }
    }

    fn place(&mut self, step: Step) {
        self.steps.push(Placed {
            at: self.text.len(),
            step,
        });
    }

    /// Takes over a longer one of which this is the beginning.
    pub fn extend_to(&mut self, longer: &Self) {
        let is_beginning =
            longer.text.starts_with(&self.text) && longer.steps.starts_with(&self.steps);
        if is_beginning {
            self.clone_from(longer);
        }
    }

    /// The part that is being written, if one is.
    #[must_use]
    pub fn open_part(&self) -> Option<TextPart> {
        match self.steps.last().map(|it| &it.step) {
            None => Some(TextPart::FIRST),
            Some(Step::TextStart { part }) => Some(*part),
            Some(_) => None,
        }
    }

    fn last_part(&self) -> TextPart {
        part_after(&self.steps)
    }

    /// What comes after a position, which is moved to the end.
    pub(super) fn take_after(&self, cursor: &mut Cursor, events: &mut Vec<(EventId, Event)>) {
        loop {
            let step = self.steps.get(cursor.steps);
            let limit = step.map_or(self.text.len(), |it| it.at);
            let begin = self.text.floor_char_boundary(cursor.text);
            if let Some(delta) = self.text.get(begin..limit).filter(|it| !it.is_empty()) {
                let seen = &self.steps[..cursor.steps.min(self.steps.len())];
                let event = Event::TextDelta(part_after(seen), delta.to_owned());
                cursor.text = limit;
                events.push((cursor.text_id(), event));
            }
            let Some(Placed { at, step }) = step else {
                return;
            };
            cursor.steps += 1;
            let id = EventId::Text {
                bytes: *at,
                steps: cursor.steps,
            };
            events.push((id, Event::Step(step.clone())));
        }
    }
}

/// The last part of the text that began with one of these steps, or before all of them.
fn part_after(steps: &[Placed]) -> TextPart {
    let begun = steps.iter().rev().find_map(|it| match it.step {
        Step::TextStart { part } => Some(part),
        _ => None,
    });
    begun.unwrap_or(TextPart::FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::step::CallNumber;
    use proptest::prelude::*;
    use serde_json::json;

    fn start(call: u16) -> Step {
        Step::CallStart {
            call: CallNumber(call),
            tool: "t".into(),
        }
    }

    fn told(body: &Body, after: &str) -> Vec<(String, Event)> {
        let mut events = Vec::new();
        let mut cursor = match after {
            "" => Cursor::default(),
            id => Cursor::parse(id).unwrap(),
        };
        body.take_after(&mut cursor, &mut events);
        let ids = events.into_iter();
        ids.map(|(id, event)| (id.to_string(), event)).collect()
    }

    fn ids(body: &Body, after: &str) -> Vec<String> {
        told(body, after).into_iter().map(|(id, _)| id).collect()
    }

    /// Deltas may come in other pieces; what they join to may not differ.
    fn joined(events: Vec<(String, Event)>) -> Vec<(String, Event)> {
        let mut joined: Vec<(String, Event)> = Vec::new();
        for (id, event) in events {
            match (joined.last_mut(), event) {
                (Some((last, Event::TextDelta(before, text))), Event::TextDelta(part, more))
                    if *before == part =>
                {
                    text.push_str(&more);
                    *last = id;
                }
                (_, event) => joined.push((id, event)),
            }
        }
        joined
    }

    #[test]
    fn text_and_steps_have_one_order_and_parts_are_apart() {
        let mut body = Body::default();
        body.push_text("Let me ");
        body.push_text("look.");
        body.push_step(start(1));
        body.push_step(start(2));
        body.push_text("Found");
        assert_eq!(body.text(), "Let me look.\n\nFound");
        assert_eq!(
            ids(&body, ""),
            ["t12", "t12.1", "t12.2", "t12.3", "t12.4", "t19.4"]
        );
        let events = told(&body, "t12.3");
        let second = TextPart::FIRST.next();
        assert_eq!(events[0].1, Event::Step(Step::TextStart { part: second }));
        assert_eq!(
            events[1].1,
            Event::TextDelta(second, "\n\nFound".to_owned())
        );
        assert_eq!(ids(&body, "t14.4"), ["t19.4"]);
        assert_eq!(body.open_part(), Some(second));
    }

    #[test]
    fn a_part_without_words_before_it_has_no_gap() {
        let mut body = Body::default();
        body.push_step(start(1));
        assert_eq!(body.open_part(), None);
        body.push_text("Found");
        assert_eq!(body.text(), "Found");
        assert_eq!(ids(&body, ""), ["t0.1", "t0.2", "t0.3", "t5.3"]);
    }

    #[test]
    fn what_a_database_makes_up_is_put_where_it_can_be() {
        let steps = json!([
            {"at": 1, "type": "text_end", "part": 1},
            {"at": 99, "type": "call_start", "call": 1, "tool": "t"},
            {"at": 0, "type": "denied", "call": 1},
        ]);
        let body = Body::stored("ü!", &steps);
        let places: Vec<_> = body.steps().iter().map(|it| it.at).collect();
        assert_eq!(places, [0, 3, 3]);
        assert_eq!(ids(&body, ""), ["t0.1", "t3.1", "t3.2", "t3.3"]);
        assert_eq!(ids(&body, "t999.999"), [""; 0]);
        assert_eq!(Body::stored("x", &json!({"a": 1})).steps(), []);
    }

    #[test]
    fn what_was_under_way_when_an_answer_ended_is_said_to_have_ended() {
        let mut body = Body::default();
        body.push_step(start(1));
        body.push_step(start(2));
        body.push_step(Step::Denied {
            call: CallNumber(2),
        });
        let seen = ids(&body, "");
        body.end_calls();
        let rest = told(&body, seen.last().unwrap());
        assert_eq!(rest.len(), 1);
        assert!(
            matches!(&rest[0], (id, Event::Step(Step::Failed { call: CallNumber(1), .. })) if id == "t0.5"),
            "{rest:?}"
        );
        let once = body.clone();
        body.end_calls();
        assert_eq!(body, once);
    }

    /// What a writer does: some text, or a step.
    #[derive(Clone, Debug)]
    enum Did {
        Said(String),
        Called(u16),
    }

    fn doings() -> impl Strategy<Value = Vec<Did>> {
        let did = prop_oneof![
            "[ aü東🦀\n]{1,6}".prop_map(Did::Said),
            (1..9_u16).prop_map(Did::Called),
        ];
        prop::collection::vec(did, 0..12)
    }

    fn written(doings: &[Did]) -> Body {
        let mut body = Body::default();
        for did in doings {
            match did {
                Did::Said(text) => body.push_text(text),
                Did::Called(call) => body.push_step(start(*call)),
            }
        }
        body
    }

    proptest! {
        /// Whatever was written, wherever a stream was cut, and however far the writer was then:
        /// what was seen and what is told after it are the whole, without a gap or a repetition.
        #[test]
        fn what_was_seen_and_the_rest_are_the_whole(
            doings in doings(),
            when in 0..12_usize,
            cut in 0..40_usize,
        ) {
            let whole = written(&doings);
            let early = written(&doings[..when.min(doings.len())]);
            let mut seen = told(&early, "");
            seen.truncate(cut);
            let after = seen.last().map_or(String::new(), |(id, _)| id.clone());
            seen.extend(told(&whole, &after));
            prop_assert_eq!(joined(seen), joined(told(&whole, "")));
        }

        /// A stored answer is told as the live one was, and a follower that reads the row now and
        /// then ends with the same.
        #[test]
        fn the_row_tells_the_same(doings in doings(), when in 0..12_usize) {
            let whole = written(&doings);
            let steps = serde_json::to_value(whole.steps()).unwrap();
            let stored = Body::stored(whole.text(), &steps);
            prop_assert_eq!(&stored, &whole);
            let mut followed = written(&doings[..when.min(doings.len())]);
            followed.extend_to(&stored);
            prop_assert_eq!(followed, whole);
        }

        /// Text parts open and close in turn, and steps stand between them.
        #[test]
        fn parts_open_and_close_in_turn(doings in doings()) {
            let body = written(&doings);
            let mut open = Some(TextPart::FIRST);
            for (_, event) in told(&body, "") {
                match event {
                    Event::Step(Step::TextEnd { part }) => {
                        prop_assert_eq!(open, Some(part));
                        open = None;
                    }
                    Event::Step(Step::TextStart { part }) => {
                        prop_assert_eq!(open, None);
                        open = Some(part);
                    }
                    Event::TextDelta(part, _) => prop_assert_eq!(open, Some(part)),
                    _ => prop_assert_eq!(open, None),
                }
            }
            prop_assert_eq!(open, body.open_part());
        }
    }
}
