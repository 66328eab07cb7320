//! Moving from one database to another while it is written to, cut off wherever it can be.

mod arriving;
mod cut_off;
mod refused;

use std::sync::Arc;

use secrecy::ExposeSecret;
use stoa_client_db::{
    AddressRules, ClientDatabases, ClientDbError, DatabaseAddress, PoolSettings, PooledConnection,
    Target,
    moving::{self, Check, Departure, MovingError, Plan, Progress, Round, Ticket},
};
use stoa_domain::{InstanceId, Random};
use stoa_outbound::AddressPolicy;
use tokio_util::task::TaskTracker;

use crate::support::{cluster, new, new_id, outbound, psql, url_of};

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
        let failed = MovingError::Source;
        let source = self.source.connection().await;
        if moving::state(&source).await.map_err(failed)? == Departure::Departed(ticket.id) {
            return Ok(());
        }
        drop(source);
        let mut work = Work::on(self, ticket).await?;
        let copied = work.open().await?;
        work.capture().await.map_err(failed)?;
        if !copied {
            work.copy().await?;
        }
        work.catch_up().await?;
        work.depart().await
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

/// The steps of a move, one by one, as a worker makes them.
struct Work {
    source: PooledConnection,
    destination: PooledConnection,
    plan: Plan,
    ticket: Ticket,
    progress: Progress,
}

impl Work {
    /// Begins to work on a move that may be under way.
    async fn on(pair: &Pair, ticket: Ticket) -> Result<Self, MovingError> {
        let source = pair.source.connection().await;
        let destination = pair.destination.connection().await;
        Ok(Self {
            plan: Plan::between(&source, &destination).await?,
            source,
            destination,
            ticket,
            progress: Progress::default(),
        })
    }

    /// Begins a move, as far as the changes of the source are captured.
    async fn captured(pair: &Pair, ticket: Ticket) -> Self {
        let mut work = Self::on(pair, ticket).await.unwrap();
        work.open().await.unwrap();
        work.capture().await.unwrap();
        work
    }

    /// Whether everything was copied before.
    async fn open(&mut self) -> Result<bool, MovingError> {
        moving::open_arrival(&mut self.destination, &self.plan, self.ticket).await
    }

    async fn capture(&mut self) -> Result<(), ClientDbError> {
        moving::capture(&mut self.source, &self.plan, self.ticket.id).await
    }

    async fn copy(&mut self) -> Result<(), MovingError> {
        let (from, to) = (&mut self.source, &mut self.destination);
        moving::copy_everything(from, to, &self.plan, self.ticket, &self.progress).await
    }

    /// Carries over what has changed, and compares everything.
    async fn catch_up(&mut self) -> Result<Round, MovingError> {
        let (from, to, plan) = (&mut self.source, &mut self.destination, &self.plan);
        moving::catch_up(from, to, plan, self.ticket, Check::Whole, &self.progress).await
    }

    async fn depart(&mut self) -> Result<(), MovingError> {
        let (from, to, plan) = (&mut self.source, &mut self.destination, &self.plan);
        moving::depart(from, to, plan, self.ticket, Check::Changed, &self.progress).await
    }
}

fn ticket(token: i64) -> Ticket {
    Ticket {
        id: new!(MoveId),
        token,
    }
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
