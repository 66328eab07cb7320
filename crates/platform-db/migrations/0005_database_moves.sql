-- Moves of clients' databases: who moves where, and how far it has come. Names of tables and numbers
-- of rows, nothing of what is in them.

CREATE TABLE stoa_platform.database_moves (
    id                    uuid        PRIMARY KEY,
    instance_id           uuid        NOT NULL REFERENCES stoa_platform.chat_instances (id) ON DELETE CASCADE,
    phase                 text        NOT NULL CHECK (phase IN ('queued', 'preparing', 'copying',
                                          'catching_up', 'switching', 'switched', 'done', 'cancelled', 'failed')),
    from_mode             text        NOT NULL CHECK (from_mode IN ('managed', 'external')),
    from_host             text,
    to_mode               text        NOT NULL CHECK (to_mode IN ('managed', 'external')),
    to_host               text,
    -- Sealed; null until a managed one is made.
    to_address_sealed     bytea,
    -- What the preflight saw of it, for the registry.
    to_facts              jsonb,
    to_supabase_url       text,
    to_supabase_sealed    bytea,
    -- What was moved away from, sealed; kept until it is dropped.
    previous_sealed       bytea,
    previous_dropped_at   timestamptz,
    -- Tables with their rows, copied and in all.
    progress              jsonb       NOT NULL DEFAULT '[]',
    error_code            text,
    error                 text,
    -- Set when it is to end without having moved anything; the job takes down what it made first.
    ends_as               text        CHECK (ends_as IN ('cancelled', 'failed')),
    created_at            timestamptz NOT NULL,
    started_at            timestamptz,
    switched_at           timestamptz,
    finished_at           timestamptz
);

CREATE UNIQUE INDEX database_moves_one_at_a_time ON stoa_platform.database_moves (instance_id)
    WHERE phase NOT IN ('done', 'cancelled', 'failed');
CREATE INDEX database_moves_instance ON stoa_platform.database_moves (instance_id, created_at DESC);

-- Until then nobody takes a connection to the database: a move is about to switch.
ALTER TABLE stoa_platform.chat_instances ADD COLUMN database_paused_until timestamptz;
