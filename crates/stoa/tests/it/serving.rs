//! The program as a server, and the commands that work beside it.

use std::net::Shutdown;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::Value;
use stoa_platform_db::testing::{cluster_url, create_empty};

use crate::program::Program;
use crate::support::{MASTER_KEY, Serving, connect, free_address, on_empty_database};

const OTHER_KEY: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[tokio::test]
async fn serves_with_commands_beside_it_and_ends_when_asked() {
    let (serving, program) = Serving::start(on_empty_database().await, &["serve"]);
    assert!(serving.get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(serving.get("/openapi.json").contains("\"openapi\""));

    // The second server on the port says so, and names no secret.
    let second = program.run(&["serve"]);
    assert_eq!(second.status, 1);
    assert!(second.stderr.contains("error: port_in_use: "), "{second:?}");

    let admin = program.run(&[
        "super-admin",
        "create",
        "--email",
        "Ada@Example.com",
        "--json",
    ]);
    assert_eq!(admin.status, 0, "{admin:?}");
    let admin: Value = serde_json::from_str(&admin.stdout).unwrap();
    assert_eq!(admin["email"], "ada@example.com");
    let link = format!("http://{}/setup?token=", serving.address);
    assert!(
        admin["setup_url"].as_str().unwrap().starts_with(&link),
        "{admin}"
    );

    // An idle connection does not hold up the end.
    let idle = connect(serving.address).unwrap();
    let (status, log, took) = serving.end_by(rustix::process::Signal::TERM);
    assert_eq!(status, Some(0), "{log}");
    assert!(took < Duration::from_secs(5), "it took {took:?}: {log}");
    idle.shutdown(Shutdown::Both).ok();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).expect("a log in a pipe is JSON");
        assert!(line["level"] == "INFO", "{line}");
    }
}

