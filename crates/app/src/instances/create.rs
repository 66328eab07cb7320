//! Making an instance: registry row, database, owner and set-up link, all or nothing.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::json;
use stoa_domain::seal::{DataKey, SealError};
use stoa_domain::{
    AdminRole, DatabaseMode, Email, InstanceAdminId, InstanceId, InstanceName, Slug,
};
use stoa_platform_db::account::AccountId;
use stoa_platform_db::instance_admins::{self, NewInstanceAdmin};
use stoa_platform_db::instances::{self, Instance, NewDatabase, NewInstance};
use stoa_platform_db::{DbError, Transaction};

use super::environment::{Environment, authority_of};
use super::{InstanceError, managed, reclaim, require_plan, require_region, taken};
use crate::App;
use crate::access::PlatformCaller;
use crate::audit::{self, By, Deed};
use crate::database::{self, MadeReady, NewAddress, Owner};
use crate::links::{self, SetupLink};
use crate::registry::RegistryError;

/// How long a client admin's set-up link works.
pub(crate) const LINK_LIFE: TimeDelta = TimeDelta::days(7);
/// The plan of whoever names none.
const DEFAULT_PLAN: &str = "free";
/// How many suffixes are tried for a slug that is made of the name.
const SUFFIXES: u32 = 50;

/// What a new instance is to be.
pub struct Wish {
    /// Its name for people.
    pub name: InstanceName,
    /// Its name in addresses; made of the name when left out.
    pub slug: Option<Slug>,
    /// Who is to run it.
    pub admin_email: Email,
    /// The code of its plan; `free` when left out.
    pub plan: Option<String>,
    /// Where its data must stay.
    pub region: Option<String>,
    /// Where its database is; managed when left out and a cluster for that is configured.
    pub database: Option<WishedDatabase>,
}

/// Where a new instance's database is to be.
pub enum WishedDatabase {
    /// On the platform's cluster.
    Managed,
    /// The client's own; without an address the client connects it later.
    External(Option<NewAddress>),
}

impl WishedDatabase {
    const fn mode(&self) -> DatabaseMode {
        match self {
            Self::Managed => DatabaseMode::Managed,
            Self::External(_) => DatabaseMode::External,
        }
    }
}

impl Wish {
    fn external(&self) -> Option<&NewAddress> {
        match &self.database {
            Some(WishedDatabase::External(address)) => address.as_ref(),
            _ => None,
        }
    }
}

/// An instance that was just made.
pub struct Created {
    /// The instance.
    pub instance: Instance,
    /// Who runs it.
    pub admin_email: Email,
    /// The link by which they set a password.
    pub link: SetupLink,
    /// The generated client configuration.
    pub environment: Environment,
}

/// Makes an instance. Runs to its end even if the caller goes away, so that nothing half done stays.
///
/// # Errors
/// When a field is not right, the slug taken, the database not to be made, or the platform's
/// database fails.
pub async fn create(
    app: &Arc<App>,
    caller: &PlatformCaller,
    wish: Wish,
) -> Result<Created, InstanceError> {
    if app.settings().dedicated.is_some() {
        return Err(InstanceError::Dedicated);
    }
    let (worker, by) = (Arc::clone(app), By::from(caller));
    let work = app
        .tasks()
        .spawn(async move { carry_out(&worker, by, wish).await });
    work.await.map_err(|_| InstanceError::CutOff)?
}

async fn carry_out(app: &Arc<App>, by: By, wish: Wish) -> Result<Created, InstanceError> {
    let plan = wish.plan.clone().unwrap_or_else(|| DEFAULT_PLAN.to_owned());
    require_plan(app, &plan).await?;
    if let Some(region) = &wish.region {
        require_region(region)?;
    }
    if let Some(slug) = &wish.slug {
        require_free(app, slug).await?;
    }
    let id = app.new_id(InstanceId::generate);
    let key = DataKey::generate(app.random());
    let wrapped = app.keys().wrap(id, &key, app.random());
    let wrapped = wrapped.map_err(|source| sealed(id, source))?;
    let mode = mode(app, &wish);
    let (database, address) = match (mode, wish.external()) {
        (DatabaseMode::External, None) => (None, None),
        (DatabaseMode::External, Some(new)) => {
            let owner = Owner {
                instance: id,
                key: &key,
                generation: 0,
            };
            let MadeReady {
                database, address, ..
            } = database::make_ready(app, owner, new).await?;
            (Some(database), Some(address))
        }
        (DatabaseMode::Managed, _) => {
            let (new, address) = managed::make(app, id, &key).await?;
            (Some(new), Some(address))
        }
    };
    let draft = Draft {
        app,
        by,
        wish: &wish,
        plan,
        id,
        mode,
        wrapped,
        database,
    };
    let registered = draft.register().await;
    if registered.is_err() {
        match (mode, &address) {
            (DatabaseMode::Managed, _) => managed::unmake(app, id).await,
            (DatabaseMode::External, Some(address)) => {
                database::give_back(app, id, address).await;
            }
            (DatabaseMode::External, None) => {}
        }
    }
    let (instance, link) = registered?;
    let environment = Environment {
        client_id: id,
        database_ca: address.as_ref().and_then(authority_of),
        database_url: address.map(|address| address.to_secret_url()),
        supabase_url: wish.external().and_then(|new| new.supabase.url.clone()),
        supabase_anon_key: wish
            .external()
            .and_then(|new| new.supabase.anon_key.clone()),
    };
    Ok(Created {
        instance,
        admin_email: wish.admin_email,
        link,
        environment,
    })
}

