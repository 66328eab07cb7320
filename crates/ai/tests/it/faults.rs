//! Answers that have begun, and what may happen to them then.

use std::time::Duration;

use stoa_ai::{Ai, AiErrorCode, Ending, Limits};
use stoa_fake_ai::FakeAi;
use stoa_outbound::{AddressPolicy, Outbound};

use crate::{ANSWER, WIRES, ai, ask, impatient};

/// What the fake puts before its answer where characters are to be cut.
const WIDE: &str = "Grüße aus 東京 🦀, naïve café. ";

#[tokio::test]
async fn however_the_bytes_come_the_answer_is_the_same() {
    let fake = FakeAi::start().await.unwrap();
    for wire in WIRES {
        for behaviour in [
            "split_utf8",
            "split_utf8,write=1",
            "split_utf8,write=7,crlf",
            "split_utf8,cr",
            "split_utf8,comments,crlf",
            "split_utf8,data_lines",
            "split_utf8,data_lines,crlf,write=3",
            "split_utf8,reasoning=3",
            "split_utf8,no_done",
            "split_utf8,no_done,write=1,cr",
        ] {
            let what = format!("{}: {behaviour}", wire.name);
            let all = wire.ask(&ai(), &fake, behaviour).await.unwrap();
            assert_eq!(all.text, format!("{WIDE}{ANSWER}"), "{what}");
            assert_eq!(all.finish, Some(Ending::Stop), "{what}");
            assert!(all.usage.is_some(), "{what}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_keeps_what_came_and_says_why() {
    use AiErrorCode as Code;
    let fake = FakeAi::start().await.unwrap();
    for wire in WIRES {
        for (behaviour, text, code) in [
            ("drop_after=2", "You asked: ", Code::Interrupted),
            ("end_after=2", "You asked: ", Code::Interrupted),
            ("error_after=2", "You asked: ", Code::Overloaded),
            ("bad_json_after=2", "You asked: ", Code::Protocol),
            ("hang_after=2", "You asked: ", Code::Timeout),
            ("hang_after=2,comments", "You asked: ", Code::Timeout),
            ("no_finish,no_done,no_usage", ANSWER, Code::Interrupted),
        ] {
            let what = format!("{}: {behaviour}", wire.name);
            let all = wire.ask(&impatient(), &fake, behaviour).await.unwrap();
            assert_eq!(all.text, text, "{what}");
            assert_eq!(all.error.map(|it| it.code()), Some(code), "{what}");
            assert_eq!(all.finish, None, "{what}");
        }
    }
    let all = ask(&ai(), &fake, "finish=error").await.unwrap();
    assert_eq!(all.error.map(|it| it.code()), Some(Code::Overloaded));
}

#[tokio::test]
async fn a_cut_in_the_middle_of_a_character_makes_no_character() {
    let fake = FakeAi::start().await.unwrap();
    // The first token holds the character, so nothing was said yet.
    for wire in WIRES {
        let error = wire.ask(&ai(), &fake, "cut_utf8").await.unwrap_err();
        assert_eq!(error.code(), AiErrorCode::Interrupted, "{}", wire.name);
    }
}

#[tokio::test]
async fn an_answer_that_finished_is_complete_whatever_follows() {
    let fake = FakeAi::start().await.unwrap();
    for wire in WIRES {
        for behaviour in [
            "no_done",
            "no_done,no_usage",
            "no_done,stay_open",
            "stay_open",
        ] {
            let what = format!("{}: {behaviour}", wire.name);
            let all = wire.ask(&impatient(), &fake, behaviour).await.unwrap();
            assert_eq!(all.text, ANSWER, "{what}");
            assert_eq!(all.finish, Some(Ending::Stop), "{what}");
            assert_eq!(all.error, None, "{what}");
        }
    }
}

#[tokio::test]
async fn slow_tokens_are_no_silence() {
    let fake = FakeAi::start().await.unwrap();
    // Longer in all than any one deadline, with thoughts that are not shown.
    let ai = impatient();
    let asked = WIRES.map(|wire| {
        let (ai, fake) = (&ai, &fake);
        async move {
            let behaviour = "rate=12,reasoning=5";
            wire.ask(ai, fake, behaviour).await.unwrap()
        }
    });
    for all in futures_util::future::join_all(asked).await {
        assert_eq!(all.text, ANSWER);
        assert_eq!(all.error, None);
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_at_its_bounds() {
    let fake = FakeAi::start().await.unwrap();
    let limits = Limits {
        answer_bytes: 10_000,
        ..Limits::default()
    };
    let bounded = Ai::with_limits(Outbound::new(AddressPolicy::loopback()), limits);
    for wire in WIRES {
        let behaviour = "tokens=1000000000,text=東京";
        let all = wire.ask(&bounded, &fake, behaviour).await.unwrap();
        assert_eq!(all.text.len(), 9_999, "at the last whole character");
        assert_eq!(all.finish, Some(Ending::Length), "{}", wire.name);
    }

    let limits = Limits {
        answer: Duration::from_millis(400),
        ..Limits::default()
    };
    let bounded = Ai::with_limits(Outbound::new(AddressPolicy::loopback()), limits);
    for behaviour in ["tokens=1000000000,rate=100", "tokens=1000000000,text=a "] {
        let all = ask(&bounded, &fake, behaviour).await.unwrap();
        assert_eq!(all.finish, Some(Ending::Length), "{behaviour}");
        assert!(!all.text.is_empty());
    }
}

#[tokio::test]
async fn a_large_token_passes_within_the_bound_and_not_beyond() {
    let fake = FakeAi::start().await.unwrap();
    for wire in WIRES {
        let all = wire.ask(&ai(), &fake, "huge=200000").await.unwrap();
        assert_eq!(all.text.len(), 200_000, "{}", wire.name);
        let all = wire.ask(&ai(), &fake, "huge=1048576").await.unwrap();
        assert_eq!(all.text.len(), 1 << 20, "{}", wire.name);
        let all = wire.ask(&ai(), &fake, "huge=1048577").await.unwrap();
        assert_eq!(all.text.len(), 1 << 20, "{}", wire.name);
        assert_eq!(all.finish, Some(Ending::Length), "{}", wire.name);
        let error = wire.ask(&ai(), &fake, "huge=5000000").await.unwrap_err();
        assert_eq!(error.code(), AiErrorCode::Protocol, "{}", wire.name);
    }
}
