//! Runs a PostgreSQL of Stoa's own, so that nobody has to install or configure one first.
//!
//! [`EmbeddedPostgres::start`] finds PostgreSQL's programs, makes a cluster on first use, starts the
//! server on loopback with a password, and leaves it to [`EmbeddedPostgres::stop`] or to the end of
//! this process. It works as root (the server then runs as another user) and after whatever ended
//! the last run. Linux only.
//!
//! The data directory holds:
//!
//! ```text
//! lock                 held while a process runs this directory; contains its process id
//! cluster/             PostgreSQL's own directory
//! socket/              the Unix socket
//! superuser-password   readable by the owner alone
//! port                 the TCP port, kept because addresses of databases contain it
//! server.log           what the server says
//! ```
//!
//! As root only `cluster/` and `socket/` belong to the server's user: what root reads and writes
//! here must not be replaceable by a database.

mod account;
mod binaries;
mod cluster;
mod data_dir;
mod error;
mod port;
mod postmaster;
mod reach;
mod readiness;
mod running;
mod server;
mod settings;

pub use binaries::{Installed, installed};
pub use error::EmbeddedError;
pub use reach::superuser_url_of_running;
pub use running::EmbeddedPostgres;
pub use settings::{Durability, Settings};
