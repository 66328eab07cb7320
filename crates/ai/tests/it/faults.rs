//! Answers that have begun, and what may happen to them then.

use std::time::Duration;

use stoa_ai::{Ai, AiErrorCode, Limits};
use stoa_domain::FinishReason;
use stoa_fake_ai::FakeAi;
use stoa_outbound::{AddressPolicy, Outbound};

use crate::{ANSWER, ai, ask, impatient};

/// What the fake puts before its answer where characters are to be cut.
const WIDE: &str = "Grüße aus 東京 🦀, naïve café. ";

#[tokio::test]
async fn however_the_bytes_come_the_answer_is_the_same() {
    let fake = FakeAi::start().await.unwrap();
    for behaviour in [
        "split_utf8",
        "split_utf8,write=1",
        "split_utf8,write=7,crlf",
        "split_utf8,cr",
        "split_utf8,comments,crlf",
        "split_utf8,reasoning=3",
        "split_utf8,no_done",
        "split_utf8,no_done,write=1,cr",
    ] {
        let all = ask(&ai(), &fake, behaviour).await.unwrap();
        assert_eq!(all.text, format!("{WIDE}{ANSWER}"), "{behaviour}");
        assert_eq!(all.finish, Some(FinishReason::Stop), "{behaviour}");
        assert!(all.usage.is_some(), "{behaviour}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_keeps_what_came_and_says_why() {
    use AiErrorCode as Code;
    let fake = FakeAi::start().await.unwrap();
    for (behaviour, text, code) in [
        ("drop_after=2", "You asked: ", Code::Interrupted),
        ("end_after=2", "You asked: ", Code::Interrupted),
        ("error_after=2", "You asked: ", Code::Overloaded),
        ("bad_json_after=2", "You asked: ", Code::Protocol),
        ("hang_after=2", "You asked: ", Code::Timeout),
        ("hang_after=2,comments", "You asked: ", Code::Timeout),
        ("no_finish,no_done,no_usage", ANSWER, Code::Interrupted),
    ] {
        let all = ask(&impatient(), &fake, behaviour).await.unwrap();
        assert_eq!(all.text, text, "{behaviour}");
        assert_eq!(all.error.map(|it| it.code()), Some(code), "{behaviour}");
        assert_eq!(all.finish, None, "{behaviour}");
    }
    let all = ask(&ai(), &fake, "finish=error").await.unwrap();
    assert_eq!(all.error.map(|it| it.code()), Some(Code::Overloaded));
}

#[tokio::test]
async fn a_cut_in_the_middle_of_a_character_makes_no_character() {
    let fake = FakeAi::start().await.unwrap();
    // The first token holds the character, so nothing was said yet.
    let error = ask(&ai(), &fake, "cut_utf8").await.unwrap_err();
    assert_eq!(error.code(), AiErrorCode::Interrupted);
}

#[tokio::test]
async fn an_answer_that_finished_is_complete_whatever_follows() {
    let fake = FakeAi::start().await.unwrap();
    for behaviour in [
        "no_done",
        "no_done,no_usage",
        "no_done,stay_open",
        "stay_open",
    ] {
        let all = ask(&impatient(), &fake, behaviour).await.unwrap();
        assert_eq!(all.text, ANSWER, "{behaviour}");
        assert_eq!(all.finish, Some(FinishReason::Stop), "{behaviour}");
        assert_eq!(all.error, None, "{behaviour}");
    }
}

#[tokio::test]
async fn slow_tokens_are_no_silence() {
    let fake = FakeAi::start().await.unwrap();
    // Longer in all than any one deadline, with thoughts that are not shown.
    let all = ask(&impatient(), &fake, "rate=12,reasoning=5")
        .await
        .unwrap();
    assert_eq!(all.text, ANSWER);
    assert_eq!(all.error, None);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_at_its_bounds() {
    let fake = FakeAi::start().await.unwrap();
    let limits = Limits {
        answer_bytes: 10_000,
        ..Limits::default()
    };
    let bounded = Ai::with_limits(Outbound::new(AddressPolicy::loopback()), limits);
    let all = ask(&bounded, &fake, "tokens=1000000000,text=東京")
        .await
        .unwrap();
    assert_eq!(all.text.len(), 9_999, "at the last whole character");
    assert_eq!(all.finish, Some(FinishReason::Length));

    let limits = Limits {
        answer: Duration::from_millis(400),
        ..Limits::default()
    };
    let bounded = Ai::with_limits(Outbound::new(AddressPolicy::loopback()), limits);
    for behaviour in ["tokens=1000000000,rate=100", "tokens=1000000000,text=a "] {
        let all = ask(&bounded, &fake, behaviour).await.unwrap();
        assert_eq!(all.finish, Some(FinishReason::Length), "{behaviour}");
        assert!(!all.text.is_empty());
    }
}

#[tokio::test]
async fn a_large_token_within_the_bound_passes() {
    let fake = FakeAi::start().await.unwrap();
    assert_eq!(
        ask(&ai(), &fake, "huge=200000").await.unwrap().text.len(),
        200_000
    );
}
