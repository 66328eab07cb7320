//! The moment in which a move switches: whoever wants to use the database waits, and then has the
//! new one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::App;
use crate::database::DatabaseError;
use crate::registry::Registered;

/// How long somebody waits, which is longer than a pause lasts.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// How often is looked whether it is over. The row is cached, and dropped when it changes.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often the row is read anew, should a signal have been lost.
const READ_EVERY: u32 = 20;

/// The instance as it is registered now, once its database is not paused. `None` where that is what
/// the caller holds.
pub(crate) async fn waited(
    app: &App,
    held: &Registered,
) -> Result<Option<Arc<Registered>>, DatabaseError> {
    let until = Instant::now() + LONGEST_WAIT;
    for look in 1.. {
        let current = app.current(held).await?;
        let paused_until = current
            .as_deref()
            .unwrap_or(held)
            .row()
            .database
            .paused_until;
        if paused_until.is_none_or(|until| until <= app.clock().now()) {
            return Ok(current);
        }
        if Instant::now() >= until {
            break;
        }
        if look % READ_EVERY == 0 {
            app.read_anew(held.id()).await;
        }
        sleep(LOOK_EVERY).await;
    }
    Err(DatabaseError::Paused)
}
