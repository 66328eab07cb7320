//! Accounts, one-time links, signed-in browsers and API tokens.

use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use stoa_domain::token::{Token, TokenKind};
use stoa_domain::{
    AdminRole, ApiTokenId, Email, InstanceAdminId, InstanceId, SignInLinkId, SuperAdminId,
    UserSessionId,
};
use stoa_platform_db::account::{Account, AccountId};
use stoa_platform_db::api_tokens::{self, ApiTokenScope, NewApiToken};
use stoa_platform_db::instance_admins::{self, NewInstanceAdmin};
use stoa_platform_db::sign_in_links::{self, NewSignInLink};
use stoa_platform_db::user_sessions::{self, NewUserSession};
use stoa_platform_db::{PgConnection, Taken, instances, super_admins};

use crate::support::Ground;

const IDLE: TimeDelta = TimeDelta::minutes(30);

fn email() -> Email {
    Email::parse("ada@example.com").unwrap()
}

async fn super_admin(ground: &Ground, connection: &mut PgConnection) -> SuperAdminId {
    let id = SuperAdminId::generate(&ground.clock, &ground.random);
    super_admins::insert(connection, id, &email(), ground.now())
        .await
        .unwrap();
    id
}

async fn owner(
    ground: &Ground,
    connection: &mut PgConnection,
    instance: InstanceId,
) -> InstanceAdminId {
    let new = NewInstanceAdmin {
        id: InstanceAdminId::generate(&ground.clock, &ground.random),
        instance,
        email: email(),
        role: AdminRole::Owner,
        created_at: ground.now(),
    };
    instance_admins::insert(connection, &new).await.unwrap();
    new.id
}

async fn link(ground: &Ground, connection: &mut PgConnection, account: AccountId) -> Token {
    let token = Token::issue(TokenKind::SignInLink, &ground.random);
    let new = NewSignInLink {
        id: SignInLinkId::generate(&ground.clock, &ground.random),
        account,
        token: token.hash(),
        created_at: ground.now(),
        expires_at: ground.now() + TimeDelta::hours(1),
    };
    sign_in_links::issue(connection, &new).await.unwrap();
    token
}

async fn session(
    ground: &Ground,
    connection: &mut PgConnection,
    account: AccountId,
) -> (UserSessionId, Token) {
    let token = Token::issue(TokenKind::UserSession, &ground.random);
    let new = NewUserSession {
        id: UserSessionId::generate(&ground.clock, &ground.random),
        account,
        token: token.hash(),
        created_at: ground.now(),
        expires_at: ground.now() + TimeDelta::hours(12),
    };
    user_sessions::insert(connection, &new).await.unwrap();
    (new.id, token)
}

