//! Client API keys, as the platform issues them. The key itself is shown once.

use serde_json::json;
use stoa_domain::token::TokenKind;
use stoa_domain::{ApiTokenId, InstanceId, InstanceStatus};
use stoa_platform_db::api_tokens::{self, ApiToken, ApiTokenScope};
use stoa_platform_db::{DbError, PgConnection, instances};

use super::InstanceError;
use crate::App;
use crate::access::PlatformCaller;
use crate::api_tokens::{Issued, fit_name, new_token};
use crate::audit::{self, Deed};

/// Issues a key to an instance's client API.
///
/// # Errors
/// When there is no such instance, the name is not fit, or the platform's database fails.
pub async fn create(
    app: &App,
    caller: &PlatformCaller,
    instance: InstanceId,
    name: &str,
) -> Result<Issued, InstanceError> {
    let name = fit_name(name).ok_or_else(|| InstanceError::Invalid {
        field: "name",
        message: "1 to 100 characters, none of them a control character".into(),
    })?;
    let scope = ApiTokenScope::Client(instance);
    let mut transaction = app.platform().begin().await?;
    require_alive(&mut transaction, instance).await?;
    let (new, token) = new_token(app, TokenKind::ClientKey, scope, name);
    api_tokens::insert(&mut transaction, &new).await?;
    let details = json!({"name": new.name, "hint": new.hint});
    let deed = key_deed("client_key.created", instance, new.id, details);
    audit::record(app, &mut transaction, caller, deed).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(Issued {
        id: new.id,
        name: new.name,
        token,
    })
}

/// An instance's keys, the newest first, the revoked ones too.
///
/// # Errors
/// When there is no such instance, or the platform's database fails.
pub async fn list(
    app: &App,
    _: &PlatformCaller,
    instance: InstanceId,
) -> Result<Vec<ApiToken>, InstanceError> {
    let mut connection = app.platform().acquire().await?;
    instances::find(&mut connection, instance)
        .await?
        .ok_or(InstanceError::NotFound)?;
    Ok(api_tokens::list(&mut connection, ApiTokenScope::Client(instance)).await?)
}

/// Revokes a key of this instance, at once and for good.
///
/// # Errors
/// When the instance has no such key, or the platform's database fails.
pub async fn revoke(
    app: &App,
    caller: &PlatformCaller,
    instance: InstanceId,
    key: ApiTokenId,
) -> Result<(), InstanceError> {
    let scope = ApiTokenScope::Client(instance);
    let mut transaction = app.platform().begin().await?;
    if !api_tokens::revoke(&mut transaction, scope, key, app.clock().now()).await? {
        return Err(InstanceError::NotFound);
    }
    let deed = key_deed("client_key.revoked", instance, key, json!({}));
    audit::record(app, &mut transaction, caller, deed).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(())
}

async fn require_alive(
    connection: &mut PgConnection,
    instance: InstanceId,
) -> Result<(), InstanceError> {
    let found = instances::find(connection, instance).await?;
    match found.ok_or(InstanceError::NotFound)?.status {
        status @ InstanceStatus::Deleting => Err(InstanceError::Status(status)),
        _ => Ok(()),
    }
}

fn key_deed(
    action: &str,
    instance: InstanceId,
    key: ApiTokenId,
    details: serde_json::Value,
) -> Deed<'_> {
    Deed {
        action,
        target_kind: "client_key",
        target_id: key.to_string(),
        instance: Some(instance),
        reason: None,
        details,
    }
}
