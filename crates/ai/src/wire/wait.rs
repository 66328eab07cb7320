//! How long a refused request should wait, by the reply's headers.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, header};

/// A wait that is longer than this is as good as none said.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// The limits of OpenAI and those who copied its headers.
const LIMITS: &[(&str, &str)] = &[
    (
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
];

/// The wait that the headers ask for: OpenAI's `retry-after-ms`, else `Retry-After` in seconds or
/// as a date, else when the limits are lifted. A time is compared with the reply's own date.
pub(super) fn of(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let now = || text(header::DATE.as_str()).and_then(date);
    let milliseconds = text("retry-after-ms").and_then(seconds).map(|it| it / 1000);
    let wait = milliseconds
        .or_else(|| {
            let value = text(header::RETRY_AFTER.as_str())?;
            seconds(value).or_else(|| Some(between(now()?, date(value)?)))
        })
        .or_else(|| lifted(&text, now()))?;
    (wait <= LONGEST_WAIT).then_some(wait)
}

/// When the limit that is used up is lifted. Where none says that it is, the one that is lifted
/// first is taken for it: a request may be larger than what remains.
fn lifted<'a>(
    text: &impl Fn(&str) -> Option<&'a str>,
    now: Option<DateTime<Utc>>,
) -> Option<Duration> {
    let waits = |used_up: bool| {
        LIMITS.iter().filter_map(move |(remaining, reset)| {
            let is_used_up = text(remaining).map(str::trim) == Some("0");
            let wait = reset_after(text(reset)?, now)?;
            (is_used_up || !used_up).then_some(wait)
        })
    };
    waits(true).max().or_else(|| waits(false).min())
}

/// A reset as OpenAI and Groq write it (`6m0s`, `7.66s`, `120ms`), in seconds, or as OpenRouter
/// does, in milliseconds since 1970.
fn reset_after(text: &str, now: Option<DateTime<Utc>>) -> Option<Duration> {
    if let Ok(number) = text.trim().parse::<i64>() {
        return match DateTime::from_timestamp_millis(number).filter(|_| number > 1_000_000_000_000)
        {
            Some(until) => Some(between(now?, until)),
            None => u64::try_from(number).ok().map(Duration::from_secs),
        };
    }
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let amount = rest[..end].parse::<f64>().ok()?;
        let unit_end = rest[end..]
            .find(|it: char| it.is_ascii_digit())
            .map_or(rest.len(), |it| end + it);
        let unit = match &rest[end..unit_end] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(amount * unit).ok()?)?;
        rest = &rest[unit_end..];
    }
    Some(total)
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn date(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text.trim())
        .ok()
        .map(|it| it.to_utc())
}

fn between(now: DateTime<Utc>, until: DateTime<Utc>) -> Duration {
    (until - now).to_std().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn wait(pairs: &[(&'static str, &'static str)]) -> Option<Duration> {
        let headers = pairs.iter().map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        of(&headers.collect())
    }

    #[test]
    fn the_wait_is_read_in_each_of_its_forms() {
        assert_eq!(
            wait(&[("retry-after", "20")]),
            Some(Duration::from_secs(20))
        );
        assert_eq!(
            wait(&[("retry-after", "1.5")]),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(
            wait(&[("retry-after-ms", "250"), ("retry-after", "1")]),
            Some(Duration::from_millis(250))
        );
        let now = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(
            wait(&[("retry-after", "Wed, 21 Oct 2026 07:29:30 GMT"), now]),
            Some(Duration::from_secs(90))
        );
        assert_eq!(
            wait(&[("retry-after", "Wed, 21 Oct 2026 07:00:00 GMT"), now]),
            Some(Duration::ZERO)
        );
        for nothing in ["-1", "soon", "1e300", "999999999", "NaN"] {
            assert_eq!(wait(&[("retry-after", nothing)]), None, "{nothing}");
        }
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn without_it_the_limit_that_is_used_up_says_when_it_is_lifted() {
        let requests = ("x-ratelimit-reset-requests", "2m59.5s");
        let tokens = ("x-ratelimit-reset-tokens", "7.66s");
        let (used, left) = ("0", "12");
        assert_eq!(
            wait(&[requests, tokens, ("x-ratelimit-remaining-requests", used)]),
            Some(Duration::from_millis(179_500))
        );
        assert_eq!(
            wait(&[requests, tokens, ("x-ratelimit-remaining-requests", left)]),
            Some(Duration::from_millis(7_660))
        );
        assert_eq!(
            wait(&[tokens, ("retry-after", "3")]),
            Some(Duration::from_secs(3))
        );
        for (text, milliseconds) in [
            ("120ms", 120),
            ("1h0m1s", 3_601_000),
            ("6m0s", 360_000),
            ("5", 5_000),
        ] {
            assert_eq!(
                reset_after(text, None),
                Some(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for nothing in ["soon", "1x", "s", "1.2.3s", "-4"] {
            assert_eq!(reset_after(nothing, None), None, "{nothing}");
        }
        // OpenRouter's moment, against the reply's date.
        assert_eq!(
            wait(&[
                ("x-ratelimit-reset", "1792567690000"),
                ("date", "Wed, 21 Oct 2026 07:28:00 GMT")
            ]),
            Some(Duration::from_secs(10))
        );
    }
}
