//! Everything of an instance as an archive: whole, loadable without us, without secrets, without
//! anybody else's.

mod archive;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stoa_fake_ai::FakeAi;
use stoa_platform_db::testing::create_empty;

use archive::Archive;

use crate::support::{
    Caller, Conversation, Server, Serving, TestInstance, execute, expect, on_managed_cluster,
    problem, value,
};

async fn export(server: &Caller, key: &str) -> Archive {
    let response = server
        .client(key, Method::GET, "/export")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/x-tar");
    Archive::of(&response.bytes().await.unwrap())
}

/// What a table would look like if somebody wanted to break the format that it is exported in.
const AWKWARD: &str =
    "tab\there, \\backslash, \\. and\n\\.\nDROP TABLE stoa.documents; \u{1f642} ü \\N";

async fn upload(server: &Caller, instance: &TestInstance, name: &str, content: &str) -> String {
    let body = format!(
        "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: text/plain\r\n\r\n{content}\r\n--limit--\r\n"
    );
    let added = server
        .client(&instance.key, Method::POST, "/documents")
        .header("content-type", "multipart/form-data; boundary=limit")
        .body(body);
    let added = expect(added, StatusCode::ACCEPTED).await;
    let id = added["id"].as_str().unwrap().to_owned();
    instance.finished_document(server, &id).await;
    id
}

/// What a tool sends along, which is nobody's to see.
const TOOLS_SECRET: &str = "tool-secret-0123456789";

async fn add_tool(server: &Caller, instance: &TestInstance) {
    let tool = json!({
        "name": "find_order", "description": "Finds an order.", "method": "GET",
        "url": "https://orders.example.com/orders/{order_id}",
        "headers": { "Authorization": format!("Bearer {TOOLS_SECRET}") },
        "parameters": { "type": "object", "properties": { "order_id": { "type": "string" } } },
    });
    let added = server
        .client(&instance.key, Method::POST, "/tools")
        .json(&tool);
    expect(added, StatusCode::CREATED).await;
}

#[tokio::test]
async fn an_export_is_whole_and_holds_no_secret_and_nobody_elses() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let ours = TestInstance::answering_from(&server, "Ours", &fake.base_url()).await;
    let theirs = TestInstance::active(&server, "Theirs").await;
    theirs
        .add_text(&server, "Theirs", "The zebrafish is theirs alone.")
        .await;
    ours.add_text(&server, "Ours", AWKWARD).await;
    let evil = upload(&server, &ours, "notes.txt", "root:x:0:0").await;
    // However it came there.
    execute(
        &ours.database_url(),
        "UPDATE stoa.documents SET file_name = '../../etc/passwd' WHERE file_name IS NOT NULL",
    )
    .await;
    add_tool(&server, &ours).await;
    let chat = Conversation::begin(&server, &ours).await;
    chat.events(AWKWARD).await;

    let archive = export(&server, &ours.key).await;
    assert_eq!(archive.paths()[0], "README.txt");
    assert_eq!(*archive.paths().last().unwrap(), "manifest.json");
    let manifest = archive.manifest();
    assert_eq!(manifest["instance"]["id"], ours.id.as_str());
    for file in manifest["files"].as_array().unwrap() {
        let content = archive.get(file["path"].as_str().unwrap());
        let hash: String = Sha256::digest(content)
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect();
        assert_eq!(
            (&file["sha256"], &file["bytes"]),
            (&json!(hash), &json!(content.len()))
        );
    }
    assert_eq!(
        manifest["files"].as_array().unwrap().len(),
        archive.paths().len() - 1
    );
    let tables = manifest["tables"].as_object().unwrap();
    for (table, rows) in tables {
        assert_eq!(
            archive.lines(table).len(),
            usize::try_from(rows.as_u64().unwrap()).unwrap()
        );
    }
    let url = ours.database_url();
    let listed = value(
        &url,
        "SELECT string_agg(table_name, ',' ORDER BY table_name) FROM information_schema.tables
         WHERE table_schema = 'stoa' AND table_name <> 'idempotency_keys'",
    );
    let names: Vec<&str> = tables.keys().map(String::as_str).collect();
    assert_eq!(names.join(","), listed.await, "every table");
    assert_eq!(archive.lines("chat_messages")[0]["content"], AWKWARD);
    assert_eq!(archive.lines("tools")[0]["name"], "find_order");

    // Names lead nowhere.
    let files: Vec<_> = archive
        .paths()
        .into_iter()
        .filter(|it| it.starts_with("files/"))
        .collect();
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(
        files.contains(&format!("files/{evil}/etc_passwd").as_str()),
        "{files:?}"
    );
    assert_eq!(
        archive.get(&format!("files/{evil}/etc_passwd")),
        b"root:x:0:0"
    );

    let whole = archive.whole();
    let whole = String::from_utf8_lossy(&whole);
    let sealed = value(
        &url,
        "SELECT encode(sealed, 'hex') FROM stoa.api_configurations",
    );
    let tool = value(&url, "SELECT encode(sealed, 'hex') FROM stoa.tools");
    let hash = value(
        &url,
        "SELECT encode(token_hash, 'hex') FROM stoa.chat_sessions LIMIT 1",
    );
    let secrets = [
        sealed.await,
        tool.await,
        hash.await,
        TOOLS_SECRET.into(),
        "orders.example.com".into(),
        chat.token,
        ours.key.clone(),
        "sk-test-0123456789abcdef".into(),
        "postgres://".into(),
        "zebrafish".into(),
        theirs.id.clone(),
    ];
    for secret in secrets {
        assert!(!whole.contains(&secret), "“{secret}” is in the archive");
    }
    let left_out = manifest["left_out"].to_string();
    for column in ["sealed", "sealed_secret", "key_hash", "token_hash"] {
        assert!(left_out.contains(column), "{left_out}");
    }

    let wrong = server.client(&format!("{}x", ours.key), Method::GET, "/export");
    problem(wrong.send().await.unwrap(), 401, "unauthorized").await;
}

