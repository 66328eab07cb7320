//! The certificate authority that a client gave: whether it is about to run out.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Check, CheckStatus};
use crate::address::DatabaseAddress;

/// How long before its end a certificate is spoken of.
const NOTICE: TimeDelta = TimeDelta::days(30);

/// What there is to say of the address's certificate authority; `None` where it has none.
#[must_use]
pub fn authority_check(address: &DatabaseAddress, now: DateTime<Utc>) -> Option<Check> {
    let authority = address.certificate_authority()?;
    let (subject, until) = (authority.subject(), authority.expires_at());
    let day = until.format("%Y-%m-%d");
    let remedy = "Download the new certificate from your provider's console and give it as \
                  ca_certificate with the address; both may stand in it, one after the other.";
    let (status, detail) = if until <= now {
        (CheckStatus::Warn, format!("{subject} has run out on {day}"))
    } else if until - now <= NOTICE {
        (CheckStatus::Warn, format!("{subject} runs out on {day}"))
    } else {
        (CheckStatus::Pass, format!("{subject}, good until {day}"))
    };
    Some(Check {
        name: "ca_certificate".into(),
        remedy: (status == CheckStatus::Warn).then(|| remedy.into()),
        status,
        detail,
    })
}
