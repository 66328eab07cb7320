//! Moving from one database to another while it is written to, cut off wherever it can be.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use secrecy::ExposeSecret;
use stoa_client_db::{
    AddressRules, ClientDatabases, ClientDbError, DatabaseAddress, PoolSettings, PooledConnection,
    Target,
    moving::{self, Check, Departure, MovingError, Plan, Progress, Ticket},
    sessions::{self, NewSession},
};
use stoa_domain::{InstanceId, Random, token::SessionToken};
use stoa_outbound::AddressPolicy;
use tokio_util::task::TaskTracker;

use crate::support::{cluster, new, new_id, now, outbound, psql, url_of};

/// Every table of the schema with its rows, in the order of their text.
const ALL_ROWS: &str = "
SELECT md5(string_agg(line, E'\\n' ORDER BY line COLLATE \"C\")) || ' ' || count(*) FROM (
    SELECT 'users ' || t::text FROM stoa.client_users t
    UNION ALL SELECT 'sessions ' || t::text FROM stoa.chat_sessions t
    UNION ALL SELECT 'messages ' || t::text FROM stoa.chat_messages t
    UNION ALL SELECT 'feedback ' || t::text FROM stoa.message_feedback t
    UNION ALL SELECT 'live ' || t::text FROM stoa.live_configurations t
    UNION ALL SELECT 'documents ' || ROW(id, title, content, status, updated_at)::text FROM stoa.documents t
    UNION ALL SELECT 'chunks ' || ROW(id, document_id, ordinal, content, lexemes)::text FROM stoa.document_chunks t
    UNION ALL SELECT 'rules ' || t::text FROM stoa.rag_instructions t
    UNION ALL SELECT 'analytics ' || t::text FROM stoa.client_analytics t
    UNION ALL SELECT 'webhooks ' || t::text FROM stoa.webhooks t
    UNION ALL SELECT 'tools ' || t::text FROM stoa.tools t
    UNION ALL SELECT 'mcp servers ' || t::text FROM stoa.mcp_servers t
    UNION ALL SELECT 'calls ' || t::text FROM stoa.tool_calls t
    UNION ALL SELECT 'budgets ' || t::text FROM stoa.budgets t
    UNION ALL SELECT 'keys ' || t::text FROM stoa.idempotency_keys t
) rows (line)";

/// A bit of everything, with what text has to escape.
const FILL: &str = "
INSERT INTO stoa.client_users SELECT gen_random_uuid(), 'person ' || i, E'N\\tä\\\\m\\ne', NULL, false, false,
    '{\"a\": [1, 2.50, null]}', now(), now() FROM generate_series(1, 20) i;
INSERT INTO stoa.chat_sessions (id, token_hash, end_user_id, status, created_at, last_message_at)
    SELECT gen_random_uuid(), sha256(i::text::bytea),
        (SELECT id FROM stoa.client_users ORDER BY md5(i::text || id) LIMIT 1), 'open', now(), now()
    FROM generate_series(1, 50) i;
INSERT INTO stoa.chat_messages (id, session_id, role, state, content, created_at, updated_at, finished_at)
    SELECT gen_random_uuid(), s.id, 'user', 'complete', 'message ' || i, now(), now(), now()
    FROM stoa.chat_sessions s CROSS JOIN generate_series(1, 20) i;
INSERT INTO stoa.message_feedback SELECT id, 'up', NULL, now(), now() FROM stoa.chat_messages LIMIT 30;
INSERT INTO stoa.live_configurations VALUES (1, '{\"x\": 1e3}', NULL, now()), (2, '{}', 'me', now());
INSERT INTO stoa.rag_instructions VALUES (true, '{}', now());
INSERT INTO stoa.client_analytics VALUES ('2026-01-02', 'messages', '', 0.1, now()), ('2026-01-02', 'cost', 'm', 1e-7, now());
INSERT INTO stoa.documents (id, title, source, media_type, byte_size, content_sha256, content, status, created_at, updated_at)
    SELECT gen_random_uuid(), 'Document ' || i, 'text', 'text/plain', 5, sha256('x'), decode('00ff5c0a09', 'hex'), 'ready', now(), now()
    FROM generate_series(1, 5) i;
INSERT INTO stoa.document_chunks (id, document_id, ordinal, content, token_count, lexemes)
    SELECT gen_random_uuid(), d.id, i, 'It''s a \\ passage', 4, to_tsvector('english', 'It''s a \\ passage of ' || i)
    FROM stoa.documents d CROSS JOIN generate_series(1, 10) i;
INSERT INTO stoa.webhooks VALUES (gen_random_uuid(), 'https://example.com', '{\"a b\",c}', '\\x00', true, now(), now());
INSERT INTO stoa.tools (id, name, description, parameters, method, writes, timeout_ms, enabled, sealed, created_at, updated_at)
    VALUES (gen_random_uuid(), 'find_order', 'Finds', '{\"a\": 1}', 'GET', false, 5000, true, '\\x00ff', now(), now());
INSERT INTO stoa.mcp_servers (id, name, sealed, created_at, updated_at) VALUES (gen_random_uuid(), 'shop', '\\x01', now(), now());
INSERT INTO stoa.tool_calls (id, message_id, ordinal, tool, input, writes, state, created_at)
    SELECT gen_random_uuid(), id, 1, 'find_order', '{}', false, 'done', now() FROM stoa.chat_messages LIMIT 10;
INSERT INTO stoa.budgets (only_row, budgets, updated_at) VALUES (true, '{\"day\": 1}', now());
INSERT INTO stoa.idempotency_keys VALUES ('s', 'k', '\\x01', 201, '{}', now());
";

/// One instance, and the two databases that it moves between.
struct Pair {
    instance: InstanceId,
    source: Place,
    destination: Place,
}

/// A database, with pools of its own.
struct Place {
    databases: ClientDatabases,
    target: Target,
    url: String,
}

impl Place {
    fn at(instance: InstanceId, address: DatabaseAddress, generation: i64) -> Self {
        let url = address.to_secret_url();
        let url = url.expose_secret();
        Self {
            url: url.split_once('?').map_or(url, |(url, _)| url).to_owned(),
            databases: ClientDatabases::new(
                outbound(),
                PoolSettings::default(),
                TaskTracker::new(),
            ),
            target: Target {
                instance,
                generation,
                address: Arc::new(address),
            },
        }
    }

    async fn connection(&self) -> PooledConnection {
        self.databases.checkout(&self.target).await.unwrap()
    }

    async fn ask(&self, sql: &str) -> String {
        psql(&self.url, sql).await.unwrap()
    }
}

impl Pair {
    async fn new() -> Self {
        let instance = new_id();
        let mut places = Vec::new();
        for generation in [1, 2] {
            // Made under other names: the marker is what says whose it is.
            let address = cluster().create(new_id(), &Random::system()).await.unwrap();
            let place = Place::at(instance, address, generation);
            drop(place.connection().await);
            places.push(place);
        }
        let destination = places.pop().unwrap();
        let source = places.pop().unwrap();
        source.ask(FILL).await;
        Self {
            instance,
            source,
            destination,
        }
    }

    /// Carries the move on from wherever it is, as a worker with this token.
    async fn go(&self, ticket: Ticket) -> Result<(), MovingError> {
        let mut source = self.source.connection().await;
        let mut destination = self.destination.connection().await;
        let failed = MovingError::Source;
        if moving::state(&source).await.map_err(failed)? == Departure::Departed(ticket.id) {
            return Ok(());
        }
        let progress = Progress::default();
        let plan = Plan::between(&source, &destination).await?;
        let copied = moving::open_arrival(&mut destination, &plan, ticket).await?;
        moving::capture(&mut source, &plan, ticket.id)
            .await
            .map_err(failed)?;
        if !copied {
            moving::copy_everything(&mut source, &mut destination, &plan, ticket, &progress)
                .await?;
        }
        moving::catch_up(
            &mut source,
            &mut destination,
            &plan,
            ticket,
            Check::Whole,
            &progress,
        )
        .await?;
        let changed = Check::Changed;
        moving::depart(
            &mut source,
            &mut destination,
            &plan,
            ticket,
            changed,
            &progress,
        )
        .await
    }

    async fn require_moved(&self) {
        assert_eq!(
            self.source.ask(ALL_ROWS).await,
            self.destination.ask(ALL_ROWS).await
        );
        let refused = "UPDATE stoa.client_users SET name = 'late'";
        let refused = psql(&self.source.url, refused).await.unwrap_err();
        assert!(refused.contains("moved to another database"), "{refused}");
        let traces = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE nspname = 'stoa' AND relkind = 'r' AND relname LIKE 'mov%'";
        assert_eq!(
            self.destination.ask(traces).await,
            "1",
            "the arrival is noted"
        );
        moving::close_arrival(&*self.destination.connection().await)
            .await
            .unwrap();
        assert_eq!(self.destination.ask(traces).await, "0");
        let last = "SELECT nextval(pg_get_serial_sequence('stoa.chat_messages', 'position'))
                        > (SELECT max(position) FROM stoa.chat_messages)";
        assert_eq!(self.destination.ask(last).await, "t");
    }
}

fn ticket(token: i64) -> Ticket {
    Ticket {
        id: new!(MoveId),
        token,
    }
}

#[tokio::test]
async fn everything_arrives_and_what_changed_meanwhile_too() {
    let pair = Pair::new().await;
    let ticket = ticket(1);
    let (mut source, mut destination) = (
        pair.source.connection().await,
        pair.destination.connection().await,
    );
    let progress = Progress::default();
    let plan = Plan::between(&source, &destination).await.unwrap();
    moving::open_arrival(&mut destination, &plan, ticket)
        .await
        .unwrap();
    moving::capture(&mut source, &plan, ticket.id)
        .await
        .unwrap();
    moving::copy_everything(&mut source, &mut destination, &plan, ticket, &progress)
        .await
        .unwrap();
    let messages = progress
        .tables()
        .into_iter()
        .find(|it| it.table == "chat_messages")
        .unwrap();
    assert_eq!((messages.copied, messages.of), (1000, 1000));

    let changes = "
        UPDATE stoa.chat_messages SET content = 'changed' WHERE position % 7 = 0;
        DELETE FROM stoa.chat_sessions WHERE id IN (SELECT id FROM stoa.chat_sessions LIMIT 5);
        DELETE FROM stoa.client_users WHERE external_id = 'person 3';
        INSERT INTO stoa.client_users VALUES (gen_random_uuid(), 'person 3', NULL, NULL, true, false, '{}', now(), now());
        UPDATE stoa.live_configurations SET version = 3 WHERE version = 2;
        DELETE FROM stoa.documents WHERE title = 'Document 2';
        DELETE FROM stoa.rag_instructions";
    pair.source.ask(changes).await;
    let round = moving::catch_up(
        &mut source,
        &mut destination,
        &plan,
        ticket,
        Check::Whole,
        &progress,
    );
    assert!(round.await.unwrap().changes > 250);
    assert_eq!(
        pair.source.ask(ALL_ROWS).await,
        pair.destination.ask(ALL_ROWS).await
    );
    pair.source
        .ask("DELETE FROM stoa.message_feedback; INSERT INTO stoa.rag_instructions VALUES (true, '{}', now())")
        .await;
    moving::depart(
        &mut source,
        &mut destination,
        &plan,
        ticket,
        Check::Changed,
        &progress,
    )
    .await
    .unwrap();
    pair.require_moved().await;

    // A pool that had not heard of it finds out at its first write, and sends nobody there again.
    let session = NewSession {
        id: new!(SessionId),
        token_hash: SessionToken::issue(pair.instance, &Random::system()).hash(),
        end_user: None,
        locale: None,
        page_url: None,
        created_at: now(),
    };
    let late = pair.source.connection().await;
    let refused = sessions::create(&late, &session).await;
    assert!(matches!(refused, Err(ClientDbError::Moved)), "{refused:?}");
    drop(late);
    let again = pair.source.databases.checkout(&pair.source.target).await;
    assert!(matches!(again.err(), Some(ClientDbError::Moved)));

    // The how-to says how an owner opens it again.
    let howto = include_str!("../../../../docs/howto/move-a-database.md");
    let (_, sql) = howto.split_once("```sql\n").unwrap();
    let (sql, _) = sql.split_once("```").unwrap();
    pair.source.ask(sql).await;
    let reopened = Place::at(
        pair.instance,
        DatabaseAddress::clone(&pair.source.target.address),
        1,
    );
    let connection = reopened.connection().await;
    sessions::create(&connection, &session).await.unwrap();
    assert_eq!(moving::state(&connection).await.unwrap(), Departure::None);
}

/// Cuts a future off after so many polls, as a process that dies cuts off what it does.
struct CutOff<F> {
    future: F,
    polls: u32,
}

impl<F: Future + Unpin> Future for CutOff<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        Pin::new(&mut self.future).poll(cx).map(Some)
    }
}

