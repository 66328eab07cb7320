//! What a server does, from the first byte to the last.

use std::time::Duration;

use crate::{act::Act, answer::Answer, messages, scram::Verifier};

/// What a server does. Without further words it trusts everybody and answers with no rows.
#[derive(Debug, Clone)]
pub struct Script {
    pub(crate) opening: Vec<Act>,
    pub(crate) tls: Tls,
    pub(crate) sign_in: SignIn,
    pub(crate) before_ready: Vec<Act>,
    pub(crate) answers: Vec<(String, Answer)>,
    pub(crate) otherwise: Answer,
    pub(crate) delay: Duration,
    pub(crate) drip: Option<Duration>,
    pub(crate) reset_after: Option<usize>,
    pub(crate) reset_in_answers: Option<usize>,
}

/// What is answered to the request for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// That there is none.
    Refuse,
    /// That there is, and then these acts in place of a handshake.
    Pretend(Vec<Act>),
    /// These acts in place of an answer.
    Instead(Vec<Act>),
}

/// How clients are let in.
#[derive(Debug, Clone)]
pub enum SignIn {
    /// Everybody, unasked.
    Trust,
    /// Whoever knows the password, by SCRAM-SHA-256. See [`SignIn::scram`].
    Scram(Verifier),
    /// Nobody: an error.
    Refuse {
        /// SQLSTATE.
        sqlstate: String,
        /// What it says.
        message: String,
    },
    /// SCRAM begins, and then the client is asked for so many rounds of hashing.
    ScramRounds(u32),
    /// These acts in place of an answer to the start-up message.
    Instead(Vec<Act>),
}

impl SignIn {
    /// Whoever knows `password`, by SCRAM-SHA-256.
    #[must_use]
    pub fn scram(password: &str) -> Self {
        Self::Scram(Verifier::of(password))
    }

    /// Nobody, with this error.
    #[must_use]
    pub fn refuse(sqlstate: &str, message: &str) -> Self {
        Self::Refuse {
            sqlstate: sqlstate.to_owned(),
            message: message.to_owned(),
        }
    }

    /// Asks for what [`messages::authentication`] says and waits for what comes.
    #[must_use]
    pub fn ask(code: u32, rest: &[u8]) -> Self {
        Self::Instead(vec![
            Act::Say(messages::authentication(code, rest)),
            Act::FallSilent,
        ])
    }
}

impl Default for Script {
    fn default() -> Self {
        Self {
            opening: Vec::new(),
            tls: Tls::Refuse,
            sign_in: SignIn::Trust,
            before_ready: Vec::new(),
            answers: Vec::new(),
            otherwise: Answer::nothing(),
            delay: Duration::ZERO,
            drip: None,
            reset_after: None,
            reset_in_answers: None,
        }
    }
}

impl Script {
    /// Trusts everybody and answers with no rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes connections and says nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self::new().opening([Act::FallSilent])
    }

    /// What is done when a connection comes, before anything is read.
    #[must_use]
    pub fn opening(mut self, acts: impl IntoIterator<Item = Act>) -> Self {
        self.opening.extend(acts);
        self
    }

    /// What is answered to the request for TLS.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// How clients are let in.
    #[must_use]
    pub fn sign_in(mut self, sign_in: SignIn) -> Self {
        self.sign_in = sign_in;
        self
    }

    /// What is done between letting a client in and being ready for it.
    #[must_use]
    pub fn before_ready(mut self, acts: impl IntoIterator<Item = Act>) -> Self {
        self.before_ready.extend(acts);
        self
    }

    /// What is answered to statements that contain `part`. The first that fits counts.
    #[must_use]
    pub fn answer(mut self, part: &str, answer: Answer) -> Self {
        self.answers.push((part.to_owned(), answer));
        self
    }

    /// What is answered to all other statements.
    #[must_use]
    pub fn otherwise(mut self, answer: Answer) -> Self {
        self.otherwise = answer;
        self
    }

    /// How long every statement takes.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Says everything byte by byte, with so much time before each.
    #[must_use]
    pub fn drip(mut self, every: Duration) -> Self {
        self.drip = Some(every);
        self
    }

    /// Resets the connection when so many bytes have been said on it.
    #[must_use]
    pub fn reset_after(mut self, bytes: usize) -> Self {
        self.reset_after = Some(bytes);
        self
    }

    /// Resets the connection when so many bytes of answers have been said on it.
    #[must_use]
    pub fn reset_in_answers(mut self, bytes: usize) -> Self {
        self.reset_in_answers = Some(bytes);
        self
    }

    pub(crate) fn answer_to(&self, sql: &str) -> &Answer {
        let found = self
            .answers
            .iter()
            .find(|(part, _)| sql.contains(part.as_str()));
        found.map_or(&self.otherwise, |(_, answer)| answer)
    }
}
