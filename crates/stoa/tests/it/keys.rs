//! Master keys: a new one put in an old one's place beside a running server, and what refuses when.

use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _};
use stoa_domain::seal::{DataKey, MasterKeyRing};
use stoa_domain::{Clock, InstanceId, Random};
use stoa_fake_ai::FakeAi;
use stoa_platform_db::testing::{cluster_url, create_empty};

use crate::program::{Program, Run};
use crate::support::{
    Caller, Conversation, MASTER_KEY, Serving, TestInstance, eventually, model_at, said,
};

const NEW_KEY: &str = "k2:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A platform database, and programs on it with different master keys.
struct Platform(SecretString);

impl Platform {
    async fn new() -> Self {
        Self(create_empty().await.1)
    }

    fn program(&self, keys: &str) -> Program {
        Program::new()
            .with("PLATFORM_DATABASE_URL", self.0.expose_secret())
            .with("STOA_MANAGED_DATABASE_URL", &cluster_url())
            .with("STOA_ALLOWED_PRIVATE_HOSTS", "127.0.0.0/8")
            .with("STOA_MASTER_KEY", keys)
    }

    async fn connection(&self) -> PgConnection {
        PgConnection::connect(self.0.expose_secret()).await.unwrap()
    }

    /// How many data keys each master key wraps, by the column.
    async fn wrapped_by(&self, id: &str) -> i64 {
        sqlx::query("SELECT count(*) FROM stoa_platform.chat_instances WHERE master_key_id = $1")
            .bind(id)
            .fetch_one(&mut self.connection().await)
            .await
            .unwrap()
            .get(0)
    }
}

fn both() -> String {
    format!("{NEW_KEY},{MASTER_KEY}")
}

fn rotated(run: &Run) -> Value {
    assert_eq!(run.status, 0, "{run:?}");
    serde_json::from_str(&run.stdout).unwrap()
}

/// A new instance, asked for under an idempotency key.
async fn once(caller: &Caller) -> Value {
    let created = caller
        .platform(Method::POST, "/instances")
        .header("idempotency-key", "the-only-one")
        .json(&json!({ "name": "Once", "admin_email": "ada@example.com" }))
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), 201);
    created.json().await.unwrap()
}

/// Asks and reads the answer to its end.
async fn answer(chat: &Conversation) -> String {
    let events = chat.events("Are you still there?").await;
    assert_eq!(events.last().unwrap().kind(), "[DONE]", "{events:?}");
    said(&events)
}

