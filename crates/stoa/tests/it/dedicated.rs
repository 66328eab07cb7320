//! A deployment dedicated to one client: the configuration that a platform generated, started on its
//! own, in the client's own database.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _};
use stoa_fake_ai::FakeAi;
use stoa_platform_db::testing::create_empty;

use crate::pages::set_password;
use crate::program::Program;
use crate::support::{
    Browser, Caller, Conversation, MASTER_KEY, Serving, TestInstance, execute, model_at,
    on_managed_cluster, problem, said,
};
use crate::tls_postgres::TlsPostgres;

const OWN_KEY: &str = "own:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Names and values of a generated client configuration.
type Environment = BTreeMap<String, String>;

/// A program that is dedicated to the client of this configuration.
fn dedicated(environment: &Environment) -> Program {
    let program = Program::new()
        .with("MULTI_TENANT_MODE", "false")
        .with("STOA_MASTER_KEY", OWN_KEY)
        .with("STOA_ALLOWED_PRIVATE_HOSTS", "127.0.0.0/8")
        .with("CLIENT_ADMIN_EMAIL", "ada@example.com");
    let names = environment.iter();
    names.fold(program, |program, (name, value)| program.with(name, value))
}

fn environment_of(program: &Program, slug: &str) -> Environment {
    let printed = program.run(&["instance", "env", slug, "--json"]);
    assert_eq!(printed.status, 0, "{printed:?}");
    serde_json::from_str(&printed.stdout).unwrap()
}

/// Asks in a conversation; the whole answer.
async fn answer(chat: &Conversation) -> String {
    let question = "Within how many days can I bring it back?";
    let events = chat.events(question).await;
    assert_eq!(events.last().unwrap().kind(), "[DONE]", "{events:?}");
    said(&events)
}

async fn get(caller: &Caller, key: &str, path: &str) -> Value {
    let response = caller.client(key, Method::GET, path).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.json().await.unwrap()
}

