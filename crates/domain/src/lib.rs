//! The words of Stoa: ids, clock, secrets and the values that the other crates speak in.
//!
//! Nothing here does I/O, and time and randomness are arguments ([`Clock`], [`Random`]), so that
//! tests own both. Values are parsed at the edge into types that cannot be wrong afterwards.

mod clock;
mod id;
mod random;
mod text;
mod words;

pub mod budgets;
pub mod live_configuration;
pub mod rag_instructions;
pub mod seal;
pub mod token;
pub mod violation;

pub use budgets::{Budgets, PeriodLimits, SpendLimit};
pub use clock::Clock;
pub use id::{
    ApiConfigurationId, ApiTokenId, AuditEntryId, ChunkId, DocumentId, EndUserId, InstanceAdminId,
    InstanceId, JobId, McpServerId, MessageId, MoveId, SessionId, SignInLinkId, SuperAdminId,
    ToolCallId, ToolId, UserSessionId,
};
pub use live_configuration::LiveConfiguration;
pub use rag_instructions::RagInstructions;
pub use random::Random;
pub use text::{Email, InstanceName, InvalidText, Slug};
pub use violation::Violation;
pub use words::{
    AdminRole, AnswerPolicy, DatabaseMode, DatabaseState, DocumentSource, DocumentStatus,
    FinishReason, InstanceStatus, MessageRole, MessageState, Provider, Rating, SessionStatus,
    ToolCallState, ToolEffect, ToolMethod, UnknownWord,
};
