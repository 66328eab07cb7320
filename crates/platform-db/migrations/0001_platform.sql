-- The platform's database: that clients exist, never what their people say. No message, document,
-- prompt, provider key or end user's name is ever stored here.
--
-- Unique constraints are named `…_taken`, so that the code can tell by the name what was taken.
-- Words are text with a check, so that adding one is a cheap migration.

CREATE SCHEMA IF NOT EXISTS stoa_platform;

-- Tables that are only ever added to refuse everything else, whoever asks.
CREATE FUNCTION stoa_platform.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'stoa_platform.% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;

-- ---------------------------------------------------------------------------------------- plans

-- Money is in minor units of the currency.
CREATE TABLE stoa_platform.plans (
    code              text        NOT NULL CONSTRAINT plans_code_taken PRIMARY KEY,
    name              text        NOT NULL,
    currency          text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    base_price        bigint      NOT NULL CHECK (base_price >= 0),
    included_messages bigint      NOT NULL CHECK (included_messages >= 0),
    overage_per_1000  bigint      NOT NULL CHECK (overage_per_1000 >= 0),
    limits            jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'),
    created_at        timestamptz NOT NULL DEFAULT now(),
    archived_at       timestamptz
);

-- `messages_per_month` null: no cap, what is beyond the included messages is billed as overage.
INSERT INTO stoa_platform.plans
    (code, name, currency, base_price, included_messages, overage_per_1000, limits)
VALUES
    ('free', 'Free', 'EUR', 0, 500, 0,
     '{"messages_per_month": 500, "messages_per_minute": 20, "concurrent_turns": 4, "documents": 50, "storage_bytes": 52428800, "upload_bytes": 10485760, "admins": 2}'),
    ('standard', 'Standard', 'EUR', 4900, 10000, 500,
     '{"messages_per_month": null, "messages_per_minute": 120, "concurrent_turns": 16, "documents": 2000, "storage_bytes": 2147483648, "upload_bytes": 26214400, "admins": 10}'),
    ('scale', 'Scale', 'EUR', 49900, 200000, 300,
     '{"messages_per_month": null, "messages_per_minute": 1200, "concurrent_turns": 64, "documents": 50000, "storage_bytes": 53687091200, "upload_bytes": 52428800, "admins": 100}');

-- ------------------------------------------------------------------------------------ instances

CREATE TABLE stoa_platform.chat_instances (
    id                      uuid        PRIMARY KEY,
    slug                    text        NOT NULL CONSTRAINT chat_instances_slug_taken UNIQUE,
    name                    text        NOT NULL,
    status                  text        NOT NULL
                            CHECK (status IN ('awaiting_setup', 'active', 'suspended', 'deleting')),
    plan                    text        NOT NULL
                            CONSTRAINT chat_instances_plan_known REFERENCES stoa_platform.plans (code),
    region                  text,
    cell_id                 text        NOT NULL DEFAULT 'main',

    database_mode           text        NOT NULL CHECK (database_mode IN ('managed', 'external')),
    database_state          text        NOT NULL DEFAULT 'unset'
                            CHECK (database_state IN ('unset', 'ready', 'unreachable', 'paused', 'migrating', 'mismatch')),
    -- What was seen of the database, to show; none of it opens anything.
    database_host           text,
    database_version        text,
    database_pgvector       text,
    database_pooler         text,
    -- Grows with every new address, so that pools and checks of an older one are told apart.
    database_generation     bigint      NOT NULL DEFAULT 0,
    database_address_sealed bytea,
    database_checked_at     timestamptz,
    schema_version          integer,

    supabase_url            text,
    supabase_sealed         bytea,

    data_key_wrapped        bytea       NOT NULL,
    master_key_id           text        NOT NULL,

    created_at              timestamptz NOT NULL,
    activated_at            timestamptz,
    suspended_at            timestamptz,
    suspended_reason        text,
    deleting_at             timestamptz,
    ai_ready_at             timestamptz,
    last_active_at          timestamptz,
    swept_at                timestamptz,

    CONSTRAINT chat_instances_address_when_set
        CHECK ((database_state = 'unset') = (database_address_sealed IS NULL)),
    CONSTRAINT chat_instances_suspended_when
        CHECK (status <> 'suspended' OR suspended_at IS NOT NULL)
);

CREATE INDEX chat_instances_status ON stoa_platform.chat_instances (status, id DESC);
CREATE INDEX chat_instances_last_active ON stoa_platform.chat_instances (last_active_at)
    WHERE last_active_at IS NOT NULL;
