//! How long a failed job rests.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(3600);

/// The rest after the `attempt`th failure: doubling from 2 s up to an hour, of which the second
/// half is scattered by `fraction` (0 to 1), so that what failed together does not return together.
#[must_use]
pub fn backoff(attempt: i32, fraction: f64) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or_default();
    let longest = FIRST
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(LONGEST);
    longest.mul_f64(0.5 + 0.5 * fraction.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_an_hour_and_are_scattered() {
        assert_eq!(backoff(1, 1.0), Duration::from_secs(2));
        assert_eq!(backoff(1, 0.0), Duration::from_secs(1));
        assert_eq!(backoff(4, 1.0), Duration::from_secs(16));
        assert_eq!(backoff(i32::MAX, 1.0), LONGEST);
        assert_eq!(backoff(i32::MIN, f64::NAN.max(0.0)), Duration::from_secs(1));
    }
}