/// Registers the one instance of a dedicated deployment, under the id that it is given and with a
/// database that is ready, and makes it active if it awaits nothing.
///
/// # Errors
/// When the id is taken, or the platform's database fails.
pub(crate) async fn register_given(
    app: &App,
    by: By,
    wish: &Wish,
    id: InstanceId,
    key: &DataKey,
    ready: MadeReady,
) -> Result<(Instance, SetupLink), InstanceError> {
    let wrapped = app.keys().wrap(id, key, app.random());
    let draft = Draft {
        app,
        by,
        wish,
        plan: DEFAULT_PLAN.to_owned(),
        id,
        mode: DatabaseMode::External,
        wrapped: wrapped.map_err(|source| sealed(id, source))?,
        database: Some(ready.database),
    };
    let registered = draft.register().await?;
    let now = app.clock().now();
    let mut transaction = app.platform().begin().await?;
    let ready_since = ready.ai_ready.then_some(now);
    instances::set_ai_ready(&mut transaction, id, ready_since).await?;
    instances::activate_if_ready(&mut transaction, id, now).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(registered)
}

fn mode(app: &App, wish: &Wish) -> DatabaseMode {
    let default = if app.settings().managed.is_some() {
        DatabaseMode::Managed
    } else {
        DatabaseMode::External
    };
    let wished = wish.database.as_ref();
    wished.map_or(default, WishedDatabase::mode)
}

async fn require_free(app: &App, slug: &Slug) -> Result<(), InstanceError> {
    let mut connection = app.platform().acquire().await?;
    match instances::find_by_slug(&mut connection, slug).await? {
        Some(_) => Err(InstanceError::SlugTaken(slug.clone())),
        None => Ok(()),
    }
}

fn sealed(instance: InstanceId, source: SealError) -> InstanceError {
    RegistryError::Sealed { instance, source }.into()
}

/// Everything that the one transaction writes.
struct Draft<'a> {
    app: &'a App,
    by: By,
    wish: &'a Wish,
    plan: String,
    id: InstanceId,
    mode: DatabaseMode,
    wrapped: Vec<u8>,
    database: Option<NewDatabase>,
}

impl Draft<'_> {
    async fn register(&self) -> Result<(Instance, SetupLink), InstanceError> {
        if let Some(slug) = &self.wish.slug {
            return self.register_as(slug).await;
        }
        let base = self.base_slug();
        let mut slug = base.clone();
        let mut suffix = 1;
        loop {
            match self.register_as(&slug).await {
                Err(InstanceError::SlugTaken(_)) if suffix < SUFFIXES => {
                    suffix += 1;
                    slug = base
                        .with_suffix(suffix)
                        .unwrap_or_else(|| self.random_slug());
                }
                Err(InstanceError::SlugTaken(_)) => {
                    return self.register_as(&self.random_slug()).await;
                }
                outcome => return outcome,
            }
        }
    }

    fn base_slug(&self) -> Slug {
        Slug::from_name(&self.wish.name).unwrap_or_else(|| self.random_slug())
    }

    /// For names of which nothing can stand in an address.
    fn random_slug(&self) -> Slug {
        loop {
            let number = u32::from_le_bytes(self.app.random().bytes());
            if let Ok(slug) = Slug::parse(&format!("client-{number:08x}")) {
                return slug;
            }
        }
    }

    async fn register_as(&self, slug: &Slug) -> Result<(Instance, SetupLink), InstanceError> {
        let mut transaction = self.app.platform().begin().await?;
        self.insert(&mut transaction, slug).await?;
        if self.mode == DatabaseMode::Managed {
            reclaim::call_off(&mut transaction, self.id).await?;
        }
        let link = self.invite_owner(&mut transaction).await?;
        let instance = instances::find(&mut transaction, self.id)
            .await?
            .ok_or(InstanceError::NotFound)?;
        let details = json!({
            "slug": slug.as_str(),
            "name": self.wish.name.as_str(),
            "plan": self.plan,
            "region": self.wish.region,
            "database": self.mode.as_str(),
            "owner": self.wish.admin_email.as_str(),
        });
        let deed = Deed::on_instance("instance.created", self.id, details);
        audit::record(self.app, &mut transaction, self.by.clone(), deed).await?;
        transaction.commit().await.map_err(DbError::from)?;
        Ok((instance, link))
    }

    async fn insert(
        &self,
        transaction: &mut Transaction,
        slug: &Slug,
    ) -> Result<(), InstanceError> {
        let now = self.app.clock().now();
        let new = NewInstance {
            id: self.id,
            slug: slug.clone(),
            name: self.wish.name.clone(),
            plan: self.plan.clone(),
            region: self.wish.region.clone(),
            database_mode: self.mode,
            data_key_wrapped: self.wrapped.clone(),
            master_key_id: self.app.keys().newest_id().to_owned(),
            created_at: now,
        };
        instances::insert(transaction, &new)
            .await
            .map_err(|error| taken(error, Some(slug), Some(&self.plan)))?;
        if let Some(database) = &self.database {
            instances::set_database(transaction, self.id, database, now).await?;
        }
        Ok(())
    }

    async fn invite_owner(
        &self,
        transaction: &mut Transaction,
    ) -> Result<SetupLink, InstanceError> {
        let admin = NewInstanceAdmin {
            id: self.app.new_id(InstanceAdminId::generate),
            instance: self.id,
            email: self.wish.admin_email.clone(),
            role: AdminRole::Owner,
            created_at: self.app.clock().now(),
        };
        instance_admins::insert(transaction, &admin).await?;
        let account = AccountId::InstanceAdmin(admin.id);
        Ok(links::issue(self.app, transaction, account, LINK_LIFE).await?)
    }
}
