//! What the rounds of an answer took together.

use stoa_ai::Usage;

/// Tokens of all rounds. They are known only if each provider said what its round took.
#[derive(Debug, Default)]
pub(crate) struct Took {
    input: i64,
    output: i64,
    untold: usize,
}

impl Took {
    /// A round begins, of which nothing is told yet.
    pub(crate) const fn begin(&mut self) {
        self.untold += 1;
    }

    /// What the round took.
    pub(crate) fn tell(&mut self, usage: Usage) {
        let tokens = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.input = self.input.saturating_add(tokens(usage.input_tokens));
        self.output = self.output.saturating_add(tokens(usage.output_tokens));
        self.untold = self.untold.saturating_sub(1);
    }

    /// A round by nobody's model takes nothing.
    pub(crate) fn tell_nothing(&mut self) {
        self.untold = self.untold.saturating_sub(1);
    }

    /// Read and written.
    pub(crate) fn tokens(&self) -> (Option<i64>, Option<i64>) {
        match self.untold {
            0 => (Some(self.input), Some(self.output)),
            _ => (None, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn usage(input_tokens: u64, output_tokens: u64) -> Usage {
        Usage {
            input_tokens,
            output_tokens,
            cached_input_tokens: None,
        }
    }

    #[test]
    fn rounds_are_summed_and_what_one_kept_to_itself_makes_the_sum_unknown() {
        let mut took = Took::default();
        took.begin();
        assert_eq!(took.tokens(), (None, None));
        took.tell(usage(10, 2));
        took.begin();
        took.tell(usage(15, 3));
        assert_eq!(took.tokens(), (Some(25), Some(5)));
        took.begin();
        assert_eq!(took.tokens(), (None, None));
        took.tell_nothing();
        assert_eq!(took.tokens(), (Some(25), Some(5)));
    }
}
