-- Tools that a model may ask for, what became of each call, budgets, and what answers cost.

CREATE TABLE stoa.tools (
    id uuid PRIMARY KEY,
    -- What the model calls it.
    name text NOT NULL CONSTRAINT tools_name_taken UNIQUE,
    description text NOT NULL,
    -- The JSON schema of its arguments, an object.
    parameters jsonb NOT NULL,
    method text NOT NULL,
    -- Whether a call changes something, so that the visitor is asked first.
    writes boolean NOT NULL,
    timeout_ms integer NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    -- The address with its placeholders and the headers, sealed as one: neither half can be exchanged.
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE stoa.mcp_servers (
    id uuid PRIMARY KEY,
    -- Stands before the names of its tools.
    name text NOT NULL CONSTRAINT mcp_servers_name_taken UNIQUE,
    enabled boolean NOT NULL DEFAULT true,
    -- The address and the headers, sealed as one.
    sealed bytea NOT NULL,
    -- Which of its tools may be called, and whether each changes something.
    allowed jsonb NOT NULL DEFAULT '[]',
    -- The version of the protocol that it was found to speak.
    version text,
    -- What it offered when it last answered, and what of that is not of use.
    listed jsonb NOT NULL DEFAULT '[]',
    left_out jsonb NOT NULL DEFAULT '[]',
    -- When it was last asked, and the code of why it did not answer then.
    listed_at timestamptz,
    list_error text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE stoa.tool_calls (
    id uuid PRIMARY KEY,
    message_id uuid NOT NULL REFERENCES stoa.chat_messages (id) ON DELETE CASCADE,
    -- Its place among the calls of the answer, from 1.
    ordinal integer NOT NULL,
    tool text NOT NULL,
    input jsonb NOT NULL,
    writes boolean NOT NULL,
    -- `asking` waits for the visitor. Stored as `running` before it runs, so that nothing runs twice.
    state text NOT NULL CHECK (state IN ('asking', 'approved', 'denied', 'running', 'done', 'failed', 'abandoned')),
    -- What came of it, as the model was given it.
    output text,
    error_code text,
    created_at timestamptz NOT NULL,
    decided_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT tool_calls_place_taken UNIQUE (message_id, ordinal)
);

-- What a crash may leave behind is looked for by the sweep.
CREATE INDEX tool_calls_open ON stoa.tool_calls (message_id)
    WHERE state IN ('asking', 'approved', 'running');

CREATE TABLE stoa.budgets (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    budgets jsonb NOT NULL,
    updated_at timestamptz NOT NULL
);

ALTER TABLE stoa.chat_messages
    -- On an answer: what happened between its words, each at its place in the text.
    ADD COLUMN steps jsonb NOT NULL DEFAULT '[]',
    -- On an answer: what it cost in millionths of the currency of prices; null where that is unknown.
    ADD COLUMN cost_micros bigint CHECK (cost_micros >= 0);
