//! What one call takes, and what all calls of an answer took together.

use std::sync::{Arc, Mutex, PoisonError};

use stoa_ai::prices::Price;
use stoa_ai::tokens::estimate_tokens;
use stoa_ai::{AiError, AnswerEvent, AnswerStream, Usage};
use stoa_domain::Provider;
use stoa_platform_db::budgets::Amount;

use super::price;

/// What the calls of one answer took so far.
pub(super) struct Account {
    /// What budgets count: estimates where a provider did not say.
    tokens: i64,
    /// The same in money; `None` once a price is unknown.
    micros: Option<i64>,
    /// What is known to have been paid; `None` once a price or a provider's count is missing.
    cost: Option<i64>,
    /// Whether the ledger holds a reservation for it.
    pub(super) is_reserved: bool,
    /// Whether somebody else sees to it that the ledger knows what was taken.
    pub(super) is_settled: bool,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            tokens: 0,
            micros: Some(0),
            cost: Some(0),
            is_reserved: false,
            is_settled: false,
        }
    }
}

impl Account {
    /// What budgets count for it.
    pub(super) const fn amount(&self) -> Amount {
        Amount {
            tokens: self.tokens,
            micros: self.micros,
        }
    }

    /// What it cost, where that is known.
    pub(super) const fn cost(&self) -> Option<i64> {
        self.cost
    }

    fn add(&mut self, took: Usage, price: Option<Price>, is_known: bool) {
        let micros = price::micros(took, price);
        let and = |sum: Option<i64>, more: Option<i64>| Some(sum?.saturating_add(more?));
        self.tokens = self.tokens.saturating_add(total(took));
        self.micros = and(self.micros, micros);
        // What is free is free, however much of it there was.
        let is_known = is_known || micros == Some(0);
        self.cost = and(self.cost, micros.filter(|_| is_known));
    }
}

/// Read and written together.
pub(super) fn total(usage: Usage) -> i64 {
    let sum = usage.input_tokens.saturating_add(usage.output_tokens);
    i64::try_from(sum).unwrap_or(i64::MAX)
}

/// One call under way. Dropped, it adds to its account what the call took: by the provider's word,
/// else what was sent and what came.
pub(crate) struct Bill {
    account: Arc<Mutex<Account>>,
    price: Option<Price>,
    /// Of it, what was sent counts unless the provider says otherwise.
    estimate: Usage,
    model: (Provider, String),
    /// About how many tokens came.
    written: u64,
    said: Option<Usage>,
    /// What the provider had counted of a call that broke off.
    partly: Option<Usage>,
    is_void: bool,
}

impl Bill {
    pub(super) fn new(
        account: &Arc<Mutex<Account>>,
        price: Option<Price>,
        estimate: Usage,
        model: (Provider, String),
    ) -> Self {
        Self {
            account: Arc::clone(account),
            price,
            estimate,
            model,
            written: 0,
            said: None,
            partly: None,
            is_void: false,
        }
    }

    /// The call failed before anything came of it: it took what the provider says that it did, else
    /// nothing.
    pub(crate) fn failed(mut self, taken: Option<Usage>) {
        self.said = taken;
        self.is_void = self.said.is_none();
    }

    /// What the provider says that it took.
    pub(crate) fn says(&mut self, usage: Usage) {
        self.said = Some(usage);
    }

    /// Takes note of what came.
    pub(crate) fn came(&mut self, text: &str) {
        let (provider, model) = &self.model;
        let tokens = estimate_tokens(*provider, model, text).upper();
        self.written = self.written.saturating_add(tokens);
    }

    fn broke(&mut self, taken: Option<Usage>) {
        self.partly = taken;
    }

    fn saw(&mut self, event: &AnswerEvent) {
        match event {
            AnswerEvent::Text(text) | AnswerEvent::ToolCallArguments { text, .. } => {
                self.came(text);
            }
            AnswerEvent::ToolCallStart { name, .. } => self.came(name),
            AnswerEvent::Usage(usage) => self.says(*usage),
            AnswerEvent::ToolCall { .. } | AnswerEvent::Finish(_) => {}
        }
    }
}

impl Bill {
    /// What was sent, by the provider's word where it said so much before it broke off, and what came.
    fn guessed(&self) -> Usage {
        let sent = self.partly.filter(|it| it.input_tokens > 0);
        let came = self.partly.map_or(0, |it| it.output_tokens);
        Usage {
            output_tokens: came.max(self.written),
            ..sent.unwrap_or(self.estimate)
        }
    }
}

