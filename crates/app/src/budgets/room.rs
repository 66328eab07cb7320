//! Whether the limits have room for a call, and waiting for it where others only hold it.

use std::time::{Duration, Instant};

use stoa_platform_db::DbError;
use stoa_platform_db::budgets::{self, Reservation, Standing};

use crate::App;

/// How long a call waits for room that others have only reserved: they take less than they may, as a
/// rule, and give the rest back when they end.
const WAITS: Duration = Duration::from_secs(15);
/// How long until it asks again; twice as long each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Asks for room, and again while only what others have reserved stands against it: a visitor is not
/// told that a budget is used up of which most is left.
pub(super) async fn of(app: &App, reservation: &Reservation<'_>) -> Result<Vec<Standing>, DbError> {
    let until = Instant::now() + WAITS;
    let mut pause = FIRST_PAUSE;
    loop {
        let standings = {
            let mut connection = app.platform().acquire().await?;
            budgets::reserve(&mut connection, reservation).await?
        };
        if !may_come(reservation, &standings) || Instant::now() >= until {
            return Ok(standings);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether there is no room now, and may be when the calls that are under way have ended: no limit is
/// used up by what was spent.
fn may_come(reservation: &Reservation<'_>, standings: &[Standing]) -> bool {
    let own = reservation.own;
    let without_room = || {
        let seen = reservation.limits.iter().zip(standings);
        seen.filter(|(_, standing)| !standing.has_room)
    };
    without_room().next().is_some()
        && without_room().all(|(limit, standing)| {
            let is_left = |most: Option<i64>, spent: i64, own: i64| {
                most.is_none_or(|most| spent.saturating_add(own) < most)
            };
            is_left(limit.tokens, standing.spent_tokens, own.tokens)
                && is_left(limit.micros, standing.spent_micros, own.micros.unwrap_or(0))
        })
}

#[cfg(test)]
mod tests {
    use super::may_come as may_come_beside;
    use super::*;
    use stoa_domain::{Clock, InstanceId, MessageId, Random};
    use stoa_platform_db::budgets::{Amount, Limit, People, Period, Subject};
    use stoa_platform_db::usage_events::UsageKind;

    #[test]
    fn room_may_come_only_where_what_was_spent_leaves_some() {
        let limit = |tokens, micros| Limit {
            subject: Subject::Instance,
            period: Period::Day,
            tokens,
            micros,
        };
        let standing = |spent_tokens, spent_micros, has_room| Standing {
            spent_tokens,
            spent_micros,
            reserved_tokens: 90,
            reserved_micros: 90,
            has_room,
        };
        let may_come = |own: i64, of: &[(Limit, Standing)]| {
            let (limits, standings): (Vec<_>, Vec<_>) = of.iter().copied().unzip();
            let (clock, random) = (Clock::system(), Random::seeded(1));
            let own = Amount {
                tokens: own,
                micros: Some(own),
            };
            let reservation = Reservation {
                instance: InstanceId::generate(&clock, &random),
                message: MessageId::generate(&clock, &random),
                kind: UsageKind::Answer,
                people: People::default(),
                wanted: own,
                own,
                limits: &limits,
                at: clock.now(),
                until: clock.now(),
            };
            may_come_beside(&reservation, &standings)
        };
        let (tokens, money) = (limit(Some(100), None), limit(None, Some(100)));
        assert!(may_come(0, &[(tokens, standing(99, 500, false))]));
        assert!(!may_come(0, &[(tokens, standing(100, 0, false))]));
        assert!(!may_come(1, &[(tokens, standing(99, 0, false))]));
        assert!(may_come(0, &[(money, standing(500, 99, false))]));
        assert!(!may_come(0, &[(money, standing(0, 100, false))]));
        assert!(!may_come(0, &[(tokens, standing(0, 0, true))]), "there is");
        let one_is_used_up = [
            (tokens, standing(10, 0, false)),
            (money, standing(0, 100, false)),
        ];
        assert!(!may_come(0, &one_is_used_up));
        assert!(!may_come(0, &[]));
    }
}
