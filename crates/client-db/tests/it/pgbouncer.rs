//! The same work through a real PgBouncer that shares connections by transaction.

use std::{path::Path, process::Stdio, time::Duration};

use secrecy::ExposeSecret as _;

use stoa_client_db::{
    ClientDbError, DatabaseAddress, Deadlines, PageRequest, PoolSettings, TextSearchConfiguration,
    chunks, documents, messages, preflight, search,
};
use stoa_domain::{DocumentSource, FinishReason, Random, token::SessionToken};
use tokio::process::{Child, Command};
use tokio_util::task::TaskTracker;

use crate::support::{Client, new, now, outbound, psql, rules};

/// A PgBouncer in front of `client`'s database, and the address that leads through it.
pub(crate) async fn pgbouncer(client: &Client, folder: &Path) -> (Child, DatabaseAddress) {
    pgbouncer_with(client, folder, 3).await
}

/// The same, with so many connections to the server.
async fn pgbouncer_with(client: &Client, folder: &Path, servers: u16) -> (Child, DatabaseAddress) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let address = &client.target.address;
    let url = client.given_url();
    let credentials = url
        .strip_prefix("postgres://")
        .unwrap()
        .split('@')
        .next()
        .unwrap();
    let (user, password) = credentials.split_once(':').unwrap();
    std::fs::write(
        folder.join("users.txt"),
        format!("\"{user}\" \"{password}\"\n"),
    )
    .unwrap();
    let settings = format!(
        "[databases]
* = host={} port={}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = users.txt
pool_mode = transaction
default_pool_size = {servers}
max_client_conn = 100
",
        address.host(),
        address.port(),
    );
    std::fs::write(folder.join("pgbouncer.ini"), settings).unwrap();
    let mut command = if is_root() {
        // PgBouncer refuses to run as root.
        let status = std::process::Command::new("chown")
            .args(["-R", "nobody"])
            .arg(folder)
            .status();
        assert!(status.unwrap().success());
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--clear-groups", "pgbouncer"]);
        command
    } else {
        Command::new("pgbouncer")
    };
    let path = std::env::var("PATH").unwrap_or_default();
    let child = command
        .arg("pgbouncer.ini")
        .current_dir(folder)
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("these tests need PgBouncer: install Debian's package `pgbouncer`");
    for _ in 0..100 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            let through = url.replace(
                &format!("{}:{}", address.host(), address.port()),
                &format!("127.0.0.1:{port}"),
            );
            return (child, DatabaseAddress::parse(&through, &rules()).unwrap());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("PgBouncer did not start; is the package `pgbouncer` installed?");
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|it| it.starts_with("Uid:\t0\t"))
}

