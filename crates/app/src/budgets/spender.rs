//! Whoever makes calls for one answer: reserves what each may take before it is made, and knows in
//! the end what they took.
//!
//! Nothing has to be remembered to be settled: a [`Bill`] that is dropped adds to its [`Spender`] what
//! its call took, and a spender that is dropped without having been counted gives back what it had
//! reserved and did not take.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use stoa_ai::prices::Price;
use stoa_ai::{ChatRequest, Usage};
use stoa_domain::seal::DataKey;
use stoa_domain::{Budgets, EndUserId, MessageId, PeriodLimits, Provider, SessionId};
use stoa_platform_db::DbError;
use stoa_platform_db::budgets::{self, Amount, Limit, People, Period, Reservation, Subject};
use stoa_platform_db::usage_events::{Spent, UsageKind};
use tokio::runtime::Handle;

use super::bill::{Account, Bill};
use super::{estimate, price, room};
use crate::App;
use crate::contents::Model;
use crate::meter::Metered;
use crate::registry::Registered;

/// A reservation whose process has gone is not counted after this time: longer than any answer.
const RESERVED_FOR: TimeDelta = TimeDelta::minutes(15);

/// For whom calls are made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Payer {
    /// The person who chats, once known.
    pub(crate) end_user: Option<EndUserId>,
    /// Their conversation, which stands for them until then.
    pub(crate) session: Option<SessionId>,
    /// Where they chat from.
    pub(crate) address: Option<IpAddr>,
}

/// Why a call may not be made.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A budget has no room for it.
    #[error("the budget for {} is exhausted", .0.period.as_str())]
    Exhausted(Exhausted),
    /// Money is limited, and nobody knows what the call costs.
    #[error("the model's price is unknown, and a budget limits money")]
    UnknownPrice,
    /// The ledger could not be asked.
    #[error("the budgets could not be looked up")]
    Ledger(#[source] DbError),
}

/// A budget that has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Whose.
    pub subject: Subject,
    /// Of which period; the longer one where both have none.
    pub period: Period,
    /// When there is room again.
    pub resets_at: DateTime<Utc>,
    /// How long until then.
    pub wait: Duration,
}

/// Makes the calls of one answer, or of one other thing that is counted.
pub(crate) struct Spender {
    app: Arc<App>,
    registered: Arc<Registered>,
    message: MessageId,
    kind: UsageKind,
    people: People,
    limits: Vec<Limit>,
    account: Arc<Mutex<Account>>,
}

impl Spender {
    /// The spender of what will be counted under this id and kind.
    pub(crate) fn new(
        app: &Arc<App>,
        registered: &Arc<Registered>,
        budgets: &Budgets,
        payer: Payer,
        (message, kind): (MessageId, UsageKind),
    ) -> Self {
        let people = payer.people(registered.key(), budgets);
        Self {
            app: Arc::clone(app),
            registered: Arc::clone(registered),
            message,
            kind,
            people,
            limits: limits(budgets, people),
            account: Arc::default(),
        }
    }

    /// Before a chat call: reserves what it may take, on top of what was taken so far. What the call
    /// really takes is settled when the bill is dropped.
    ///
    /// # Errors
    /// When a budget has no room for it.
    pub(crate) async fn reserve(
        &self,
        model: &Model,
        request: &ChatRequest,
    ) -> Result<Bill, Refused> {
        let provider = model.endpoint.provider;
        let estimate = estimate::of_chat(provider, request);
        self.open(model.price, estimate, (provider, &request.model))
            .await
    }

    /// The same before texts are embedded.
    ///
    /// # Errors
    /// As [`Spender::reserve`].
    pub(crate) async fn reserve_embedding(
        &self,
        provider: Provider,
        model: &str,
        texts: &[String],
    ) -> Result<Bill, Refused> {
        let price = price::of_embedding(provider, model);
        let estimate = estimate::of_embedding(provider, model, texts);
        self.open(price, estimate, (provider, model)).await
    }

