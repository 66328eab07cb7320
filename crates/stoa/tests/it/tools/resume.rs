//! A stream with steps goes on after any of its events, from any replica, and replays as it was.

use super::{Talk, kinds, of_kind, told_to_the_visitor};
use crate::support::read_stream;

const TWO_ROUNDS: &str = r#"call=find_order{"order_id":"7"},call=find_order{"order_id":"8"},then,call=find_order{"order_id":"9"}"#;

#[tokio::test]
async fn a_finished_answer_replays_as_it_was_from_any_event_on() {
    let talk = Talk::with(TWO_ROUNDS).await;
    let live = talk.answer().await;
    let message = live[0].data["messageId"].as_str().unwrap();
    assert_eq!(of_kind(&live, "tool-output-available").len(), 3);
    let second = talk.server.replica().await;
    for server in [&talk.server.caller, &second.caller] {
        let replayed = talk.chat.on(server).replay(message).await;
        assert_eq!(told_to_the_visitor(&replayed), told_to_the_visitor(&live));
        for (place, event) in live.iter().enumerate() {
            let Some(id) = &event.id else { continue };
            let rest = read_stream(talk.chat.on(server).resume(message, id).await, |_| false).await;
            // Whoever asks for what comes after the end is told the end again.
            let (seen, expected) = live.split_at((place + 1).min(live.len() - 1));
            assert_eq!(kinds(&rest), kinds(expected), "after {id}");
            let whole = [seen, rest.as_slice()].concat();
            assert_eq!(
                told_to_the_visitor(&whole),
                told_to_the_visitor(&live),
                "{id}"
            );
        }
    }
}

#[tokio::test]
async fn a_stream_that_broke_between_steps_goes_on_while_it_is_written() {
    // Two calls that wait for each other, and words that come slowly.
    let talk = Talk::with(
        r#"rate=60,call=meet{"order_id":"1"},call=meet{"order_id":"2"},then,call=find_order{"order_id":"9"}"#,
    )
    .await;
    let second = talk.server.replica().await;
    let enough = |events: &[_]| of_kind(events, "tool-input-available").len() == 1;
    let seen = read_stream(talk.ask().await, enough).await;
    let message = seen[0].data["messageId"].as_str().unwrap();
    let last = seen.last().unwrap().id.clone().unwrap();
    let here = talk.chat.resume(message, &last).await;
    let there = talk.chat.on(&second).resume(message, &last).await;
    let (here, there) = tokio::join!(read_stream(here, |_| false), read_stream(there, |_| false));
    let replayed = told_to_the_visitor(&talk.chat.replay(message).await);
    for rest in [here, there] {
        let whole = [seen.clone(), rest].concat();
        assert_eq!(told_to_the_visitor(&whole), replayed);
    }
}