/// One whole turn, then a document indexed and found.
async fn work(client: &Client, worker: usize) -> Result<(), ClientDbError> {
    let token = SessionToken::issue(client.target.instance, &Random::system());
    let session = new!(SessionId);
    let mut connection = client.databases.checkout(&client.target).await?;
    let new_session = stoa_client_db::sessions::NewSession {
        id: session,
        token_hash: token.hash(),
        end_user: None,
        locale: None,
        page_url: None,
        created_at: now(),
    };
    stoa_client_db::sessions::create(&connection, &new_session).await?;
    for round in 0..5 {
        let (user_message, answer) = (new!(MessageId), new!(MessageId));
        let name = format!("{worker}-{round}");
        let turn = messages::NewTurn {
            session,
            token_hash: &token.hash(),
            user_message,
            answer,
            client_message_id: Some(&name),
            content: "Where is my tent?",
            history: 10,
            now: now(),
        };
        let start = messages::begin_turn(&connection, &turn).await?;
        let Some(messages::TurnStart::New { history, .. }) = start else {
            panic!("{start:?}")
        };
        assert_eq!(history.len(), round * 2);
        let end = messages::FinishedAnswer {
            content: "On its way.".into(),
            reason: FinishReason::Stop,
            error_code: None,
            sources: serde_json::json!([]),
            provider: None,
            model: None,
            api_configuration_id: None,
            input_tokens: None,
            output_tokens: None,
            unanswered: false,
            steps: serde_json::json!([]),
            cost_micros: None,
            first_token_ms: None,
            total_ms: None,
            finished_at: now(),
        };
        assert!(messages::finish(&connection, answer, &end).await?);
    }
    let all = messages::list(
        &connection,
        session,
        &PageRequest {
            limit: 50,
            after: None,
        },
    )
    .await?;
    assert_eq!(all.data.len(), 10);
    let id = new!(DocumentId);
    let document = documents::NewDocument {
        id,
        title: "Tents",
        source: DocumentSource::Text,
        url: None,
        file_name: None,
        media_type: "text/plain",
        content_sha256: [0; 32],
        content: b"tent",
        created_at: now(),
    };
    documents::insert(&connection, &document).await?;
    let text = format!("Tents of worker {worker} are green.");
    let configuration = TextSearchConfiguration::parse("english").unwrap();
    let chunk = chunks::NewChunk {
        id: new!(ChunkId),
        ordinal: 0,
        heading: None,
        text: &text,
        token_count: 6,
        embedding: Some(&[0.5, 0.5]),
    };
    let new_chunks = chunks::NewChunks {
        document: id,
        generation: 1,
        chunks: &[chunk],
        embedding_model: Some("tiny"),
        configuration,
        now: now(),
    };
    assert!(chunks::replace_all(&mut connection, &new_chunks).await?);
    let query = search::SearchQuery {
        text: &format!("worker {worker}"),
        embedding: Some(search::QueryEmbedding {
            vector: &[0.5, 0.5],
            model: "tiny",
        }),
        top_k: 5,
        configuration,
    };
    assert!(!search::hybrid(&connection, &query).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_through_a_pooler_that_shares_by_transaction() {
    let direct = Client::new().await;
    let folder = tempfile::tempdir().unwrap();
    let (_child, address) = pgbouncer(&direct, folder.path()).await;
    let instance = direct.target.instance;

    let tasks = TaskTracker::new();
    let found = preflight::check(
        &outbound(),
        &address,
        instance,
        Deadlines::default(),
        &tasks,
    )
    .await;
    assert!(found.ok, "{:#?}", found.checks);
    assert_eq!(found.facts.pooler.as_deref(), Some("transaction"));

    // More of our connections than PgBouncer has of the server's, and migrations at first use.
    let settings = PoolSettings {
        per_client: 8,
        acquire: Duration::from_secs(20),
        ..PoolSettings::default()
    };
    let client = Client::at(instance, address, settings);
    for _ in 0..3 {
        let outcomes = futures_util::future::join_all((0..8).map(|it| work(&client, it))).await;
        for outcome in outcomes {
            outcome.unwrap();
        }
    }
    let waiting = futures_util::future::join_all((0..8).map(|_| client.connection())).await;
    assert!(waiting.len() == 8 && client.databases.open_connections() == 8);
}

/// Behind a pooler the session that serves us may be one that others of the client have changed.
#[tokio::test]
async fn what_others_left_in_a_shared_session_bends_nothing_of_ours() {
    let client = Client::new().await;
    drop(client.connection().await);
    let folder = tempfile::tempdir().unwrap();
    let (_child, address) = pgbouncer_with(&client, folder.path(), 1).await;
    let through = address.to_secret_url().expose_secret().to_owned();
    let foreign = "SET search_path = 'pg_temp'; SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'SQL, DMY';
         SET IntervalStyle = 'sql_standard'; SET bytea_output = 'escape'; SET extra_float_digits = -15;
         SET standard_conforming_strings = off; SET default_transaction_isolation = 'serializable';
         SET enable_seqscan = off; SET statement_timeout = '9s'";
    psql(&through, foreign).await.unwrap();
    let inherited = psql(&through, "SHOW search_path").await.unwrap();
    assert_eq!(inherited, "pg_temp", "the one session is shared");
    let behind = Client::at(client.target.instance, address, PoolSettings::default());
    work(&behind, 1).await.unwrap();

    // What cannot work says so, and is not taken for a fault of the request.
    psql(&through, "SET default_transaction_read_only = on")
        .await
        .unwrap();
    let refused = work(&behind, 2).await.unwrap_err();
    assert!(refused.is_outage(), "{refused}");
    assert_eq!(refused.sqlstate(), Some("25006"));
}