#[tokio::test]
async fn the_newest_key_takes_over_while_the_server_serves_and_the_old_one_can_go() {
    let (platform, fake) = (Platform::new().await, FakeAi::start().await.unwrap());
    let (serving, program) = Serving::start(platform.program(MASTER_KEY), &["serve"]);
    let owner = serving.caller(&program);
    let instance = TestInstance::create(&owner, "Acme").await;
    let slow = model_at(&fake.base_url(), "fake:tokens=80,rate=40");
    instance.add_model(&owner, slow).await;
    let (made, token) = (once(&owner).await, owner.platform_token().to_owned());
    drop(serving);

    // The old key alone opens what is stored, so the new one alone is refused.
    let early = platform.program(NEW_KEY).run(&["serve"]);
    assert_eq!(early.status, 1);
    assert!(
        early.stderr.contains("error: wrong_master_key: "),
        "{early:?}"
    );

    let (serving, program) = Serving::start(platform.program(&both()), &["serve"]);
    let owner = serving.caller(&program);
    let doctor = program.run(&["doctor"]).stdout;
    let told = "k2: it holds nothing; k1: it wraps 2 data keys and it seals 1 answer kept until ";
    assert!(doctor.contains(told), "{doctor}");

    // An answer is being written meanwhile.
    let chat = Conversation::begin(&owner, &instance).await;
    let rotation = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(300));
        (program.run(&["keys", "rotate", "--json"]), program)
    });
    let (answered, rotation) = tokio::join!(answer(&chat), rotation);
    let (rotation, program) = rotation.unwrap();
    assert!(answered.split_whitespace().count() >= 40, "{answered}");
    let rotation = rotated(&rotation);
    assert_eq!(rotation["newest"], "k2");
    assert_eq!(rotation["complete"], true, "{rotation}");
    assert_eq!(
        (&rotation["data_keys"], &rotation["kept_answers"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(rotation["keys"][1]["id"], "k1");
    assert_eq!(rotation["keys"][1]["removable"], true, "{rotation}");
    answer(&chat).await;

    // The second time there is nothing to do, and it says what can go.
    let again = program.run(&["keys", "rotate"]);
    assert_eq!(again.status, 0, "{again:?}");
    assert!(
        again.stdout.starts_with("0 data keys and 0 kept answers"),
        "{again:?}"
    );
    assert!(
        again
            .stdout
            .contains("The key k1 is no longer used by anything."),
        "{again:?}"
    );
    let listed = program.run(&["keys", "list"]).stdout;
    assert!(
        listed.contains("used by nothing: can be removed"),
        "{listed}"
    );
    drop(serving);

    let (serving, _) = Serving::start(platform.program(NEW_KEY), &["serve"]);
    let owner = Caller::new(format!("http://{}", serving.address), token);
    answer(&chat.on(&owner)).await;
    assert_eq!(once(&owner).await, made, "the kept answer still opens");
    let noted = sqlx::query(
        "SELECT action, target_id, actor_kind FROM stoa_platform.audit_log
         WHERE target_kind = 'master_key' ORDER BY position",
    );
    let noted = noted.fetch_all(&mut platform.connection().await).await;
    let noted: Vec<[String; 3]> = noted
        .unwrap()
        .iter()
        .map(|row| [row.get(0), row.get(1), row.get(2)])
        .collect();
    assert_eq!(
        noted,
        [
            ["master_key.rotation_started", "k2", "command_line"].map(String::from),
            ["master_key.rotated", "k2", "command_line"].map(String::from),
        ],
        "a run with nothing to do leaves no line"
    );
}

/// Registers instances as a server with this key ring would, without their databases.
async fn register(platform: &Platform, count: u32) -> Vec<InstanceId> {
    let ring = MasterKeyRing::parse(&SecretString::from(MASTER_KEY)).unwrap();
    let (clock, random) = (Clock::system(), Random::system());
    let mut connection = platform.connection().await;
    let mut ids = Vec::new();
    for nth in 0..count {
        let id = InstanceId::generate(&clock, &random);
        let key = DataKey::generate(&random);
        sqlx::query(
            "INSERT INTO stoa_platform.chat_instances (id, slug, name, status, plan, database_mode,
                 data_key_wrapped, master_key_id, created_at)
             VALUES ($1, $2, $2, 'awaiting_setup', 'free', 'external', $3, 'k1', $4)",
        )
        .bind(id.as_uuid())
        .bind(format!("shop-{nth}"))
        .bind(ring.wrap(id, &key, &random).unwrap())
        .bind(clock.now())
        .execute(&mut connection)
        .await
        .unwrap();
        ids.push(id);
    }
    ids.sort();
    ids
}

#[tokio::test]
async fn a_rotation_that_was_killed_goes_on_where_it_was() {
    let platform = Platform::new().await;
    let program = platform.program(&both());
    assert_eq!(program.run(&["migrate"]).status, 0);
    let ids = register(&platform, 250).await;

    // Somebody holds the last row, so that the rotation is certainly under way when it is killed.
    let mut holder = platform.connection().await;
    let mut held = holder.begin().await.unwrap();
    sqlx::query("SELECT FROM stoa_platform.chat_instances WHERE id = $1 FOR UPDATE")
        .bind(ids[249].as_uuid())
        .execute(&mut *held)
        .await
        .unwrap();
    let mut child = program
        .command(&["keys", "rotate"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let half_way = || async { (platform.wrapped_by("k2").await >= 200).then_some(()) };
    eventually("200 data keys under the new key", half_way).await;
    child.kill().unwrap();
    child.wait().unwrap();
    // The statement that it was waiting for ends with it, as when a connection is cut.
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    .execute(&mut platform.connection().await)
    .await
    .unwrap();
    held.rollback().await.unwrap();
    assert_eq!(platform.wrapped_by("k1").await, 50);

    let rest = rotated(&program.run(&["keys", "rotate", "--json"]));
    assert_eq!(
        (&rest["data_keys"], &rest["complete"]),
        (&json!(50), &json!(true))
    );
    assert_eq!(platform.wrapped_by("k2").await, 250);
    let alone = platform.program(NEW_KEY).run(&["instance", "list"]);
    assert_eq!(alone.status, 0, "{alone:?}");

    // Every key is the one that it was: all of them open.
    let ring = MasterKeyRing::parse(&SecretString::from(NEW_KEY)).unwrap();
    let stored = sqlx::query("SELECT id, data_key_wrapped FROM stoa_platform.chat_instances");
    for row in stored.fetch_all(&mut holder).await.unwrap() {
        let id = InstanceId::from_uuid(row.get(0));
        ring.unwrap(id, row.get(1)).unwrap();
    }
}

#[tokio::test]
async fn what_a_server_with_the_old_key_makes_meanwhile_is_found_by_the_next_run() {
    let platform = Platform::new().await;
    let (late, late_program) = Serving::start(platform.program(MASTER_KEY), &["serve"]);
    let owner = late.caller(&late_program);
    let program = platform.program(&both());
    let first = rotated(&program.run(&["keys", "rotate", "--json"]));
    assert_eq!(first["data_keys"], 0);
    TestInstance::create(&owner, "Late").await;

    let listed: Value =
        serde_json::from_str(&program.run(&["keys", "list", "--json"]).stdout).unwrap();
    let k1 = &listed["data"][1];
    assert_eq!((&k1["id"], &k1["data_keys"]), (&json!("k1"), &json!(1)));
    assert_eq!(k1["removable"], false, "{listed}");
    let refused = platform.program(NEW_KEY).run(&["instance", "list"]);
    assert!(
        refused.stderr.contains("error: wrong_master_key: "),
        "{refused:?}"
    );

    let second = rotated(&program.run(&["keys", "rotate", "--json"]));
    assert_eq!(second["data_keys"], 1);
    assert_eq!(second["keys"][1]["removable"], true);
}

#[tokio::test]
async fn a_data_key_that_does_not_open_is_named_and_the_others_are_rotated() {
    let platform = Platform::new().await;
    let program = platform.program(&both());
    assert_eq!(program.run(&["migrate"]).status, 0);
    let ids = register(&platform, 3).await;
    sqlx::query(
        "UPDATE stoa_platform.chat_instances SET data_key_wrapped = (
             SELECT data_key_wrapped FROM stoa_platform.chat_instances WHERE id = $1) WHERE id = $2",
    )
    .bind(ids[0].as_uuid())
    .bind(ids[1].as_uuid())
    .execute(&mut platform.connection().await)
    .await
    .unwrap();
    let run = program.run(&["keys", "rotate", "--json"]);
    assert_eq!(run.status, 1);
    assert!(run.stderr.contains("error: keys_still_in_use: "), "{run:?}");
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["data_keys"], 2);
    assert_eq!(report["unopened"], json!([ids[1].to_string()]));
    assert_eq!(report["complete"], false);
}
