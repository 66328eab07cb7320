//! The people who run one instance, as far as the platform is concerned: new credentials.

use std::sync::Arc;

use serde_json::json;
use stoa_domain::{AdminRole, Email, InstanceId, InstanceStatus};
use stoa_platform_db::account::AccountId;
use stoa_platform_db::instance_admins::{self, InstanceAdmin};
use stoa_platform_db::{DbError, PgConnection, instances, user_sessions};

use super::InstanceError;
use super::create::LINK_LIFE;
use crate::App;
use crate::access::PlatformCaller;
use crate::audit::{self, Deed};
use crate::links::{self, SetupLink};

/// Gives an admin new credentials: the password they had stops working, their browsers are signed
/// out, and a new link lets them set another. Without an address it is the owner.
///
/// # Errors
/// When there is no such instance or no such admin in it, or the platform's database fails.
pub async fn renew(
    app: &Arc<App>,
    caller: &PlatformCaller,
    id: InstanceId,
    email: Option<&Email>,
) -> Result<(Email, SetupLink), InstanceError> {
    let mut transaction = app.platform().begin().await?;
    let instance = instances::find(&mut transaction, id)
        .await?
        .ok_or(InstanceError::NotFound)?;
    if instance.status == InstanceStatus::Deleting {
        return Err(InstanceError::Status(instance.status));
    }
    let admin = whom(&mut transaction, id, email).await?;
    let account = AccountId::InstanceAdmin(admin.id);
    let now = app.clock().now();
    instance_admins::set_password(&mut transaction, id, admin.id, None, now).await?;
    let ended = user_sessions::revoke_all(&mut transaction, account, None).await?;
    let link = links::issue(app, &mut transaction, account, LINK_LIFE).await?;
    let deed = Deed {
        action: "instance_admin.credentials_renewed",
        target_kind: "instance_admin",
        target_id: admin.id.to_string(),
        instance: Some(id),
        reason: None,
        details: json!({"email": admin.email.as_str(), "sessions_ended": ended}),
    };
    audit::record(app, &mut transaction, caller, deed).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok((admin.email, link))
}

async fn whom(
    connection: &mut PgConnection,
    instance: InstanceId,
    email: Option<&Email>,
) -> Result<InstanceAdmin, InstanceError> {
    let found = match email {
        Some(email) => instance_admins::find_by_email(connection, instance, email).await?,
        None => instance_admins::list(connection, instance)
            .await?
            .into_iter()
            .find(|admin| admin.role == AdminRole::Owner),
    };
    found.ok_or_else(|| InstanceError::Invalid {
        field: "email",
        message: "the address of one of this instance's admins".into(),
    })
}