#[tokio::test]
async fn a_generated_configuration_is_a_whole_deployment_in_the_clients_own_database() {
    let fake = FakeAi::start().await.unwrap();
    let platform = on_managed_cluster().await;
    let (serving, platform) = Serving::start(platform, &["serve"]);
    let before = serving.caller(&platform);
    let client = TestInstance::active(&before, "Fernweh").await;
    client
        .add_model(&before, model_at(&fake.base_url(), "fake"))
        .await;
    client
        .add_text(&before, "Returns", "Bring it back within 30 days.")
        .await;
    let settings = json!({ "display": { "bot_name": "Fernweh Help" } });
    let put = before.client(&client.key, Method::PUT, "/live-configuration");
    assert_eq!(
        put.json(&settings).send().await.unwrap().status(),
        StatusCode::OK
    );
    let chat = Conversation::begin(&before, &client).await;
    assert!(answer(&chat).await.contains("30 days"));
    let environment = environment_of(&platform, &client.slug);
    drop(serving);

    // Started alone, with a master key of its own and nothing else of the platform's.
    let (mut serving, program) = Serving::start(dedicated(&environment), &["serve"]);
    let printed = serving.printed(3);
    assert!(printed[0].ends_with("/console/fernweh-help"), "{printed:?}");
    assert!(
        printed[1].starts_with("ada@example.com sets a password here, once"),
        "{printed:?}"
    );
    let after = serving.caller(&program);
    let listed = after
        .platform(Method::GET, "/instances")
        .send()
        .await
        .unwrap();
    let listed: Value = listed.json().await.unwrap();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let instance = &listed["data"][0];
    assert_eq!(instance["id"], environment["CLIENT_ID"].as_str());
    assert_eq!(
        (&instance["slug"], &instance["name"], &instance["status"]),
        (
            &json!("fernweh-help"),
            &json!("Fernweh Help"),
            &json!("active")
        )
    );
    let url = &environment["CLIENT_DATABASE_URL"];
    let mut connection = PgConnection::connect(url).await.unwrap();
    let schemas: (String,) = sqlx::query_as(
        "SELECT string_agg(DISTINCT table_schema, ' ' ORDER BY table_schema)
         FROM information_schema.tables WHERE table_schema LIKE 'stoa%'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(schemas.0, "stoa stoa_platform");

    // What was there is there: a visitor comes back with the token of before, and goes on.
    let chat = chat.on(&after);
    let history = chat.history().await;
    assert_eq!(history.len(), 2, "{history:?}");
    assert!(answer(&chat).await.contains("30 days"));

    // The consoles let people in.
    let mut browser = Browser::default();
    set_password(&after, &mut browser, &printed[2]).await;
    let console = browser.open(&after, "/console/fernweh-help").await;
    assert_eq!(console.status, 200, "{}", console.html);
    let made = program.run(&["super-admin", "create", "--email", "root@example.com"]);
    let link = made
        .stdout
        .lines()
        .find(|line| line.contains("/setup?token="))
        .unwrap();
    let mut browser = Browser::default();
    set_password(&after, &mut browser, link).await;
    let overview = browser.open(&after, "/platform").await;
    assert!(overview.html.contains("Fernweh Help"), "{}", overview.html);

    // The key that was sealed elsewhere is asked for again, and everything else of it is kept.
    let client = TestInstance::with_key(&after, json!({ "instance": instance.clone() })).await;
    let models = get(&after, &client.key, "/api-configurations").await;
    let models = models["data"].as_array().unwrap();
    let needs_key: Vec<_> = models
        .iter()
        .map(|it| (&it["name"], &it["needs_key"]))
        .collect();
    assert_eq!(
        needs_key,
        [
            (&json!("Fake"), &json!(true)),
            (&json!("Passages"), &json!(false))
        ]
    );
    let path = format!("/api-configurations/{}", models[0]["id"].as_str().unwrap());
    let tested = after.client(&client.key, Method::POST, &format!("{path}/test"));
    let tested: Value = tested.send().await.unwrap().json().await.unwrap();
    assert_eq!(tested["error"]["code"], "key_needed", "{tested}");
    let key = json!({ "api_key": "sk-test-0123456789abcdef", "base_url": fake.base_url() });
    let given = after.client(&client.key, Method::PATCH, &path).json(&key);
    assert_eq!(given.send().await.unwrap().status(), StatusCode::OK);
    let tested = after.client(&client.key, Method::POST, &format!("{path}/test"));
    let tested: Value = tested.send().await.unwrap().json().await.unwrap();
    assert_eq!(tested["ok"], true, "{tested}");

    refuses_what_is_for_many(&after, &program, &client).await;
}

/// Nothing is made or deleted, and the database is the environment's.
async fn refuses_what_is_for_many(server: &Caller, program: &Program, client: &TestInstance) {
    let another = json!({ "name": "Another", "admin_email": "eve@example.com" });
    let another = server.platform(Method::POST, "/instances").json(&another);
    problem(another.send().await.unwrap(), 409, "dedicated_deployment").await;
    let path = format!("/instances/{}", client.id);
    let deleted = server.platform(Method::DELETE, &path).send().await.unwrap();
    problem(deleted, 409, "dedicated_deployment").await;
    let moved = json!({ "url": "postgres://ada:hunter2@127.0.0.1:5432/elsewhere" });
    let moved = server
        .client(&client.key, Method::PUT, "/database")
        .json(&moved);
    problem(moved.send().await.unwrap(), 409, "dedicated_deployment").await;
    for refused in [
        &[
            "instance",
            "create",
            "--name",
            "X",
            "--admin-email",
            "a@b.co",
        ][..],
        &["instance", "delete", &client.slug, "--yes"],
    ] {
        let run = program.run(refused);
        assert_eq!((run.status, run.stdout.as_str()), (1, ""), "{run:?}");
        assert!(
            run.stderr.contains("error: dedicated_deployment: "),
            "{run:?}"
        );
    }
    let doctor = program.run(&["doctor"]);
    assert_eq!(doctor.status, 0, "{doctor:?}");
    assert!(doctor.stdout.contains("client_database"), "{doctor:?}");
}

/// The configuration of a fresh client on a database of its own.
async fn fresh() -> (Environment, String) {
    let (name, url) = create_empty().await;
    let environment = [
        ("CLIENT_ID", "018f0000-0000-7000-8000-00000000c0de"),
        ("CLIENT_DATABASE_URL", url.expose_secret()),
        ("CLIENT_SUPABASE_URL", ""),
        ("CLIENT_SUPABASE_ANON_KEY", ""),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    (environment.into(), name)
}

#[tokio::test]
async fn an_empty_database_becomes_one_and_the_registry_follows_the_environment() {
    let (mut environment, database) = fresh().await;
    let (mut serving, program) = Serving::start(dedicated(&environment), &["serve"]);
    let first = serving.printed(3);
    assert!(first[0].ends_with("/console/chatbot"), "{first:?}");
    drop(serving);

    // The link of the first start is lost, and nobody has been in: the next start prints another.
    let (mut serving, program) = Serving::start(program, &["serve"]);
    let second = serving.printed(3);
    assert_ne!(first[2], second[2]);
    let server = serving.caller(&program);
    let mut browser = Browser::default();
    let old = browser
        .open(
            &server,
            first[2]
                .split_once("/setup")
                .map(|(_, it)| format!("/setup{it}"))
                .unwrap()
                .as_str(),
        )
        .await;
    assert_eq!(old.status, 404);
    set_password(&server, &mut browser, &second[2]).await;
    drop(serving);

    // Another role and a Supabase project: the registry says what the environment says.
    execute(
        &environment["CLIENT_DATABASE_URL"],
        &format!(
            "CREATE ROLE \"{database}\" LOGIN PASSWORD 'another-password' SUPERUSER;
             GRANT ALL ON DATABASE \"{database}\" TO \"{database}\""
        ),
    )
    .await;
    let host = environment["CLIENT_DATABASE_URL"]
        .split_once('@')
        .unwrap()
        .1
        .to_owned();
    let url = format!("postgres://{database}:another-password@{host}");
    environment.insert("CLIENT_DATABASE_URL".into(), url.clone());
    let supabase = "https://abcdefgh.supabase.co".to_owned();
    environment.insert("CLIENT_SUPABASE_URL".into(), supabase.clone());
    environment.insert("CLIENT_SUPABASE_ANON_KEY".into(), "anon-key".into());
    let (serving, program) = Serving::start(dedicated(&environment), &["serve"]);
    let known = environment_of(&program, "chatbot");
    assert_eq!(known, environment);
    let (_, log, _) = serving.end_by(rustix::process::Signal::TERM);
    assert!(
        !log.contains("another-password") && !log.contains("token="),
        "{log}"
    );
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let generation = sqlx::query("SELECT database_generation FROM stoa_platform.chat_instances");
    let generation: i64 = generation.fetch_one(&mut connection).await.unwrap().get(0);
    assert_eq!(generation, 2);

    // Another start with the same environment changes nothing, and prints no link.
    let (serving, _) = Serving::start(program, &["serve"]);
    drop(serving);
    let generation = sqlx::query("SELECT database_generation FROM stoa_platform.chat_instances");
    let generation: i64 = generation.fetch_one(&mut connection).await.unwrap().get(0);
    assert_eq!(generation, 2);

    // Somebody else's configuration does not fit this database.
    environment.insert(
        "CLIENT_ID".into(),
        "018f0000-0000-7000-8000-00000000beef".into(),
    );
    let refused = dedicated(&environment).with("PORT", "0").run(&["serve"]);
    assert_eq!((refused.status, refused.stdout.as_str()), (1, ""));
    assert!(
        refused.stderr.contains("error: client_database: "),
        "{refused:?}"
    );
    assert!(
        refused
            .stderr
            .contains("CLIENT_ID and CLIENT_DATABASE_URL do not belong"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_role_of_least_privilege_is_told_the_sql_for_the_platforms_schema() {
    let (mut environment, database) = fresh().await;
    let owners = environment["CLIENT_DATABASE_URL"].clone();
    let role = format!(
        "CREATE ROLE \"{database}\" LOGIN PASSWORD 'least'; GRANT \"{database}\" TO CURRENT_USER;
         GRANT CONNECT ON DATABASE \"{database}\" TO \"{database}\";
         CREATE SCHEMA stoa AUTHORIZATION \"{database}\""
    );
    execute(&owners, &role).await;
    let host = owners.split_once('@').unwrap().1;
    let url = format!("postgres://{database}:least@{host}");
    environment.insert("CLIENT_DATABASE_URL".into(), url);
    let refused = dedicated(&environment).with("PORT", "0").run(&["serve"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    let sql = format!("CREATE SCHEMA stoa_platform AUTHORIZATION \"{database}\";");
    assert!(refused.stderr.contains(&sql), "{refused:?}");

    execute(&owners, &sql).await;
    let (serving, program) = Serving::start(dedicated(&environment), &["serve"]);
    drop(serving);
    let (serving, program) = Serving::start(program, &["serve"]);
    drop(serving);
    let doctor = program.run(&["doctor"]);
    assert_eq!(doctor.status, 0, "{doctor:?}");
}

#[tokio::test]
async fn a_platform_of_many_is_not_taken_for_one_and_a_demo_is_none() {
    let (_, platform) = create_empty().await;
    let many = Program::new()
        .with("PLATFORM_DATABASE_URL", platform.expose_secret())
        .with("STOA_MASTER_KEY", MASTER_KEY);
    let create = [
        "instance",
        "create",
        "--name",
        "Acme",
        "--admin-email",
        "a@b.co",
    ];
    assert_eq!(many.run(&create).status, 0);
    let (environment, _) = fresh().await;
    let refused = dedicated(&environment)
        .with("PLATFORM_DATABASE_URL", platform.expose_secret())
        .with("STOA_MASTER_KEY", MASTER_KEY)
        .with("PORT", "0")
        .run(&["serve"]);
    assert!(refused.stderr.contains("error: not_alone: "), "{refused:?}");

    // A platform database of its own is fine; the client's database then holds the content alone.
    let (_, apart) = create_empty().await;
    let program = dedicated(&environment).with("PLATFORM_DATABASE_URL", apart.expose_secret());
    let (serving, _) = Serving::start(program, &["serve"]);
    drop(serving);
    let mut connection = PgConnection::connect(&environment["CLIENT_DATABASE_URL"])
        .await
        .unwrap();
    let there: (bool, bool) = sqlx::query_as(
        "SELECT to_regnamespace('stoa') IS NOT NULL, to_regnamespace('stoa_platform') IS NOT NULL",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(there, (true, false));

    let demo = dedicated(&environment).run(&["demo"]);
    assert!(demo.stderr.contains("error: not_for_a_demo: "), "{demo:?}");
    let (missing, _) = fresh().await;
    let missing = dedicated(&missing)
        .with("CLIENT_DATABASE_URL", "")
        .run(&["serve"]);
    assert!(
        missing.stderr.contains("CLIENT_DATABASE_URL is needed"),
        "{missing:?}"
    );
}

#[tokio::test]
async fn an_authority_of_the_databases_own_verifies_the_content_and_the_platforms_tables() {
    let tls = TlsPostgres::start("IP:127.0.0.1").await;
    let (mut environment, _) = fresh().await;
    let url = format!("{}?sslmode=verify-full", tls.database("dedicated"));
    environment.insert("CLIENT_DATABASE_URL".into(), url);
    let refused = dedicated(&environment).with("PORT", "0").run(&["serve"]);
    assert!(
        refused.stderr.contains("error: client_database: "),
        "{refused:?}"
    );

    let authority = tls.authority.trim_end().replace('\n', "\\n");
    environment.insert("CLIENT_DATABASE_CA".into(), authority.clone());
    let (serving, program) = Serving::start(dedicated(&environment), &["serve"]);
    let doctor = program.run(&["doctor"]);
    assert_eq!(doctor.status, 0, "{doctor:?}");
    let printed = program.run(&["instance", "env", "chatbot"]);
    assert!(
        printed.stdout.contains("CLIENT_DATABASE_CA="),
        "{printed:?}"
    );
    drop(serving);
    // Nothing has changed at the second start.
    let (serving, _) = Serving::start(program, &["serve"]);
    drop(serving);
    tls.stop().await;
}