CREATE INDEX chat_instances_master_key ON stoa_platform.chat_instances (master_key_id);

-- --------------------------------------------------------------------------------------- people

CREATE TABLE stoa_platform.super_admins (
    id                  uuid        PRIMARY KEY,
    email               text        NOT NULL CONSTRAINT super_admins_email_taken UNIQUE,
    password_hash       text,
    created_at          timestamptz NOT NULL,
    password_changed_at timestamptz,
    last_signed_in_at   timestamptz,
    disabled_at         timestamptz
);

-- Client admins sign in here, so that a dead client database cannot lock out whoever must mend it.
CREATE TABLE stoa_platform.instance_admins (
    id                  uuid        PRIMARY KEY,
    instance_id         uuid        NOT NULL REFERENCES stoa_platform.chat_instances (id) ON DELETE CASCADE,
    email               text        NOT NULL,
    role                text        NOT NULL CHECK (role IN ('owner', 'admin', 'agent')),
    password_hash       text,
    created_at          timestamptz NOT NULL,
    password_changed_at timestamptz,
    last_signed_in_at   timestamptz,
    CONSTRAINT instance_admins_email_taken UNIQUE (instance_id, email)
);

-- A row is a signed-in browser; signing out or being signed out deletes it.
CREATE TABLE stoa_platform.user_sessions (
    id                uuid        PRIMARY KEY,
    super_admin_id    uuid        REFERENCES stoa_platform.super_admins (id) ON DELETE CASCADE,
    instance_admin_id uuid        REFERENCES stoa_platform.instance_admins (id) ON DELETE CASCADE,
    token_hash        bytea       NOT NULL CONSTRAINT user_sessions_token_taken UNIQUE,
    created_at        timestamptz NOT NULL,
    last_seen_at      timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,
    CONSTRAINT user_sessions_one_account CHECK (num_nonnulls(super_admin_id, instance_admin_id) = 1),
    CONSTRAINT user_sessions_hash CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX user_sessions_super_admin ON stoa_platform.user_sessions (super_admin_id);
CREATE INDEX user_sessions_instance_admin ON stoa_platform.user_sessions (instance_admin_id);
CREATE INDEX user_sessions_expires ON stoa_platform.user_sessions (expires_at);

CREATE TABLE stoa_platform.sign_in_links (
    id                uuid        PRIMARY KEY,
    super_admin_id    uuid        REFERENCES stoa_platform.super_admins (id) ON DELETE CASCADE,
    instance_admin_id uuid        REFERENCES stoa_platform.instance_admins (id) ON DELETE CASCADE,
    token_hash        bytea       NOT NULL CONSTRAINT sign_in_links_token_taken UNIQUE,
    created_at        timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,
    used_at           timestamptz,
    CONSTRAINT sign_in_links_one_account CHECK (num_nonnulls(super_admin_id, instance_admin_id) = 1),
    CONSTRAINT sign_in_links_hash CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX sign_in_links_super_admin ON stoa_platform.sign_in_links (super_admin_id);
CREATE INDEX sign_in_links_instance_admin ON stoa_platform.sign_in_links (instance_admin_id);

-- Platform tokens and client API keys. The latter are here because a client must be able to set
-- its database before it has one.
CREATE TABLE stoa_platform.api_tokens (
    id           uuid        PRIMARY KEY,
    kind         text        NOT NULL CHECK (kind IN ('platform', 'client')),
    instance_id  uuid        REFERENCES stoa_platform.chat_instances (id) ON DELETE CASCADE,
    name         text        NOT NULL,
    token_hash   bytea       NOT NULL CONSTRAINT api_tokens_token_taken UNIQUE,
    hint         text        NOT NULL,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    CONSTRAINT api_tokens_scope CHECK ((kind = 'client') = (instance_id IS NOT NULL)),
    CONSTRAINT api_tokens_hash CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX api_tokens_instance ON stoa_platform.api_tokens (instance_id, id DESC);

-- ---------------------------------------------------------------------------- usage and billing

-- Usage, ledger and audit log outlive their instance, hence no foreign keys to it.

-- One row per answered message, unique however often it is reported.
CREATE TABLE stoa_platform.usage_events (
    instance_id   uuid        NOT NULL,
    message_id    uuid        NOT NULL,
    kind          text        NOT NULL CHECK (kind IN ('answer', 'completion')),
    occurred_at   timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL,
    model         text        NOT NULL,
    -- Null where the provider did not say.
    input_tokens  bigint      CHECK (input_tokens >= 0),
    output_tokens bigint      CHECK (output_tokens >= 0),
    CONSTRAINT usage_events_event_taken PRIMARY KEY (instance_id, message_id, kind)
);

CREATE INDEX usage_events_occurred ON stoa_platform.usage_events (instance_id, occurred_at);

-- Daily rollups. Sessions, end users and storage are counts that the sweep takes in the client's
-- database; no id of an end user comes here.
CREATE TABLE stoa_platform.platform_analytics (
    day              date        NOT NULL,
    instance_id      uuid        NOT NULL,
    sessions         bigint      NOT NULL DEFAULT 0,
    messages         bigint      NOT NULL DEFAULT 0,
    input_tokens     bigint      NOT NULL DEFAULT 0,
    output_tokens    bigint      NOT NULL DEFAULT 0,
    active_end_users bigint      NOT NULL DEFAULT 0,
    storage_bytes    bigint      NOT NULL DEFAULT 0,
    errors           bigint      NOT NULL DEFAULT 0,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (day, instance_id)
);

CREATE INDEX platform_analytics_instance ON stoa_platform.platform_analytics (instance_id, day);

CREATE TABLE stoa_platform.invoices (
    id            uuid        PRIMARY KEY,
    number        bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT invoices_number_taken UNIQUE,
    instance_id   uuid        NOT NULL,
    instance_slug text        NOT NULL,
    period        text        NOT NULL CHECK (period ~ '^\d{4}-(0[1-9]|1[0-2])$'),
    currency      text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    total         bigint      NOT NULL,
    status        text        NOT NULL CHECK (status IN ('open', 'paid', 'void', 'uncollectible')),
    external_id   text        CONSTRAINT invoices_external_taken UNIQUE,
    issued_at     timestamptz NOT NULL,
    due_at        timestamptz,
    paid_at       timestamptz,
    CONSTRAINT invoices_period_taken UNIQUE (instance_id, period)
);

-- The ledger. `key` makes a line idempotent: running a period again adds nothing.
CREATE TABLE stoa_platform.billing_records (
    id            uuid        PRIMARY KEY,
    key           text        NOT NULL CONSTRAINT billing_records_key_taken UNIQUE,
    invoice_id    uuid        REFERENCES stoa_platform.invoices (id),
    corrects      uuid        REFERENCES stoa_platform.billing_records (id),
    instance_id   uuid        NOT NULL,
    instance_slug text        NOT NULL,
    plan          text        NOT NULL,
    period        text        NOT NULL CHECK (period ~ '^\d{4}-(0[1-9]|1[0-2])$'),
    kind          text        NOT NULL CHECK (kind IN ('base', 'overage', 'credit', 'correction', 'payment')),
    quantity      bigint      NOT NULL,
    amount        bigint      NOT NULL,
    currency      text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    description   text        NOT NULL,
    created_at    timestamptz NOT NULL
);

CREATE INDEX billing_records_instance ON stoa_platform.billing_records (instance_id, period);
CREATE INDEX billing_records_period ON stoa_platform.billing_records (period);
CREATE INDEX billing_records_invoice ON stoa_platform.billing_records (invoice_id);

CREATE TRIGGER billing_records_append_only BEFORE UPDATE OR DELETE ON stoa_platform.billing_records
    FOR EACH ROW EXECUTE FUNCTION stoa_platform.refuse_change();
CREATE TRIGGER billing_records_no_truncate BEFORE TRUNCATE ON stoa_platform.billing_records
    FOR EACH STATEMENT EXECUTE FUNCTION stoa_platform.refuse_change();

-- ------------------------------------------------------------------------------ background work

CREATE SEQUENCE stoa_platform.job_fencing_tokens;

CREATE TABLE stoa_platform.jobs (
    id            uuid        PRIMARY KEY,
    kind          text        NOT NULL,
    -- No foreign key: the job that deletes an instance must outlive it.
    instance_id   uuid,
    unique_key    text        NOT NULL,
    -- Ids only.
    payload       jsonb       NOT NULL,
    priority      smallint    NOT NULL DEFAULT 0,
    state         text        NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'dead')),
    run_at        timestamptz NOT NULL,
    attempt       integer     NOT NULL DEFAULT 0,
    max_attempts  integer     NOT NULL CHECK (max_attempts > 0),
    fencing_token bigint,
    worker        text,
    lease_until   timestamptz,
    last_error    text,
    created_at    timestamptz NOT NULL,
    finished_at   timestamptz,
    -- When somebody may take it: a queued one at its time, a running one when its lease is over.
    due_at        timestamptz GENERATED ALWAYS AS (CASE state WHEN 'running' THEN lease_until ELSE run_at END) STORED,
    CONSTRAINT jobs_running_is_leased CHECK (
        state <> 'running' OR num_nonnulls(fencing_token, worker, lease_until) = 3)
);

CREATE UNIQUE INDEX jobs_key_taken ON stoa_platform.jobs (kind, unique_key)
    WHERE state IN ('queued', 'running');
CREATE INDEX jobs_due ON stoa_platform.jobs (priority DESC, due_at, id)
    WHERE state IN ('queued', 'running');
CREATE INDEX jobs_running ON stoa_platform.jobs (due_at) WHERE state = 'running';
CREATE INDEX jobs_instance ON stoa_platform.jobs (instance_id);
CREATE INDEX jobs_finished ON stoa_platform.jobs (state, finished_at)
    WHERE state IN ('done', 'dead');

-- ----------------------------------------------------------------------- shared between replicas

-- Only what nobody would miss: it is empty after a crash.
CREATE UNLOGGED TABLE stoa_platform.cache_entries (
    key        text        PRIMARY KEY,
    value      jsonb       NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX cache_entries_expires ON stoa_platform.cache_entries (expires_at);

-- The platform's own limits; an instance's come from its plan.
CREATE TABLE stoa_platform.rate_limits (
    scope       text        PRIMARY KEY,
    requests    integer     NOT NULL CHECK (requests > 0),
    per_seconds integer     NOT NULL CHECK (per_seconds > 0),
    burst       integer     NOT NULL CHECK (burst > 0),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

INSERT INTO stoa_platform.rate_limits (scope, requests, per_seconds, burst) VALUES
    ('address', 600, 60, 120),
    ('sign_in', 10, 60, 10),
    ('visitor_messages', 20, 60, 10),
    ('api_token', 1200, 60, 240);

-- Webhooks that came in; the id is stored before the effect, so that a second delivery has none.
CREATE TABLE stoa_platform.webhook_events (
    source       text        NOT NULL,
    event_id     text        NOT NULL,
    kind         text        NOT NULL,
    received_at  timestamptz NOT NULL,
    processed_at timestamptz,
    last_error   text,
    CONSTRAINT webhook_events_event_taken PRIMARY KEY (source, event_id)
);

CREATE TABLE stoa_platform.idempotency_keys (
    scope        text        NOT NULL,
    key          text        NOT NULL,
    request_hash bytea       NOT NULL,
    -- Until then the first request is taken to be at work; null once it has answered.
    locked_until timestamptz,
    status       smallint,
    -- Sealed: an answer may hold a token that was shown once.
    response     bytea,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    CONSTRAINT idempotency_keys_key_taken PRIMARY KEY (scope, key),
    CONSTRAINT idempotency_keys_answered CHECK ((locked_until IS NULL) = (status IS NOT NULL)
        AND (status IS NULL) = (response IS NULL))
);

CREATE INDEX idempotency_keys_expires ON stoa_platform.idempotency_keys (expires_at);

-- ------------------------------------------------------------------------------------ audit log

-- A hash chain: `hash` covers every other column and the hash of the line before.
CREATE TABLE stoa_platform.audit_log (
    position    bigint      NOT NULL CONSTRAINT audit_log_position_taken PRIMARY KEY,
    id          uuid        NOT NULL CONSTRAINT audit_log_id_taken UNIQUE,
    at          timestamptz NOT NULL,
    actor_kind  text        NOT NULL
                CHECK (actor_kind IN ('super_admin', 'instance_admin', 'platform_token', 'client_key', 'command_line', 'system')),
    actor_id    uuid,
    actor_name  text        NOT NULL,
    action      text        NOT NULL,
    target_kind text        NOT NULL,
    target_id   text        NOT NULL,
    instance_id uuid,
    address     text,
    reason      text,
    -- `json`, not `jsonb`: the hash covers the text, which must come back as it was written.
    details     json        NOT NULL,
    prev_hash   bytea       NOT NULL CHECK (octet_length(prev_hash) = 32),
    hash        bytea       NOT NULL CHECK (octet_length(hash) = 32)
);

CREATE INDEX audit_log_instance ON stoa_platform.audit_log (instance_id, position DESC);

CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON stoa_platform.audit_log
    FOR EACH ROW EXECUTE FUNCTION stoa_platform.refuse_change();
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON stoa_platform.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION stoa_platform.refuse_change();