impl Drop for Bill {
    fn drop(&mut self) {
        if self.is_void {
            return;
        }
        // A server that says 0 where words came does not count.
        let said = self.said.filter(|it| total(*it) > 0);
        let took = said.unwrap_or_else(|| self.guessed());
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.add(took, self.price, said.is_some());
    }
}

/// An answer as it arrives, with what it costs.
pub(crate) struct PaidStream {
    stream: AnswerStream,
    bill: Option<Bill>,
}

impl PaidStream {
    /// An answer that a model gives.
    pub(crate) const fn new(stream: AnswerStream, bill: Bill) -> Self {
        Self {
            stream,
            bill: Some(bill),
        }
    }

    /// An answer that takes no model.
    pub(crate) const fn free(stream: AnswerStream) -> Self {
        Self { stream, bill: None }
    }

    /// As [`AnswerStream::next`].
    pub(crate) async fn next(&mut self) -> Option<Result<AnswerEvent, AiError>> {
        let event = self.stream.next().await;
        if let (Some(bill), Some(event)) = (&mut self.bill, &event) {
            match event {
                Ok(event) => bill.saw(event),
                Err(error) => bill.broke(error.taken()),
            }
        }
        event
    }

    /// Whether no model gives it.
    pub(crate) const fn is_free(&self) -> bool {
        self.bill.is_none()
    }

    /// As [`AnswerStream::model`].
    pub(crate) fn model(&self) -> Option<&str> {
        self.stream.model()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input_tokens: u64, output_tokens: u64) -> Usage {
        Usage {
            input_tokens,
            output_tokens,
            cached_input_tokens: None,
        }
    }

    fn bill(account: &Arc<Mutex<Account>>, price: Option<Price>) -> Bill {
        Bill::new(
            account,
            price,
            usage(100, 1_000),
            (Provider::Openai, "m".into()),
        )
    }

    fn seen(account: &Arc<Mutex<Account>>) -> (i64, Option<i64>, Option<i64>) {
        let account = account.lock().unwrap();
        (account.tokens, account.micros, account.cost)
    }

    const DOLLAR: Option<Price> = Some(Price {
        input: 1_000_000,
        output: 1_000_000,
        cached_input: None,
    });

    #[test]
    fn a_call_is_settled_by_the_providers_word_or_by_what_was_sent_and_came() {
        let account = Arc::default();
        let mut said = bill(&account, DOLLAR);
        said.came("words");
        said.says(usage(7, 3));
        drop(said);
        assert_eq!(seen(&account), (10, Some(10), Some(10)));

        bill(&account, DOLLAR).failed(None);
        assert_eq!(seen(&account), (10, Some(10), Some(10)));

        let mut silent = bill(&account, DOLLAR);
        silent.came("word");
        drop(silent);
        assert_eq!(
            seen(&account),
            (111, Some(111), None),
            "what nobody counted is in the budget and has no known cost"
        );
    }

    #[test]
    fn a_call_that_fails_is_settled_by_what_the_provider_had_counted() {
        let account = Arc::default();
        bill(&account, DOLLAR).failed(Some(usage(7, 0)));
        assert_eq!(seen(&account), (7, Some(7), Some(7)));

        let mut broken = bill(&account, DOLLAR);
        broken.came("word");
        broken.broke(Some(usage(9, 0)));
        drop(broken);
        assert_eq!(
            seen(&account),
            (17, Some(17), None),
            "what was sent is known, what came is estimated"
        );

        let mut broken = bill(&account, DOLLAR);
        broken.came("word");
        broken.broke(None);
        drop(broken);
        assert_eq!(seen(&account).0, 17 + 101);
    }

    #[test]
    fn zero_is_not_believed_where_words_came() {
        let account = Arc::default();
        let mut zero = bill(&account, DOLLAR);
        zero.came("word");
        zero.says(usage(0, 0));
        drop(zero);
        assert_eq!(seen(&account), (101, Some(101), None));
    }

    #[test]
    fn one_unknown_price_makes_the_sum_unknown() {
        let account = Arc::default();
        for price in [DOLLAR, None, DOLLAR] {
            let mut bill = bill(&account, price);
            bill.says(usage(1, 1));
        }
        assert_eq!(seen(&account), (6, None, None));
        let free = Some(Price {
            input: 0,
            output: 0,
            cached_input: None,
        });
        let account = Arc::default();
        drop(bill(&account, free));
        assert_eq!(
            seen(&account),
            (100, Some(0), Some(0)),
            "what is free is free uncounted"
        );
    }
}
