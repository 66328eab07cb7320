//! Making the new database ready: made, where it is to be a managed one, brought up to date, and
//! marked as the instance's.

use stoa_client_db::{ClientDbError, DatabaseAddress, PooledConnection};
use stoa_domain::{DatabaseMode, MoveId};
use stoa_platform_db::instances::DatabaseFacts;
use stoa_platform_db::moves;

use super::{Move, apart, destination_place};
use crate::App;
use crate::database::seal_address_at;
use crate::instances::managed;
use crate::registry::{Registered, RegistryError, open_address};
use crate::work::JobError;

/// Why the new database is not ready.
pub(super) enum NotReady {
    /// It failed.
    Database(ClientDbError),
    /// Something on the platform's side did.
    Job(JobError),
}

impl<E: std::error::Error> From<E> for NotReady {
    fn from(error: E) -> Self {
        Self::Job(JobError::Retry(error.to_string()))
    }
}

/// A connection to the new database, made ready, or opened again where an earlier attempt did that.
pub(super) async fn destination(
    app: &App,
    registered: &Registered,
    found: &Move,
) -> Result<PooledConnection, NotReady> {
    let instance = registered.id();
    let known = open_destination(app, registered, found).map_err(|error| *error)?;
    let (address, facts) = match (known, &found.to.facts) {
        (Some(address), Some(facts)) => (address, facts.clone()),
        (Some(address), None) => (address, DatabaseFacts::default()),
        (None, _) => make(app, registered, found.id).await?,
    };
    let connection = apart(app, instance, &address)
        .await
        .map_err(NotReady::Database)?;
    let has_vectors = connection.has_vectors();
    let facts = DatabaseFacts {
        pgvector: facts.pgvector.filter(|_| has_vectors),
        schema_version: Some(connection.schema_version()),
        ..facts
    };
    note(app, registered, found.id, &address, &facts).await?;
    Ok(connection)
}

/// The address of the new database, once there is one.
pub(super) fn open_destination(
    app: &App,
    registered: &Registered,
    found: &Move,
) -> Result<Option<DatabaseAddress>, Box<RegistryError>> {
    let Some(sealed) = &found.to.address_sealed else {
        return Ok(None);
    };
    let place = destination_place(found.instance, found.id);
    let address = open_address(app, registered, &place, sealed, found.to_mode);
    address.map(Some).map_err(Box::new)
}

/// A managed database. An earlier attempt may have made it and not noted it: its password is then
/// another one now.
async fn make(
    app: &App,
    registered: &Registered,
    id: MoveId,
) -> Result<(DatabaseAddress, DatabaseFacts), NotReady> {
    // The registry's is never made anew, whatever the move says.
    let cluster = match (&app.settings().managed, registered.row().database.mode) {
        (Some(cluster), DatabaseMode::External) => cluster,
        _ => {
            let why = "no managed database can be made here";
            return Err(NotReady::Job(JobError::Hopeless(why.into())));
        }
    };
    let instance = registered.id();
    let address = cluster.create(instance, app.random()).await;
    let address = address.map_err(NotReady::Database)?;
    let facts = managed::look_at(app, instance, &address).await?;
    note(app, registered, id, &address, &facts).await?;
    Ok((address, facts))
}

async fn note(
    app: &App,
    registered: &Registered,
    id: MoveId,
    address: &DatabaseAddress,
    facts: &DatabaseFacts,
) -> Result<(), NotReady> {
    let place = destination_place(registered.id(), id);
    let sealed = seal_address_at(&place, address, registered.key(), app.random())?;
    let mut connection = app.platform().acquire().await?;
    moves::note_destination(&mut connection, id, &sealed, facts).await?;
    Ok(())
}