    async fn open(
        &self,
        price: Option<Price>,
        estimate: Usage,
        (provider, model): (Provider, &str),
    ) -> Result<Bill, Refused> {
        let bill = || Bill::new(&self.account, price, estimate, (provider, model.to_owned()));
        if self.limits.is_empty() {
            return Ok(bill());
        }
        let cost = price::micros(estimate, price);
        if cost.is_none() && self.limits.iter().any(|it| it.micros.is_some()) {
            self.app.budget_news().count_unknown_price();
            return Err(Refused::UnknownPrice);
        }
        let own = self.account().amount();
        let wanted = Amount {
            tokens: own.tokens.saturating_add(super::bill::total(estimate)),
            micros: own
                .micros
                .zip(cost)
                .map(|(own, cost)| own.saturating_add(cost)),
        };
        let at = self.app.clock().now();
        let reservation = Reservation {
            instance: self.registered.id(),
            message: self.message,
            kind: self.kind,
            people: self.people,
            wanted,
            own,
            limits: &self.limits,
            at,
            until: at + RESERVED_FOR,
        };
        let standings = room::of(&self.app, &reservation)
            .await
            .map_err(Refused::Ledger)?;
        let seen = self.limits.iter().zip(&standings);
        for (limit, standing) in seen.clone() {
            self.app
                .budget_news()
                .note(&self.registered, limit, standing, at);
        }
        let without_room = seen.filter(|(_, standing)| !standing.has_room);
        match without_room
            .map(|(limit, _)| limit)
            .max_by_key(|it| it.period.end(at))
        {
            Some(limit) => {
                self.app.budget_news().count_stop(limit.subject);
                Err(Refused::Exhausted(Exhausted {
                    subject: limit.subject,
                    period: limit.period,
                    resets_at: limit.period.end(at),
                    wait: (limit.period.end(at) - at).to_std().unwrap_or_default(),
                }))
            }
            None => {
                self.account().is_reserved = true;
                Ok(bill())
            }
        }
    }

    /// What its calls took, to be counted: whoever asks counts it. Every bill is to be dropped.
    pub(crate) fn metered(
        &self,
        model: String,
        (input_tokens, output_tokens): (Option<i64>, Option<i64>),
        at: DateTime<Utc>,
    ) -> Metered {
        let mut account = self.account();
        // The event takes the reservation off.
        account.is_settled = true;
        Metered {
            instance: self.registered.id(),
            message: self.message,
            kind: self.kind,
            model,
            input_tokens,
            output_tokens,
            cost_micros: account.cost(),
            spent: Spent::Known(account.amount()),
            at,
        }
    }

    /// Counts what its calls took, if they took anything, for what is no answer.
    pub(crate) async fn count(self, model: String) {
        if self.account().amount().tokens == 0 {
            return;
        }
        let metered = self.metered(model, (None, None), self.app.clock().now());
        if let Err(error) = self.app.meter().count(metered).await {
            tracing::error!(%error, kind = self.kind.as_str(), "what was taken was not metered");
        }
    }

    /// Tells the ledger what its calls took that are counted as nothing else, and waits until it knows.
    pub(crate) async fn settle(self) {
        if let Some(settling) = self.settling() {
            settling.await;
        }
    }

    /// What is left to be told to the ledger, once.
    fn settling(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        let mut account = self.account();
        let spent = account.amount();
        let has_news = account.is_reserved || spent.tokens > 0;
        if std::mem::replace(&mut account.is_settled, true) || !has_news {
            return None;
        }
        let key = (self.registered.id(), self.message, self.kind);
        let app = Arc::clone(&self.app);
        Some(async move {
            if let Err(error) = settle(&app, key, spent).await {
                tracing::warn!(%error, "what was taken is not in the budgets; a reservation ends by itself");
            }
        })
    }

    /// Leaves it to the sweep to count what its calls took, which finds their answer uncounted: the
    /// reservation stays until then.
    pub(crate) fn leave_to_the_sweep(&self) {
        self.account().is_settled = true;
    }

    /// The bill of a call that is made whatever budgets say, and counted in them: the test of a
    /// configuration.
    pub(crate) fn unlimited(&self, of: (Provider, Option<Price>), request: &ChatRequest) -> Bill {
        let (provider, price) = of;
        let estimate = estimate::of_chat(provider, request);
        let model = (provider, request.model.clone());
        Bill::new(&self.account, price, estimate, model)
    }

    /// The same of texts that are embedded.
    pub(crate) fn unlimited_embedding(
        &self,
        provider: Provider,
        model: &str,
        texts: &[String],
    ) -> Bill {
        let price = price::of_embedding(provider, model);
        let estimate = estimate::of_embedding(provider, model, texts);
        Bill::new(&self.account, price, estimate, (provider, model.to_owned()))
    }

