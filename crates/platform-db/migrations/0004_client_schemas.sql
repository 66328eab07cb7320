-- How the schema in each client's database stands: why it could not be brought up to date, when
-- that is tried again, and who is at it now. No message here holds anything of the client's content.

ALTER TABLE stoa_platform.chat_instances
    ADD COLUMN schema_error_code   text,
    ADD COLUMN schema_error        text,
    ADD COLUMN schema_error_remedy text,
    ADD COLUMN schema_error_at     timestamptz,
    -- Failures in a row: the rest after each grows.
    ADD COLUMN schema_failures     integer NOT NULL DEFAULT 0,
    ADD COLUMN schema_tried_at     timestamptz,
    ADD COLUMN schema_retry_at     timestamptz,
    -- Held by the process that brings the database up to date, and prolonged while it lives.
    ADD COLUMN schema_lease        bigint,
    ADD COLUMN schema_lease_until  timestamptz,
    ADD CONSTRAINT chat_instances_schema_error_whole
        CHECK (num_nulls(schema_error_code, schema_error, schema_error_remedy, schema_error_at) IN (0, 4)),
    ADD CONSTRAINT chat_instances_schema_lease_whole
        CHECK ((schema_lease IS NULL) = (schema_lease_until IS NULL));

CREATE SEQUENCE stoa_platform.schema_lease_tokens;

CREATE INDEX chat_instances_schema_lease ON stoa_platform.chat_instances (schema_lease_until)
    WHERE schema_lease_until IS NOT NULL;