#[tokio::test]
async fn the_sql_of_an_export_loads_into_a_postgresql_without_us_and_without_pgvector() {
    let server = Server::start().await;
    let instance = TestInstance::active(&server, "Ours").await;
    instance
        .add_text(&server, "Returns", "Bring it back within 30 days.")
        .await;
    instance.add_text(&server, "Awkward", AWKWARD).await;
    add_tool(&server, &instance).await;
    let url = instance.database_url();
    execute(
        &url,
        "UPDATE stoa.document_chunks SET embedding = stoa.to_vector('{1, 2.5, -3}'), embedding_model = 'm'",
    )
    .await;
    let chat = Conversation::begin(&server, &instance).await;
    chat.events(AWKWARD).await;
    let archive = export(&server, &instance.key).await;

    let folder = tempfile::tempdir().unwrap();
    for file in ["schema.sql", "data.sql"] {
        std::fs::write(
            folder.path().join(file),
            archive.get(&format!("sql/{file}")),
        )
        .unwrap();
    }
    let (_, empty) = create_empty().await;
    let empty = empty.expose_secret();
    load(folder.path(), empty);
    let tables: BTreeMap<String, u64> =
        serde_json::from_value(archive.manifest()["tables"].clone()).unwrap();
    for (table, rows) in tables {
        let count = value(
            empty,
            &format!("SELECT count(*)::text FROM stoa.\"{table}\""),
        )
        .await;
        assert_eq!(count, rows.to_string(), "{table}");
    }
    for same in [
        "SELECT string_agg(id || content, ',' ORDER BY position) FROM stoa.chat_messages",
        "SELECT string_agg(title || encode(content, 'hex'), ',' ORDER BY id) FROM stoa.documents",
        "SELECT string_agg(content || lexemes::text || embedding::text, ',' ORDER BY id) FROM stoa.document_chunks",
        "SELECT m.content FROM stoa.chat_messages m JOIN stoa.chat_sessions s ON s.id = m.session_id
         WHERE m.role = 'user'",
    ] {
        assert_eq!(value(empty, same).await, value(&url, same).await, "{same}");
    }
    let bound = value(
        empty,
        "SELECT count(*)::text FROM pg_constraint WHERE contype = 'f'",
    );
    assert!(bound.await.parse::<u32>().unwrap() >= 3);
    assert_eq!(
        value(
            empty,
            "SELECT count(*)::text FROM pg_extension WHERE extname = 'vector'"
        )
        .await,
        "0"
    );
}