#[tokio::test]
async fn an_address_is_one_account_on_the_platform_and_one_in_each_instance() {
    let ground = Ground::new().await;
    let (acme, zenith) = (
        ground.instance("acme").await,
        ground.instance("zenith").await,
    );
    let mut connection = ground.connection().await;
    let id = super_admin(&ground, &mut connection).await;
    let in_acme = owner(&ground, &mut connection, acme).await;
    let in_zenith = owner(&ground, &mut connection, zenith).await;

    let again = SuperAdminId::generate(&ground.clock, &ground.random);
    let taken = super_admins::insert(&mut connection, again, &email(), ground.now()).await;
    assert_eq!(taken.unwrap_err().taken(), Some(Taken::SuperAdminEmail));
    let again = NewInstanceAdmin {
        id: InstanceAdminId::generate(&ground.clock, &ground.random),
        instance: acme,
        email: email(),
        role: AdminRole::Agent,
        created_at: ground.now(),
    };
    let taken = instance_admins::insert(&mut connection, &again).await;
    assert_eq!(taken.unwrap_err().taken(), Some(Taken::InstanceAdminEmail));

    let hash = SecretString::from("$argon2id$…");
    assert!(
        super_admins::set_password(&mut connection, id, &hash, ground.now())
            .await
            .unwrap()
    );
    let found = super_admins::find_by_email(&mut connection, &email())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        found.password_hash.as_ref().unwrap().expose_secret(),
        hash.expose_secret()
    );
    assert!(!format!("{found:?}").contains("argon2id"));

    let elsewhere = instance_admins::find(&mut connection, zenith, in_acme)
        .await
        .unwrap();
    assert!(elsewhere.is_none(), "found through their own instance only");
    assert!(
        !instance_admins::delete(&mut connection, acme, in_zenith)
            .await
            .unwrap()
    );
    let set =
        instance_admins::set_password(&mut connection, zenith, in_acme, Some(&hash), ground.now());
    assert!(!set.await.unwrap());
    drop(connection);
    ground.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_lets_in_once_even_when_it_is_used_twice_at_once() {
    let ground = Ground::new().await;
    let instance = ground.instance("acme").await;
    let mut connection = ground.connection().await;
    let admin = owner(&ground, &mut connection, instance).await;
    let token = link(&ground, &mut connection, AccountId::InstanceAdmin(admin)).await;
    let (hash, now) = (token.hash(), ground.now());

    let peeked = sign_in_links::peek(&mut connection, &hash, now)
        .await
        .unwrap();
    assert_eq!(peeked.unwrap().email(), &email());
    let mut takers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let db = ground.database.db.clone();
        takers.spawn(async move {
            let mut connection = db.acquire().await.unwrap();
            sign_in_links::take(&mut connection, &hash, now)
                .await
                .unwrap()
        });
    }
    let let_in: Vec<_> = takers.join_all().await.into_iter().flatten().collect();
    let expected = Account::InstanceAdmin {
        id: admin,
        instance,
        email: email(),
        role: AdminRole::Owner,
    };
    assert_eq!(let_in, [expected]);
    assert!(
        sign_in_links::peek(&mut connection, &hash, now)
            .await
            .unwrap()
            .is_none()
    );
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn a_link_ends_with_its_time_and_with_a_newer_one() {
    let ground = Ground::new().await;
    let mut connection = ground.connection().await;
    let account = AccountId::SuperAdmin(super_admin(&ground, &mut connection).await);
    let older = link(&ground, &mut connection, account).await;
    let newer = link(&ground, &mut connection, account).await;

    let taken = sign_in_links::take(&mut connection, &older.hash(), ground.now()).await;
    assert_eq!(taken.unwrap(), None);
    ground.pass(TimeDelta::hours(1));
    let taken = sign_in_links::take(&mut connection, &newer.hash(), ground.now()).await;
    assert_eq!(taken.unwrap(), None);
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn a_session_ends_by_rest_by_age_and_by_hand() {
    let ground = Ground::new().await;
    let mut connection = ground.connection().await;
    let account = AccountId::SuperAdmin(super_admin(&ground, &mut connection).await);
    let (rested, first) = session(&ground, &mut connection, account).await;
    let mut find = async |token: &Token| {
        let found = user_sessions::find(&mut connection, &token.hash(), IDLE, ground.now()).await;
        found.unwrap()
    };

    assert_eq!(find(&first).await.unwrap().id, rested);
    for _ in 0..20 {
        ground.pass(TimeDelta::minutes(29));
        assert!(find(&first).await.is_some(), "in use it does not rest");
    }
    ground.pass(TimeDelta::minutes(30));
    assert!(find(&first).await.is_none(), "at rest for too long");

    let (_, second) = session(&ground, &mut *ground.connection().await, account).await;
    for _ in 0..30 {
        ground.pass(TimeDelta::minutes(24));
        find(&second).await;
    }
    assert!(find(&second).await.is_none(), "too old, although in use");

    let mut other = ground.connection().await;
    let (kept, third) = session(&ground, &mut other, account).await;
    let (_, fourth) = session(&ground, &mut other, account).await;
    let ended = user_sessions::revoke_all(&mut other, account, Some(kept))
        .await
        .unwrap();
    assert_eq!(ended, 3, "the two that were over too");
    assert!(find(&third).await.is_some());
    assert!(find(&fourth).await.is_none());
    assert!(user_sessions::revoke(&mut other, kept).await.unwrap());
    assert!(find(&third).await.is_none());
    drop((connection, other));
    ground.done().await;
}

#[tokio::test]
async fn a_session_knows_the_role_of_now_and_goes_with_its_instance() {
    let ground = Ground::new().await;
    let instance = ground.instance("acme").await;
    let mut connection = ground.connection().await;
    let admin = owner(&ground, &mut connection, instance).await;
    let (_, token) = session(&ground, &mut connection, AccountId::InstanceAdmin(admin)).await;

    instance_admins::set_role(&mut connection, instance, admin, AdminRole::Agent)
        .await
        .unwrap();
    let found = user_sessions::find(&mut connection, &token.hash(), IDLE, ground.now())
        .await
        .unwrap();
    let Account::InstanceAdmin {
        role,
        instance: whose,
        ..
    } = found.unwrap().account
    else {
        panic!("an instance's admin");
    };
    assert_eq!((role, whose), (AdminRole::Agent, instance));

    instances::start_deleting(&mut connection, instance, ground.now())
        .await
        .unwrap();
    instances::delete(&mut connection, instance).await.unwrap();
    let gone = user_sessions::find(&mut connection, &token.hash(), IDLE, ground.now()).await;
    assert_eq!(gone.unwrap(), None);
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn a_token_opens_its_own_scope_until_it_is_revoked_there() {
    let ground = Ground::new().await;
    let (acme, zenith) = (
        ground.instance("acme").await,
        ground.instance("zenith").await,
    );
    let mut connection = ground.connection().await;
    let token = Token::issue(TokenKind::ClientKey, &ground.random);
    let new = NewApiToken {
        id: ApiTokenId::generate(&ground.clock, &ground.random),
        scope: ApiTokenScope::Client(acme),
        name: "shop server".to_owned(),
        token: token.hash(),
        hint: token.hint(),
        created_at: ground.now(),
    };
    api_tokens::insert(&mut connection, &new).await.unwrap();

    let now = ground.now();
    let found = api_tokens::find_by_hash(&mut connection, &token.hash(), now)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.id, found.scope), (new.id, new.scope));
    let listed = api_tokens::list(&mut connection, new.scope).await.unwrap();
    assert_eq!(listed[0].last_used_at, Some(now));

    for scope in [ApiTokenScope::Client(zenith), ApiTokenScope::Platform] {
        assert!(
            api_tokens::list(&mut connection, scope)
                .await
                .unwrap()
                .is_empty()
        );
        assert!(
            !api_tokens::revoke(&mut connection, scope, new.id, now)
                .await
                .unwrap()
        );
    }
    assert!(
        api_tokens::revoke(&mut connection, new.scope, new.id, now)
            .await
            .unwrap()
    );
    let gone = api_tokens::find_by_hash(&mut connection, &token.hash(), now).await;
    assert_eq!(gone.unwrap(), None);
    drop(connection);
    ground.done().await;
}
