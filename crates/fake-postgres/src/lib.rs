//! PostgreSQL servers that misbehave on purpose, over real sockets, for tests and benchmarks.
//!
//! [`FakePostgres`] is a server that follows a [`Script`]: it lets clients in (by trust or by real
//! SCRAM), answers statements with [`Answer`]s, and does harm where the script has an [`Act`] for
//! it: silence, floods, lies about lengths, resets at a chosen byte.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use stoa_fake_postgres::{Act, Answer, FakePostgres, Script, SignIn};
//!
//! let script = Script::new()
//!     .sign_in(SignIn::scram("a-secret"))
//!     .answer("FROM orders", Answer::error("57014", "canceling statement"))
//!     .otherwise(Answer::acting([Act::FallSilent]));
//! let server = FakePostgres::start(script).await?;
//! let url = server.url("user", "a-secret", "database");
//! # Ok(())
//! # }
//! ```
//!
//! [`Proxy`] stands in front of a real PostgreSQL, and makes it slow, silent, dead, hostile and well
//! again while the program under test runs:
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use std::time::Duration;
//! use stoa_fake_postgres::{Behaviour, Proxy};
//!
//! let proxy = Proxy::start("127.0.0.1:5432").await?;
//! let url = proxy.url("postgres://user:a-secret@127.0.0.1:5432/database");
//! proxy.set(Behaviour::Slow(Duration::from_millis(200))).await;
//! proxy.set(Behaviour::Dead).await;
//! proxy.set(Behaviour::Well).await;
//! # Ok(())
//! # }
//! ```

mod act;
mod answer;
mod dialogue;
mod peer;
mod proxy;
mod record;
mod scram;
mod script;
mod server;

pub mod messages;

pub use act::Act;
pub use answer::{Answer, Cell, Column};
pub use proxy::{Behaviour, Proxy};
pub use script::{Script, SignIn, Tls};
pub use server::FakePostgres;