    /// What its calls cost, in millionths, where prices and tokens of all are known. Every bill is to
    /// be dropped.
    pub(crate) fn cost(&self) -> Option<i64> {
        self.account().cost()
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Spender {
    /// What was reserved and never counted is given back, but for what was taken: a model was asked
    /// for an answer of which no word came, or whoever wanted it has gone.
    fn drop(&mut self) {
        if Handle::try_current().is_err() {
            return;
        }
        if let Some(settling) = self.settling() {
            self.app.tasks().spawn(settling);
        }
    }
}

async fn settle(
    app: &App,
    key: (stoa_domain::InstanceId, MessageId, UsageKind),
    spent: Amount,
) -> Result<(), DbError> {
    let mut connection = app.platform().acquire().await?;
    budgets::settle(&mut connection, key, spent, app.clock().now()).await
}

impl Payer {
    /// Nobody is hashed who is not limited.
    fn people(self, key: &DataKey, budgets: &Budgets) -> People {
        let end_user = || match (self.end_user, self.session) {
            (Some(person), _) => Some(key.pseudonym("end_user", person.as_uuid().as_bytes())),
            (None, Some(session)) => Some(key.pseudonym("session", session.as_uuid().as_bytes())),
            (None, None) => None,
        };
        let address = || {
            let network = self.address.map(network)?;
            Some(key.pseudonym("address", network.to_string().as_bytes()))
        };
        People {
            end_user: end_user().filter(|_| !budgets.end_user.is_none()),
            address: address().filter(|_| !budgets.address.is_none()),
        }
    }
}

/// An address; of IPv6 the network that a household or an office has, since each device in it has
/// addresses without end.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(it) => {
            let [a, b, c, d, ..] = it.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The limits that calls for these people have to fit into.
fn limits(budgets: &Budgets, people: People) -> Vec<Limit> {
    let of = |subject, limits: PeriodLimits| {
        [(Period::Day, limits.day), (Period::Month, limits.month)]
            .into_iter()
            .filter(|(_, limit)| !limit.is_none())
            .map(move |(period, limit)| Limit {
                subject,
                period,
                tokens: limit.tokens,
                micros: limit.micros(),
            })
    };
    let end_user = people
        .end_user
        .map(|_| of(Subject::EndUser, budgets.end_user));
    let address = people
        .address
        .map(|_| of(Subject::Address, budgets.address));
    of(Subject::Instance, budgets.instance)
        .chain(end_user.into_iter().flatten())
        .chain(address.into_iter().flatten())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stoa_domain::{Clock, Random, SpendLimit};

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("203.0.113.9"), "203.0.113.9");
        assert_eq!(of("::ffff:203.0.113.9"), "203.0.113.9");
    }

    #[test]
    fn only_who_is_limited_is_known() {
        let (clock, random) = (Clock::system(), Random::seeded(1));
        let key = DataKey::generate(&random);
        let payer = Payer {
            end_user: None,
            session: Some(SessionId::generate(&clock, &random)),
            address: Some("203.0.113.9".parse().unwrap()),
        };
        let mut budgets = Budgets::default();
        budgets.instance.day.tokens = Some(1);
        let people = payer.people(&key, &budgets);
        assert_eq!(people, People::default());
        assert_eq!(limits(&budgets, people).len(), 1);

        budgets.end_user.month = SpendLimit {
            tokens: None,
            money: Some(5),
        };
        budgets.address.day.tokens = Some(0);
        let people = payer.people(&key, &budgets);
        let known = Payer {
            end_user: Some(EndUserId::generate(&clock, &random)),
            ..payer
        };
        assert_ne!(people.end_user, known.people(&key, &budgets).end_user);
        let limits = limits(&budgets, people);
        let seen: Vec<_> = limits
            .iter()
            .map(|it| (it.subject, it.period, it.tokens, it.micros))
            .collect();
        assert_eq!(
            seen,
            [
                (Subject::Instance, Period::Day, Some(1), None),
                (Subject::EndUser, Period::Month, None, Some(50_000)),
                (Subject::Address, Period::Day, Some(0), None),
            ]
        );
        assert_eq!(
            Payer::default().people(&key, &budgets),
            People::default(),
            "a program is no person"
        );
    }
}
