//! Why a command did not do its work: one line that says what, one that says what to do.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// A command that failed. Its lines go to standard error, and nothing to standard output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    code: Cow<'static, str>,
    message: String,
    hint: Option<String>,
    status: u8,
}

impl Failure {
    /// A failure with a stable code, in snake case, and a sentence.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self::named(code, message)
    }

    /// The same with a code that was stored.
    pub(crate) fn named(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            hint: None,
            status: 1,
        }
    }

    /// A failure told by an error and all that caused it.
    pub(crate) fn from_error(code: &'static str, error: &dyn Error) -> Self {
        Self::new(code, with_causes(error))
    }

    /// The command was asked for in a way that it cannot be.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            status: 2,
            ..Self::new("usage", message)
        }
    }

    /// Adds what to do about it, a command where there is one.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it; where nothing better is known, to look at the sentence.
    pub(crate) fn remedy(&self) -> &str {
        self.hint
            .as_deref()
            .unwrap_or("do what it says, then try again")
    }

    /// 1, or 2 when the usage was wrong.
    pub(crate) fn exit_code(&self) -> ExitCode {
        self.status.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}: {}", self.code, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// An error and its causes in one line; a cause that the line already says is left out.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !line.contains(&said) {
            line.push_str(": ");
            line.push_str(&said);
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_a_line_and_a_hint() {
        let failure = Failure::new("port_in_use", "8080 is taken").hint("set PORT");
        assert_eq!(
            failure.to_string(),
            "error: port_in_use: 8080 is taken\nhint: set PORT"
        );
    }

    #[test]
    fn causes_are_told_once() {
        let inner = std::io::Error::other("disk full");
        let outer = std::io::Error::other(inner);
        assert_eq!(with_causes(&outer), "disk full");
    }
}