/// As the README says.
fn load(folder: &Path, url: &str) {
    let psql = Command::new("psql")
        .args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-f",
            "schema.sql",
            "-f",
            "data.sql",
            url,
        ])
        .current_dir(folder)
        .output()
        .expect("psql is there");
    assert!(
        psql.status.success(),
        "{}",
        String::from_utf8_lossy(&psql.stderr)
    );
}

#[tokio::test]
async fn the_operators_export_is_told_to_both_sides() {
    let program = on_managed_cluster().await;
    let (serving, program) = Serving::start(program, &["serve"]);
    let server = serving.caller(&program);
    let instance = TestInstance::active(&server, "Acme").await;
    instance
        .add_text(&server, "Returns", "Bring it back within 30 days.")
        .await;
    let because = ["--reason", "they asked for it by mail"];
    let file = program.folder().join("acme.tar");
    let run = program.run(
        &[
            &[
                "instance", "export", "acme", "--output", "acme.tar", "--json",
            ][..],
            &because,
        ]
        .concat(),
    );
    assert_eq!(run.status, 0, "{run:?}");
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(told["bytes"], bytes.len());
    assert_eq!(Archive::of(&bytes).manifest()["instance"]["slug"], "acme");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(!program.folder().join("acme.tar.part").exists());

    let piped = program
        .command(&["instance", "export", &instance.id])
        .output()
        .unwrap();
    assert!(piped.status.success());
    let archive = Archive::of(&piped.stdout);
    let looks = archive.lines("access_log");
    assert_eq!(
        looks.len(),
        2,
        "the second is in what it exports: {looks:?}"
    );
    assert_eq!(looks[0]["reason"], "they asked for it by mail");
    assert_eq!(
        (&looks[0]["actor"], &looks[0]["action"]),
        (&json!("command_line"), &json!("export"))
    );
    let nobody = program.run(&["instance", "export", "nobody"]);
    assert_eq!((nobody.status, nobody.stdout.as_str()), (1, ""));
    assert!(nobody.stderr.contains("error: not_found: "), "{nobody:?}");
}

/// The most memory that a process has had, in MiB.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kilobytes.parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn a_large_export_takes_little_memory_and_a_reader_who_stops_is_dropped() {
    let program = on_managed_cluster().await;
    let (serving, program) = Serving::start(program, &["serve"]);
    let server = serving.caller(&program);
    let instance = TestInstance::active(&server, "Acme").await;
    let url = instance.database_url();
    execute(
        &url,
        "INSERT INTO stoa.documents (id, title, source, media_type, byte_size, content_sha256, content,
             status, created_at, updated_at)
         SELECT gen_random_uuid(), 'Large ' || n, 'file', 'application/octet-stream', 10485760, '\\x00',
             decode(repeat(md5(n::text), 655360), 'hex'), 'ready', now(), now()
         FROM generate_series(1, 10) n",
    )
    .await;
    let before = peak_memory(serving.pid());
    let mut response = server
        .client(&instance.key, Method::GET, "/export")
        .send()
        .await
        .unwrap();
    let mut bytes = 0;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes += chunk.len(),
            Ok(None) => break,
            Err(error) => {
                let (_, log, _) = serving.end_by(rustix::process::Signal::TERM);
                panic!("it broke off after {bytes} bytes: {error}: {log}");
            }
        }
    }
    assert!(
        bytes > 300 << 20,
        "{bytes} bytes: the files, and their text in the SQL"
    );
    let grown = peak_memory(serving.pid()) - before;
    // A few documents with their text form, however many there are.
    assert!(grown < 200, "{grown} MiB more for {} MiB", bytes >> 20);

    // Whoever reads nothing holds neither the connection nor the next export up for long.
    let stalled = server
        .client(&instance.key, Method::GET, "/export")
        .send()
        .await
        .unwrap();
    let again = server
        .client(&instance.key, Method::GET, "/export")
        .send()
        .await
        .unwrap();
    problem(again, 409, "export_under_way").await;
    let begun = std::time::Instant::now();
    loop {
        let again = server
            .client(&instance.key, Method::GET, "/export")
            .send()
            .await
            .unwrap();
        if again.status() == StatusCode::OK {
            break;
        }
        assert!(
            begun.elapsed().as_secs() < 90,
            "the stalled export still holds its place"
        );
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert!(begun.elapsed().as_secs() >= 10, "it was given time");
    assert!(
        stalled.bytes().await.is_err(),
        "it is told that this was not all"
    );
}
