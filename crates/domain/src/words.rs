//! The fixed words of the contract: states, modes, roles and kinds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A word that is not one of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{word}” is no {kind}; known are {known}")]
pub struct UnknownWord {
    word: String,
    kind: &'static str,
    known: String,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every one of them, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word as the contract writes it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word).ok_or_else(|| UnknownWord {
                    word: word.chars().take(40).collect(),
                    kind: stringify!($name),
                    known: Self::ALL.iter().map(|known| known.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    )+};
}

words! {
    /// Where an instance stands in its life.
    InstanceStatus {
        /// Created; its database or its AI is not ready yet.
        AwaitingSetup = "awaiting_setup",
        /// Answers visitors.
        Active = "active",
        /// Stopped by the platform; resumes as it was.
        Suspended = "suspended",
        /// On its way out; answers nobody.
        Deleting = "deleting",
    }
    /// Whose cluster the client database is on.
    DatabaseMode {
        /// Created by the platform on its own cluster.
        Managed = "managed",
        /// The client's own.
        External = "external",
    }
    /// What is known of a client database.
    DatabaseState {
        /// No address has been given.
        Unset = "unset",
        /// Connected and up to date.
        Ready = "ready",
        /// Does not answer.
        Unreachable = "unreachable",
        /// Paused by its provider.
        Paused = "paused",
        /// Its schema is being brought up to date.
        Migrating = "migrating",
        /// It belongs to another instance.
        Mismatch = "mismatch",
    }
    /// What a client admin may do.
    AdminRole {
        /// Everything, other admins included.
        Owner = "owner",
        /// Everything but other admins.
        Admin = "admin",
        /// Conversations only.
        Agent = "agent",
    }
    /// Whose AI answers.
    Provider {
        /// OpenAI.
        Openai = "openai",
        /// Anthropic.
        Anthropic = "anthropic",
        /// Google Gemini.
        Gemini = "gemini",
        /// Mistral.
        Mistral = "mistral",
        /// Groq.
        Groq = "groq",
        /// DeepSeek.
        Deepseek = "deepseek",
        /// xAI.
        Xai = "xai",
        /// OpenRouter.
        Openrouter = "openrouter",
        /// OpenAI's models on Azure.
        AzureOpenai = "azure_openai",
        /// An Ollama server.
        Ollama = "ollama",
        /// Any server that speaks OpenAI's chat completions.
        OpenaiCompatible = "openai_compatible",
        /// No model: quotes the best passages of the client's documents.
        Passages = "passages",
    }
    /// Who wrote a message.
    MessageRole {
        /// The visitor.
        User = "user",
        /// The bot.
        Assistant = "assistant",
        /// A person of the client's.
        Agent = "agent",
    }
    /// Whether an answer is still being written.
    MessageState {
        /// Being written.
        Streaming = "streaming",
        /// Final.
        Complete = "complete",
    }
    /// Why an answer ended.
    FinishReason {
        /// The model was done.
        Stop = "stop",
        /// The model reached its output limit.
        Length = "length",
        /// The provider withheld the rest.
        ContentFilter = "content_filter",
        /// The visitor stopped it, or left for good.
        Cancelled = "cancelled",
        /// It broke off; what had arrived is kept.
        Interrupted = "interrupted",
        /// It failed.
        Error = "error",
    }
    /// Where a conversation stands.
    SessionStatus {
        /// The bot answers.
        Open = "open",
        /// Waiting for, or with, a person.
        Handoff = "handoff",
        /// Done.
        Closed = "closed",
    }
    /// Where a document stands on its way into the knowledge base.
    DocumentStatus {
        /// Waiting for a worker.
        Queued = "queued",
        /// Being read and split.
        Extracting = "extracting",
        /// Its passages are being embedded.
        Embedding = "embedding",
        /// Found by search.
        Ready = "ready",
        /// Could not be read; its error says why.
        Failed = "failed",
    }
    /// How a document came.
    DocumentSource {
        /// An uploaded file.
        File = "file",
        /// A text given as such.
        Text = "text",
        /// A page on the web.
        Url = "url",
        /// A curated question and its answer.
        Question = "question",
    }
    /// What an answer may be drawn from.
    AnswerPolicy {
        /// The documents and nothing else.
        DocumentsOnly = "documents_only",
        /// The documents where they have something, else the model's own knowledge.
        DocumentsFirst = "documents_first",
        /// Whatever the model knows.
        Free = "free",
    }
    /// A visitor's verdict on an answer.
    Rating {
        /// Helped.
        Up = "up",
        /// Did not.
        Down = "down",
    }
    /// What a call of a tool may do.
    ToolEffect {
        /// It only reads.
        Read = "read",
        /// It changes something: the visitor is asked first.
        Write = "write",
    }
    /// How a call of a tool stands.
    ToolCallState {
        /// The visitor is asked.
        Asking = "asking",
        /// The visitor said yes.
        Approved = "approved",
        /// The visitor said no.
        Denied = "denied",
        /// It is being made, or was when its process ended. Never made again.
        Running = "running",
        /// The tool gave something.
        Done = "done",
        /// It failed.
        Failed = "failed",
        /// The answer ended before it did, or the visitor said nothing in time.
        Abandoned = "abandoned",
    }
    /// The HTTP method by which a tool is called.
    ToolMethod {
        /// Reads, by what HTTP says of it.
        Get = "GET",
        /// Sends something; some servers search by it.
        Post = "POST",
        /// Replaces.
        Put = "PUT",
        /// Changes.
        Patch = "PATCH",
        /// Removes.
        Delete = "DELETE",
    }
}

impl ToolMethod {
    /// What a call does unless the client says otherwise.
    #[must_use]
    pub const fn usual_effect(self) -> ToolEffect {
        match self {
            Self::Get => ToolEffect::Read,
            Self::Post | Self::Put | Self::Patch | Self::Delete => ToolEffect::Write,
        }
    }

    /// Whether a client may say that it only reads. What replaces, changes or removes by its very
    /// name is never taken for reading.
    #[must_use]
    pub const fn may_read(self) -> bool {
        matches!(self, Self::Get | Self::Post)
    }

    /// Whether the arguments go as a body; elsewhere they go in the query.
    #[must_use]
    pub const fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_the_same_in_json_in_text_and_in_sql() {
        for provider in Provider::ALL {
            assert_eq!(provider.as_str().parse::<Provider>().unwrap(), *provider);
            let json = serde_json::to_value(provider).unwrap();
            assert_eq!(json, provider.as_str());
        }
    }

    #[test]
    fn an_unknown_word_is_named_with_those_that_are_known() {
        let error = "gone".parse::<InstanceStatus>().unwrap_err().to_string();
        assert_eq!(
            error,
            "“gone” is no InstanceStatus; known are awaiting_setup, active, suspended, deleting"
        );
    }
}
