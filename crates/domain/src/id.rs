//! One type per id, so that one thing's id cannot be passed for another's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Clock, Random};

/// A version 7 UUID: ordered by time to the millisecond, the rest random (RFC 9562, 5.7).
fn version_7(clock: &Clock, random: &Random) -> Uuid {
    let millis = u64::try_from(clock.now().timestamp_millis()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random.bytes()).into_uuid()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, a version 7 UUID.
            #[must_use]
            pub fn generate(clock: &Clock, random: &Random) -> Self {
                Self(version_7(clock, random))
            }

            /// The id that a database or an address holds.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID, for a database driver.
            #[must_use]
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// A tenant: one client's chatbot. Its id is the `CLIENT_ID`.
    InstanceId
    /// A person who runs the platform.
    SuperAdminId
    /// A person who runs one instance; signs in to its console.
    InstanceAdminId
    /// A signed-in browser of a super admin or client admin.
    UserSessionId
    /// A platform token or a client API key.
    ApiTokenId
    /// A one-time link: set-up or sign-in.
    SignInLinkId
    /// A piece of background work.
    JobId
    /// A move of an instance's database to another.
    MoveId
    /// A line of the audit log.
    AuditEntryId
    /// One conversation.
    SessionId
    /// One message of a conversation.
    MessageId
    /// One call of a tool.
    ToolCallId
    /// A person who chats.
    EndUserId
    /// One AI provider's settings.
    ApiConfigurationId
    /// A document of the knowledge base.
    DocumentId
    /// A passage of a document.
    ChunkId
    /// An MCP server whose tools the client gives its bot.
    McpServerId
    /// A tool that the client described.
    ToolId
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn ids_are_version_7_and_ordered_by_time() {
        let clock = Clock::fixed(DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        let random = Random::seeded(1);
        let first = InstanceId::generate(&clock, &random);
        clock.advance(std::time::Duration::from_millis(1));
        let second = InstanceId::generate(&clock, &random);
        assert_eq!(first.as_uuid().get_version_num(), 7);
        assert!(first < second);
        assert_eq!(first.to_string().parse::<InstanceId>().unwrap(), first);
    }
}