#[tokio::test]
async fn a_worker_answers_for_its_health_alone() {
    let (serving, _) = Serving::start(on_empty_database().await, &["serve", "--role", "worker"]);
    assert!(serving.get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(serving.get("/openapi.json").starts_with("HTTP/1.1 404"));
    let (status, log, _) = serving.end_by(rustix::process::Signal::INT);
    assert_eq!(status, Some(0), "{log}");
}

#[tokio::test]
async fn passwords_come_by_standard_input_and_are_judged() {
    let program = on_empty_database().await;
    let create = [
        "super-admin",
        "create",
        "--email",
        "ada@example.com",
        "--password-stdin",
    ];
    let short = program.run_with_input(&create, "short\n");
    assert_eq!((short.status, short.stdout.as_str()), (1, ""));
    assert!(
        short.stderr.contains("error: unfit_password: "),
        "{short:?}"
    );
    let missing = program.run(&create);
    assert!(
        missing.stderr.contains("error: no_password: "),
        "{missing:?}"
    );

    let made = program.run_with_input(&create, "correct horse battery\n");
    assert_eq!(made.status, 0, "{made:?}");
    assert!(!made.stdout.contains("horse") && !made.stderr.contains("horse"));
    let again = program.run_with_input(&create, "correct horse battery\n");
    assert!(again.stderr.contains("error: email_taken: "), "{again:?}");
}

#[tokio::test]
async fn a_token_is_printed_alone_for_scripts() {
    let program = on_empty_database().await;
    let text = program.run(&["token", "create", "--name", "ci"]);
    assert_eq!((text.status, text.stderr.as_str()), (0, ""));
    assert_eq!(text.stdout.trim().lines().count(), 1, "{text:?}");
    let json = program.run(&["token", "create", "--name", "ci", "--json"]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let token = json["token"].as_str().unwrap();
    assert_eq!(token.split('_').next(), text.stdout.split('_').next());
    assert_ne!(token, text.stdout.trim());
}

#[tokio::test]
async fn an_instance_is_made_shown_and_deleted() {
    let program = on_empty_database()
        .await
        .with("STOA_MANAGED_DATABASE_URL", &cluster_url());
    let create = [
        "instance",
        "create",
        "--name",
        "Acme Gear",
        "--admin-email",
        "ada@example.com",
        "--json",
    ];
    let created = program.run(&create);
    assert_eq!(created.status, 0, "{created:?}");
    let created: Value = serde_json::from_str(&created.stdout).unwrap();
    assert_eq!(created["instance"]["slug"], "acme-gear");
    assert_eq!(created["instance"]["status"], "awaiting_setup");
    assert_eq!(created["instance"]["database"]["mode"], "managed");
    assert_eq!(created["admin"]["email"], "ada@example.com");
    assert!(
        created["admin"]["setup_url"]
            .as_str()
            .unwrap()
            .contains("/setup?token=")
    );

    // The configuration is the same when it is printed again, and a shell reads it.
    let env = program.run(&["instance", "env", "acme-gear"]);
    std::fs::write(program.folder().join("client.env"), &env.stdout).unwrap();
    let shell = std::process::Command::new("sh")
        .args([
            "-c",
            ". ./client.env; printf '%s %s' \"$CLIENT_ID\" \"$CLIENT_DATABASE_URL\"",
        ])
        .current_dir(program.folder())
        .output()
        .unwrap();
    let (id, url) = (
        &created["env"]["CLIENT_ID"],
        &created["env"]["CLIENT_DATABASE_URL"],
    );
    let both = format!("{} {}", id.as_str().unwrap(), url.as_str().unwrap());
    assert_eq!(String::from_utf8(shell.stdout).unwrap(), both);
    assert_eq!(id, &created["instance"]["id"]);

    let listed = program.run(&["instance", "list"]);
    assert!(listed.stdout.contains("acme-gear") && !listed.stdout.contains("postgres://"));
    let by_id = program.run(&["instance", "show", id.as_str().unwrap(), "--json"]);
    let by_slug = program.run(&["instance", "show", "acme-gear", "--json"]);
    assert_eq!(by_id.stdout, by_slug.stdout);

    let taken = [
        "instance",
        "create",
        "--name",
        "X",
        "--admin-email",
        "a@b.co",
        "--slug",
        "acme-gear",
    ];
    let taken = program.run(&taken);
    assert_eq!((taken.status, taken.stdout.as_str()), (1, ""));
    assert!(taken.stderr.contains("error: slug_taken: "), "{taken:?}");
    let early = program.run(&["instance", "suspend", "acme-gear"]);
    assert!(early.stderr.contains("error: wrong_status: "), "{early:?}");

    let unasked = program.run(&["instance", "delete", "acme-gear"]);
    assert_eq!(unasked.status, 2, "{unasked:?}");
    let deleted = program.run(&["instance", "delete", "acme-gear", "--yes", "--json"]);
    let deleted: Value = serde_json::from_str(&deleted.stdout).unwrap();
    assert_eq!(deleted["complete"], true);
    let gone = program.run(&["instance", "show", "acme-gear"]);
    assert!(gone.stderr.contains("error: not_found: "), "{gone:?}");
}

#[tokio::test]
async fn another_master_key_is_refused_once_something_is_sealed() {
    let program = on_empty_database().await.with("PORT", "0");
    let create = [
        "instance",
        "create",
        "--name",
        "Acme",
        "--admin-email",
        "a@b.co",
    ];
    assert_eq!(program.run(&create).status, 0);
    let program = program.with("STOA_MASTER_KEY", OTHER_KEY);
    for arguments in [&["serve"][..], &["instance", "list"]] {
        let refused = program.run(arguments);
        assert_eq!(
            (refused.status, refused.stdout.as_str()),
            (1, ""),
            "{refused:?}"
        );
        assert!(
            refused.stderr.contains("error: wrong_master_key: "),
            "{refused:?}"
        );
    }
    let doctor = program.run(&["doctor"]);
    assert!(doctor.stderr.contains("stored_keys"), "{doctor:?}");
}

#[tokio::test]
async fn serve_refuses_a_missing_or_exposed_master_key() {
    let (_, url) = create_empty().await;
    let program = Program::new().with("PLATFORM_DATABASE_URL", url.expose_secret());
    let missing = program.run(&["serve"]);
    assert_eq!((missing.status, missing.stdout.as_str()), (1, ""));
    assert!(
        missing.stderr.contains("error: no_master_key: "),
        "{missing:?}"
    );
    assert!(
        missing.stderr.contains("hint: make one with "),
        "{missing:?}"
    );

    std::fs::create_dir(program.folder().join("data")).unwrap();
    std::fs::write(program.folder().join("data/master.key"), OTHER_KEY).unwrap();
    let exposed = program.run(&["serve"]);
    assert_eq!(exposed.status, 1);
    assert!(exposed.stderr.contains("hint: chmod 600 "), "{exposed:?}");
    assert!(!exposed.stderr.contains("AAECAwQF"), "{exposed:?}");
}

#[tokio::test]
async fn migrating_and_looking_closer_agree() {
    let program = on_empty_database().await;
    let before = program.run(&["doctor"]);
    assert!(
        before.stdout.contains("migrations are not applied yet"),
        "{before:?}"
    );
    assert_eq!(program.run(&["migrate"]).status, 0);
    assert_eq!(program.run(&["migrate"]).status, 0);
    let after = program.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&after.stdout).unwrap();
    let status = |name: &str| {
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name);
        check.map(|check| check["status"].as_str().unwrap().to_owned())
    };
    for name in [
        "master_key",
        "platform_database",
        "platform_schema",
        "stored_keys",
        "clock",
    ] {
        assert_eq!(status(name).as_deref(), Some("pass"), "{name}: {report}");
    }
    assert_eq!(report["ok"], true);
}