/// Writes all the time as replicas do: to the source, and where that refuses, to the destination.
/// Gives how many it was told are kept.
async fn traffic(source: String, destination: String, stop: Arc<AtomicBool>, kept: Arc<AtomicI64>) {
    let mut url = source;
    while !stop.load(Ordering::Relaxed) {
        let number = kept.load(Ordering::Relaxed) + 1;
        let sql = format!(
            "INSERT INTO stoa.client_users VALUES (gen_random_uuid(), 'visitor {number}', NULL, NULL, true, false, '{{}}', now(), now());
             UPDATE stoa.client_users SET name = '{number}' WHERE external_id = 'person 1'"
        );
        match psql(&url, &sql).await {
            Ok(_) => {
                kept.store(number, Ordering::Relaxed);
            }
            Err(refused) => {
                assert!(refused.contains("moved to another database"), "{refused}");
                url.clone_from(&destination);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cut_off_anywhere_it_goes_on_and_loses_nothing_that_was_kept() {
    let pair = Pair::new().await;
    let id = new!(MoveId);
    let (stop, kept) = (Arc::default(), Arc::default());
    let writer = tokio::spawn(traffic(
        pair.source.url.clone(),
        pair.destination.url.clone(),
        Arc::clone(&stop),
        Arc::clone(&kept),
    ));
    let mut cuts = 0;
    for token in 1.. {
        // By a number that shares nothing with the polls of a step, so that each step is cut somewhere.
        let polls = u32::try_from(token).unwrap() * 11;
        let work = pin!(pair.go(Ticket { id, token }));
        let cut = CutOff {
            future: work,
            polls,
        };
        match cut.await {
            Some(Ok(())) => break,
            // A table is in use for a moment, or the connection that was cut off still holds it.
            Some(Err(MovingError::InUse | MovingError::Source(ClientDbError::Statement(_))))
            | None => {
                cuts += 1;
            }
            Some(Err(MovingError::Destination(ClientDbError::Statement(error)))) => {
                assert_eq!(error.sqlstate, "55P03", "{error}");
            }
            Some(Err(error)) => panic!("{error:?}"),
        }
        assert!(token < 2_000, "the move does not come to its end");
    }
    assert!(cuts > 8, "cut off {cuts} times only");
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let kept = kept.load(Ordering::Relaxed);
    let counted = "SELECT count(*), count(DISTINCT external_id) FROM stoa.client_users WHERE external_id LIKE 'visitor %'";
    assert_eq!(
        pair.destination.ask(counted).await,
        format!("{kept}|{kept}")
    );
    let old: i64 = pair
        .source
        .ask("SELECT count(*) FROM stoa.client_users WHERE external_id LIKE 'visitor %'")
        .await
        .parse()
        .unwrap();
    assert!(
        old < kept,
        "{old} of {kept}: nothing was written after the move"
    );
}

#[tokio::test]
async fn an_earlier_worker_is_refused_and_rows_of_others_are_not_mixed_in() {
    let pair = Pair::new().await;
    let id = new!(MoveId);
    let (mut source, mut destination) = (
        pair.source.connection().await,
        pair.destination.connection().await,
    );
    let plan = Plan::between(&source, &destination).await.unwrap();
    let (older, newer) = (Ticket { id, token: 4 }, Ticket { id, token: 5 });
    moving::open_arrival(&mut destination, &plan, older)
        .await
        .unwrap();
    moving::open_arrival(&mut destination, &plan, newer)
        .await
        .unwrap();
    let late = moving::open_arrival(&mut destination, &plan, older).await;
    assert!(matches!(late, Err(MovingError::Superseded)), "{late:?}");
    moving::capture(&mut source, &plan, id).await.unwrap();
    let progress = Progress::default();
    let late =
        moving::copy_everything(&mut source, &mut destination, &plan, older, &progress).await;
    assert!(matches!(late, Err(MovingError::Superseded)), "{late:?}");
    drop(destination);

    pair.destination
        .ask("INSERT INTO stoa.rag_instructions VALUES (true, '{}', now())")
        .await;
    let mut destination = pair.destination.connection().await;
    let other = moving::open_arrival(&mut destination, &plan, ticket(9)).await;
    assert!(
        matches!(&other, Err(MovingError::NotEmpty { table }) if table == "rag_instructions"),
        "{other:?}"
    );
}

#[tokio::test]
async fn what_is_called_off_leaves_nothing_behind() {
    let pair = Pair::new().await;
    let ticket = ticket(1);
    let objects =
        "SELECT count(*), (SELECT count(*) FROM pg_proc WHERE pronamespace = 'stoa'::regnamespace),
                          (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal)
                   FROM pg_class WHERE relnamespace = 'stoa'::regnamespace";
    let before = pair.source.ask(objects).await;
    let (mut source, mut destination) = (
        pair.source.connection().await,
        pair.destination.connection().await,
    );
    let plan = Plan::between(&source, &destination).await.unwrap();
    moving::open_arrival(&mut destination, &plan, ticket)
        .await
        .unwrap();
    moving::capture(&mut source, &plan, ticket.id)
        .await
        .unwrap();
    let truncated = psql(&pair.source.url, "TRUNCATE stoa.webhooks")
        .await
        .unwrap_err();
    assert!(truncated.contains("is being moved"), "{truncated}");
    let progress = Progress::default();
    progress.call_off();
    let called_off =
        moving::copy_everything(&mut source, &mut destination, &plan, ticket, &progress).await;
    assert!(matches!(called_off, Err(MovingError::CalledOff)));
    drop((source, destination));
    let mut source = pair.source.connection().await;
    moving::release(&mut source).await.unwrap();
    moving::release(&mut source).await.unwrap();
    assert_eq!(pair.source.ask(objects).await, before);

    let mut destination = pair.destination.connection().await;
    let other = moving::take_down(&mut destination, &plan, new_id()).await;
    assert!(matches!(other, Err(ClientDbError::Mismatch)), "{other:?}");
    drop(destination);
    let mut destination = pair.destination.connection().await;
    moving::take_down(&mut destination, &plan, pair.instance)
        .await
        .unwrap();
    let gone = "SELECT to_regnamespace('stoa') IS NULL";
    assert_eq!(pair.destination.ask(gone).await, "t");
}

#[tokio::test]
async fn a_long_transaction_is_given_way_to_and_a_difference_is_found() {
    let pair = Pair::new().await;
    let ticket = ticket(1);
    let (mut source, mut destination) = (
        pair.source.connection().await,
        pair.destination.connection().await,
    );
    let plan = Plan::between(&source, &destination).await.unwrap();
    let progress = Progress::default();
    moving::open_arrival(&mut destination, &plan, ticket)
        .await
        .unwrap();
    moving::capture(&mut source, &plan, ticket.id)
        .await
        .unwrap();
    moving::copy_everything(&mut source, &mut destination, &plan, ticket, &progress)
        .await
        .unwrap();
    // Somebody changes a row where nobody should.
    pair.destination
        .ask("UPDATE stoa.client_analytics SET value = 0.10000000000000002 WHERE metric = 'messages'")
        .await;
    let round = moving::catch_up(
        &mut source,
        &mut destination,
        &plan,
        ticket,
        Check::Whole,
        &progress,
    )
    .await;
    assert!(
        matches!(&round, Err(MovingError::Differs { table }) if table == "client_analytics"),
        "{round:?}"
    );
    drop((source, destination));
    let (mut source, mut destination) = (
        pair.source.connection().await,
        pair.destination.connection().await,
    );
    // Beginning anew mends it.
    moving::copy_everything(&mut source, &mut destination, &plan, ticket, &progress)
        .await
        .unwrap();
    moving::catch_up(
        &mut source,
        &mut destination,
        &plan,
        ticket,
        Check::Whole,
        &progress,
    )
    .await
    .unwrap();
    let url = pair.source.url.clone();
    let long = "BEGIN; UPDATE stoa.client_users SET name = 'long'; SELECT pg_sleep(2); COMMIT";
    let holder = tokio::spawn(async move { psql(&url, long).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let changed = Check::Changed;
    let in_use = moving::depart(
        &mut source,
        &mut destination,
        &plan,
        ticket,
        changed,
        &progress,
    )
    .await;
    assert!(matches!(in_use, Err(MovingError::InUse)), "{in_use:?}");
    holder.await.unwrap().unwrap();
    drop((source, destination));
    pair.go(ticket).await.unwrap();
    pair.require_moved().await;
}

/// A database whose role owns the schema `stoa` and nothing else, as the check recommends.
async fn least_privilege(instance: InstanceId, generation: i64) -> Place {
    let name = format!("least_{}", new_id().as_uuid().simple());
    let admin = url_of("postgres");
    for sql in [
        format!("CREATE DATABASE {name}"),
        format!("CREATE ROLE {name} LOGIN PASSWORD 'a-password-of-a-test'"),
        format!(
            "REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {name}"
        ),
    ] {
        psql(&admin, &sql).await.unwrap();
    }
    psql(
        &url_of(&name),
        &format!(
            "CREATE SCHEMA stoa AUTHORIZATION {name}; REVOKE ALL ON SCHEMA public FROM PUBLIC"
        ),
    )
    .await
    .unwrap();
    let url = url_of(&name);
    let (server, _) = url.split_once('?').unwrap_or((&url, ""));
    let (_, host) = server.rsplit_once('@').unwrap();
    let url = format!("postgres://{name}:a-password-of-a-test@{host}?sslmode=disable");
    let rules = AddressRules::new(AddressPolicy::loopback());
    Place::at(
        instance,
        DatabaseAddress::parse(&url, &rules).unwrap(),
        generation,
    )
}

#[tokio::test]
async fn a_role_of_least_privilege_is_enough_on_both_sides() {
    let instance = new_id();
    let pair = Pair {
        instance,
        source: least_privilege(instance, 1).await,
        destination: least_privilege(instance, 2).await,
    };
    assert!(!pair.source.connection().await.has_vectors());
    pair.source.ask(FILL).await;
    pair.go(ticket(1)).await.unwrap();
    pair.require_moved().await;
    let plan = Plan::of(&*pair.destination.connection().await)
        .await
        .unwrap();
    let mut old = pair.source.connection().await;
    moving::take_down(&mut old, &plan, pair.instance)
        .await
        .unwrap();
}

#[tokio::test]
async fn vectors_come_along_where_both_have_them_and_stay_where_not() {
    let embed = "UPDATE stoa.document_chunks SET embedding_model = 'm', embedding = stoa.to_vector(ARRAY[0.1, ordinal, 1e-7]::real[]);
                 UPDATE stoa.documents SET embedding_model = 'm'";
    let vectors = "SELECT md5(string_agg(id::text || embedding::text || embedding_model, '' ORDER BY id)) FROM stoa.document_chunks";
    let pair = Pair::new().await;
    assert!(
        pair.source.connection().await.has_vectors(),
        "the test's server has pgvector"
    );
    pair.source.ask(embed).await;
    pair.go(ticket(1)).await.unwrap();
    assert_eq!(
        pair.source.ask(vectors).await,
        pair.destination.ask(vectors).await
    );

    let pair = Pair::new().await;
    pair.source.ask(embed).await;
    let pair = Pair {
        destination: least_privilege(pair.instance, 2).await,
        ..pair
    };
    pair.go(ticket(1)).await.unwrap();
    let unembedded =
        "SELECT count(*) FROM stoa.document_chunks c JOIN stoa.documents d ON d.id = c.document_id
                      WHERE c.embedding_model IS NULL AND d.embedding_model IS NULL";
    assert_eq!(pair.destination.ask(unembedded).await, "50");
}
