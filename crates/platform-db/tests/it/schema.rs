//! What the migrations leave behind.

use std::collections::BTreeSet;

use secrecy::SecretString;
use sqlx::Executor;
use stoa_platform_db::testing::create_empty;
use stoa_platform_db::{DbError, PlatformDb};

use crate::support::Ground;

async fn names(connection: &mut sqlx::PgConnection, sql: &'static str) -> BTreeSet<String> {
    let names: Vec<String> = sqlx::query_scalar(sql).fetch_all(connection).await.unwrap();
    names.into_iter().collect()
}

#[tokio::test]
async fn every_table_of_the_contract_is_in_our_schema_and_nothing_outside_it() {
    let ground = Ground::new().await;
    let mut connection = ground.connection().await;
    let ours = names(
        &mut connection,
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'stoa_platform'",
    )
    .await;
    for table in [
        "api_tokens",
        "audit_log",
        "billing_records",
        "cache_entries",
        "chat_instances",
        "database_moves",
        "idempotency_keys",
        "instance_admins",
        "invoices",
        "jobs",
        "plans",
        "platform_analytics",
        "rate_limits",
        "sign_in_links",
        "super_admins",
        "usage_events",
        "user_sessions",
        "webhook_events",
    ] {
        assert!(ours.contains(table), "{table}");
    }
    let public = names(
        &mut connection,
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'public'",
    )
    .await;
    assert!(public.is_empty(), "{public:?}");
    let cache: String = sqlx::query_scalar(
        "SELECT relpersistence::text FROM pg_class WHERE oid = 'stoa_platform.cache_entries'::regclass",
    )
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    assert_eq!(cache, "u", "unlogged");
    drop(connection);
    ground.done().await;
}

/// Whoever adds a column meets this list, and has to ask whether it can hold what a client's
/// people say.
#[tokio::test]
async fn every_column_that_could_hold_free_text_is_known() {
    let ground = Ground::new().await;
    let mut connection = ground.connection().await;
    let free = names(
        &mut connection,
        "SELECT table_name || '.' || column_name FROM information_schema.columns
         WHERE table_schema = 'stoa_platform' AND data_type IN ('json', 'jsonb', 'bytea')",
    )
    .await;
    let known = [
        "api_tokens.token_hash",
        "audit_log.details",
        "audit_log.hash",
        "audit_log.prev_hash",
        "budget_counters.subject_hash",
        "budget_reservations.address_hash",
        "budget_reservations.end_user_hash",
        "cache_entries.value",
        "chat_instances.data_key_wrapped",
        "chat_instances.database_address_sealed",
        "chat_instances.supabase_sealed",
        "database_moves.previous_sealed",
        "database_moves.progress",
        "database_moves.to_address_sealed",
        "database_moves.to_facts",
        "database_moves.to_supabase_sealed",
        "idempotency_keys.request_hash",
        "idempotency_keys.response",
        "jobs.payload",
        "plans.limits",
        "schema_migrations.checksum",
        "sign_in_links.token_hash",
        "user_sessions.token_hash",
    ];
    assert_eq!(free, known.map(str::to_owned).into());
    let suspicious = names(
        &mut connection,
        "SELECT table_name || '.' || column_name FROM information_schema.columns
         WHERE table_schema = 'stoa_platform'
           AND column_name ~ '(content|message_text|prompt|question|answer|api_key|end_user_(id|name|email)|document)'",
    )
    .await;
    assert!(suspicious.is_empty(), "{suspicious:?}");
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn the_ledger_cannot_be_changed() {
    let ground = Ground::new().await;
    let mut connection = ground.connection().await;
    connection
        .execute(
            "INSERT INTO stoa_platform.billing_records
                 (id, key, instance_id, instance_slug, plan, period, kind, quantity, amount, currency,
                  description, created_at)
             VALUES (gen_random_uuid(), 'k', gen_random_uuid(), 'acme', 'free', '2026-01', 'base', 1, 4900,
                     'EUR', 'January', now())",
        )
        .await
        .unwrap();
    for refused in [
        "UPDATE stoa_platform.billing_records SET amount = 0",
        "DELETE FROM stoa_platform.billing_records",
        "TRUNCATE stoa_platform.billing_records",
    ] {
        let error = connection.execute(refused).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{error}");
    }
    drop(connection);
    ground.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_together_migrate_once_and_again_changes_nothing() {
    let (_name, url) = create_empty().await;
    let mut replicas = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let url = url.clone();
        replicas.spawn(async move {
            let db = PlatformDb::connect(&url, 2).await.unwrap();
            db.migrate().await.unwrap();
            db.migrate().await.unwrap();
            db.ping().await.unwrap();
            db.close().await;
        });
    }
    replicas.join_all().await;
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_told_from_one_that_cannot_be_read() {
    let connect =
        async |url: &str| PlatformDb::connect(&SecretString::from(url.to_owned()), 1).await;
    let refused = connect("postgres://u:secret@127.0.0.1:9/x")
        .await
        .unwrap_err();
    assert!(matches!(refused, DbError::Unavailable(_)), "{refused:?}");
    let unread = connect("not an address: secret").await.unwrap_err();
    assert!(matches!(unread, DbError::BadAddress));
    for error in [refused, unread] {
        assert!(!format!("{error:?} {error}").contains("secret"));
    }
    let ground = Ground::new().await;
    assert_eq!(format!("{:?}", ground.database.db), "PlatformDb(…)");
    ground.done().await;
}
