//! A deployment dedicated to one instance: the client configuration in the environment says which one
//! it is and where its database is, and the registry follows at every start.
//!
//! The platform's tables usually lie in the client's own database then. See
//! `docs/adr/0014-dedicated-deployment.md`.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use stoa_client_db::{
    AddressError, CertificateAuthority, ClientDbError, DatabaseAddress, Target, live_configurations,
};
use stoa_domain::seal::DataKey;
use stoa_domain::{AdminRole, Email, InstanceId, InstanceName, InvalidText, Slug};
use stoa_platform_db::account::AccountId;
use stoa_platform_db::instances::Filter;
use stoa_platform_db::{DbError, instance_admins, instances};

use crate::access::PlatformCaller;
use crate::audit::By;
use crate::database::{self, ConnectError, NewAddress, Owner, SupabaseProject};
use crate::instances::InstanceError;
use crate::instances::create::{self, LINK_LIFE, Wish};
use crate::instances::environment::authority_of;
use crate::links::{self, SetupLink};
use crate::registry::{Registered, RegistryError};
use crate::{App, PlatformDbError};

/// What an instance is called of whose settings nothing is known.
const NAME: &str = "Chat";
/// “chat” itself is the beginning of other addresses.
const SLUG: &str = "chatbot";

/// The client configuration.
pub struct Client {
    /// `CLIENT_ID`.
    pub id: InstanceId,
    /// `CLIENT_DATABASE_URL`.
    pub database: SecretString,
    /// `CLIENT_DATABASE_CA`, in PEM form.
    pub certificate_authority: Option<String>,
    /// `CLIENT_SUPABASE_URL`.
    pub supabase_url: Option<String>,
    /// `CLIENT_SUPABASE_ANON_KEY`.
    pub supabase_anon_key: Option<SecretString>,
    /// Whose account the owner's is, where there is none yet.
    pub owner: Email,
}

/// The instance as it is registered now.
pub struct Prepared {
    /// Its name in addresses.
    pub slug: Slug,
    /// The owner and a link to set a password, as long as none has been set.
    pub invitation: Option<(Email, SetupLink)>,
}

