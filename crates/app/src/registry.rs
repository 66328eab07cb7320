//! An instance as the platform knows it, with its key unwrapped and its database's address opened.

use std::sync::Arc;

use secrecy::SecretString;
use stoa_client_db::{DatabaseAddress, Target};
use stoa_domain::seal::{DataKey, SealError, SealPlace};
use stoa_domain::{DatabaseMode, InstanceId, InstanceStatus, LiveConfiguration, Slug};
use stoa_platform_db::DbError;
use stoa_platform_db::instances::{self, Instance};

use crate::App;
use crate::database::{
    StoredAddressError, address_place, open_address_at, open_anon_key, open_operators_address_at,
};

/// Why an instance could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[from] DbError),
    /// A stored secret of the instance does not open.
    #[error("a secret of instance {instance} does not open")]
    Sealed {
        /// Whose.
        instance: InstanceId,
        /// Why.
        #[source]
        source: SealError,
    },
    /// The stored database address does not open, or is none.
    #[error("the stored database address of instance {instance} cannot be read")]
    Address {
        /// Whose.
        instance: InstanceId,
        /// Why.
        #[source]
        source: StoredAddressError,
    },
}

/// An instance, ready to be worked with.
pub struct Registered {
    row: Instance,
    key: DataKey,
    target: Option<Target>,
}

impl Registered {
    /// Reads an instance; `None` when there is none with this id.
    pub(crate) async fn load(app: &App, id: InstanceId) -> Result<Option<Self>, RegistryError> {
        let mut connection = app.platform().acquire().await?;
        let Some(row) = instances::find(&mut connection, id).await? else {
            return Ok(None);
        };
        drop(connection);
        Self::open(app, row).map(Some)
    }

    /// Opens the secrets of a row.
    ///
    /// # Errors
    /// When one does not open.
    pub(crate) fn open(app: &App, row: Instance) -> Result<Self, RegistryError> {
        let instance = row.id;
        let sealed = |source| RegistryError::Sealed { instance, source };
        let key = app
            .keys()
            .unwrap(instance, &row.data_key_wrapped)
            .map_err(sealed)?;
        let target = match &row.database.address_sealed {
            None => None,
            Some(address) => {
                let (mode, place) = (row.database.mode, address_place(instance));
                let address = stored_address(app, mode, &key, &place, address)
                    .map_err(|source| RegistryError::Address { instance, source })?;
                Some(Target {
                    instance,
                    generation: row.database.generation,
                    address: Arc::new(address),
                })
            }
        };
        Ok(Self { row, key, target })
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> InstanceId {
        self.row.id
    }

    /// Its name in addresses.
    #[must_use]
    pub const fn slug(&self) -> &Slug {
        &self.row.slug
    }

    /// Where it stands in its life.
    #[must_use]
    pub const fn status(&self) -> InstanceStatus {
        self.row.status
    }

    /// The registry row.
    #[must_use]
    pub const fn row(&self) -> &Instance {
        &self.row
    }

    /// The key that seals its secrets.
    #[must_use]
    pub const fn key(&self) -> &DataKey {
        &self.key
    }

    /// Its database, once it has one.
    #[must_use]
    pub const fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    /// The key of its Supabase project that browsers may have, if it has given one.
    ///
    /// # Errors
    /// When it does not open.
    pub(crate) fn supabase_anon_key(&self) -> Result<Option<SecretString>, RegistryError> {
        let instance = self.row.id;
        let Some(sealed) = &self.row.supabase_sealed else {
            return Ok(None);
        };
        open_anon_key(sealed, instance, &self.key)
            .map_err(|source| RegistryError::Sealed { instance, source })
    }

    /// The name that its bot goes by.
    #[must_use]
    pub fn display_name<'a>(&'a self, live: &'a LiveConfiguration) -> &'a str {
        match live.display.bot_name.trim() {
            "" => self.row.name.as_str(),
            name => name,
        }
    }
}

/// Opens an address of an instance's that is sealed for another place than the registry.
///
/// # Errors
/// When it does not open, or is none.
pub(crate) fn open_address(
    app: &App,
    registered: &Registered,
    place: &SealPlace,
    sealed: &[u8],
    mode: DatabaseMode,
) -> Result<DatabaseAddress, RegistryError> {
    let instance = registered.id();
    stored_address(app, mode, registered.key(), place, sealed)
        .map_err(|source| RegistryError::Address { instance, source })
}

/// Where the keys of an instance's Supabase project are sealed.
#[must_use]
pub const fn supabase_place(instance: InstanceId) -> SealPlace {
    SealPlace {
        instance,
        table: "chat_instances",
        column: "supabase_sealed",
        row: instance.as_uuid(),
    }
}

/// Reads a stored address. A managed database is looked for where the operator's cluster is now,
/// which may be another host or port than when the database was made.
fn stored_address(
    app: &App,
    mode: DatabaseMode,
    key: &DataKey,
    place: &SealPlace,
    sealed: &[u8],
) -> Result<DatabaseAddress, StoredAddressError> {
    let settings = app.settings();
    match mode {
        // The operator's own word, which no rule for clients judges.
        DatabaseMode::External if settings.dedicated == Some(place.instance) => {
            open_operators_address_at(place, sealed, key)
        }
        DatabaseMode::External => open_address_at(place, sealed, key, &settings.address_rules),
        DatabaseMode::Managed => {
            let stored = open_operators_address_at(place, sealed, key)?;
            Ok(match &settings.managed {
                Some(cluster) => cluster.locate(&stored),
                None => stored,
            })
        }
    }
}