#[test]
fn the_demo_answers_and_keeps_what_it_made() {
    let mut program = Program::new().with("STOA_DATA_DIR", "kept");
    // The whole tests run with a PostgreSQL that is known to be there.
    if let Ok(postgres) = std::env::var("STOA_POSTGRES_DIR") {
        program = program.with("STOA_POSTGRES_DIR", &postgres);
    }
    let (serving, program) = Serving::start(program, &["demo", "--json"]);
    let (first, log) = serving.first_result();
    for door in ["console", "platform"] {
        assert!(
            first[door]["password"].is_string(),
            "{door}: {first}: {log}"
        );
    }
    assert!(
        first["chat"].as_str().unwrap().ends_with("/chat/fernweh"),
        "{first}"
    );
    let key = program.folder().join("kept/master.key");
    let made = std::fs::read_to_string(&key).unwrap();

    let (again, program) = Serving::start(program, &["demo", "--json"]);
    let (second, log) = again.first_result();
    assert!(second["platform"]["password"].is_null(), "{second}: {log}");
    assert_eq!(std::fs::read_to_string(&key).unwrap(), made);

    let listed = program.run(&["instance", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["data"][0]["status"], "active");
    let foreign = program.with("PLATFORM_DATABASE_URL", "postgres://a:b@127.0.0.1:1/x");
    let refused = foreign.run(&["demo"]);
    assert!(
        refused.stderr.contains("error: not_for_a_demo: "),
        "{refused:?}"
    );
}

#[test]
fn a_database_that_is_not_there_is_a_clear_error() {
    let address = free_address();
    let program = Program::new()
        .with(
            "PLATFORM_DATABASE_URL",
            &format!("postgres://stoa:hunter2@{address}/stoa"),
        )
        .with("STOA_MASTER_KEY", MASTER_KEY)
        .with("PORT", "0");
    for arguments in [
        &["serve"][..],
        &["migrate"],
        &["token", "create", "--name", "x"],
    ] {
        let run = program.run(arguments);
        assert_eq!(
            (run.status, run.stdout.as_str()),
            (1, ""),
            "{arguments:?}: {run:?}"
        );
        assert!(
            run.stderr.contains("error: platform_database: "),
            "{arguments:?}: {run:?}"
        );
        assert!(!run.stderr.contains("hunter2"), "{arguments:?}: {run:?}");
    }
}