/// Why a dedicated deployment cannot be.
#[derive(Debug, thiserror::Error)]
pub enum DedicatedError {
    /// The registry holds other instances.
    #[error("the platform database holds instances other than {0}")]
    NotAlone(InstanceId),
    /// `CLIENT_DATABASE_URL` is not an address.
    #[error("CLIENT_DATABASE_URL is not understood")]
    Address(#[from] AddressError),
    /// The client's database cannot be used.
    #[error("the client's database cannot be used")]
    Database(#[from] ConnectError),
    /// The instance could not be registered.
    #[error("the instance could not be registered")]
    Instance(#[from] InstanceError),
    /// The registered secrets do not open.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[from] PlatformDbError),
}

/// Registers the instance if it is new, and follows the environment where it says something else than
/// the registry. Content that is in the database already is there at once.
///
/// # Errors
/// When there are other instances, the database cannot be used or is another instance's, or the
/// platform's database fails.
pub async fn prepare(app: &Arc<App>, client: &Client) -> Result<Prepared, DedicatedError> {
    require_alone(app, client.id).await?;
    let found = {
        let mut connection = app.platform().acquire().await?;
        instances::find(&mut connection, client.id).await?
    };
    let Some(row) = found else {
        return register(app, client).await;
    };
    let registered = Registered::open(app, row)?;
    if !is_registered_so(&registered, client)? {
        let by = By::from(&PlatformCaller::command_line());
        database::follow_operator(app, &registered, &address(client), by).await?;
    }
    let invitation = invite_again(app, client.id).await?;
    let slug = registered.slug().clone();
    Ok(Prepared { slug, invitation })
}

async fn require_alone(app: &App, id: InstanceId) -> Result<(), DedicatedError> {
    let two = Filter {
        limit: 2,
        ..Filter::default()
    };
    let mut connection = app.platform().acquire().await?;
    let found = instances::list(&mut connection, &two).await?;
    if found.iter().any(|instance| instance.id != id) {
        return Err(DedicatedError::NotAlone(id));
    }
    Ok(())
}

fn address(client: &Client) -> NewAddress {
    NewAddress {
        url: client.database.clone(),
        ca_certificate: client.certificate_authority.clone(),
        supabase: SupabaseProject {
            url: client.supabase_url.clone(),
            anon_key: client.supabase_anon_key.clone(),
            jwt_secret: None,
        },
    }
}

/// Whether the registry says what the environment says.
fn is_registered_so(registered: &Registered, client: &Client) -> Result<bool, DedicatedError> {
    let wanted = DatabaseAddress::parse_operators(client.database.expose_secret())?;
    let wanted = match &client.certificate_authority {
        Some(pem) => wanted.with_certificate_authority(CertificateAuthority::parse(pem)?),
        None => wanted,
    };
    let same_authority =
        registered.target().and_then(|it| authority_of(&it.address)) == authority_of(&wanted);
    let wanted = wanted.to_secret_url();
    let known = registered.target().map(|it| it.address.to_secret_url());
    let known_key = registered.supabase_anon_key()?;
    let text =
        |secret: &Option<SecretString>| secret.as_ref().map(|it| it.expose_secret().to_owned());
    Ok(text(&known).as_deref() == Some(wanted.expose_secret())
        && same_authority
        && registered.row().supabase_url == client.supabase_url
        && text(&known_key) == text(&client.supabase_anon_key))
}

async fn register(app: &Arc<App>, client: &Client) -> Result<Prepared, DedicatedError> {
    let key = DataKey::generate(app.random());
    let owner = Owner {
        instance: client.id,
        key: &key,
        generation: 0,
    };
    let ready = database::make_ready_for_operator(app, owner, &address(client)).await?;
    let name = name_in(app, client.id, &ready.address).await;
    let name = name.map_err(|error| ConnectError::Database(error.into()))?;
    let slug = name.as_ref().and_then(Slug::from_name);
    let wish = Wish {
        name: name
            .map_or_else(|| InstanceName::parse(NAME), Ok)
            .map_err(|error| unfit(&error))?,
        slug: Some(
            slug.map_or_else(|| Slug::parse(SLUG), Ok)
                .map_err(|error| unfit(&error))?,
        ),
        admin_email: client.owner.clone(),
        plan: None,
        region: None,
        database: None,
    };
    let by = By::from(&PlatformCaller::command_line());
    let registered = create::register_given(app, by, &wish, client.id, &key, ready).await;
    let (instance, link) = match registered {
        Ok(registered) => registered,
        // Another process of this deployment started at the same moment and was first.
        Err(error) => {
            let mut connection = app.platform().acquire().await?;
            let found = instances::find(&mut connection, client.id).await?;
            let instance = found.ok_or(error)?;
            return Ok(Prepared {
                slug: instance.slug,
                invitation: None,
            });
        }
    };
    Ok(Prepared {
        slug: instance.slug,
        invitation: Some((client.owner.clone(), link)),
    })
}

fn unfit(error: &InvalidText) -> InstanceError {
    InstanceError::Invalid {
        field: "name",
        message: error.to_string(),
    }
}

/// The bot's name in the settings that the database holds already, if it holds any.
async fn name_in(
    app: &App,
    instance: InstanceId,
    address: &DatabaseAddress,
) -> Result<Option<InstanceName>, ClientDbError> {
    let apart = app.clients().apart();
    let target = Target {
        instance,
        generation: 1,
        address: Arc::new(address.clone()),
    };
    let current = async {
        let connection = apart.checkout(&target).await?;
        live_configurations::current(&connection).await
    };
    let current = current.await;
    apart.forget(instance);
    let bot_name = current?.map(|current| current.settings.display.bot_name);
    Ok(bot_name.and_then(|name| InstanceName::parse(&name).ok()))
}

/// A new link for the owner who has not set a password yet: the one of the first start may be lost.
async fn invite_again(
    app: &App,
    instance: InstanceId,
) -> Result<Option<(Email, SetupLink)>, DedicatedError> {
    let mut transaction = app.platform().begin().await?;
    let admins = instance_admins::list(&mut transaction, instance).await?;
    let waiting = admins
        .into_iter()
        .find(|admin| admin.role == AdminRole::Owner && admin.password_hash.is_none());
    let Some(owner) = waiting else {
        return Ok(None);
    };
    let account = AccountId::InstanceAdmin(owner.id);
    let link = links::issue(app, &mut transaction, account, LINK_LIFE).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(Some((owner.email, link)))
}
