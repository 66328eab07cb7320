-- Why a client's database cannot be used and since when, to show to those who can mend it, and when
-- it was last looked at while nobody talked to it.

ALTER TABLE stoa_platform.chat_instances
    -- A stable word of ours. What a database itself says is never kept here.
    ADD COLUMN database_error_code  text,
    ADD COLUMN database_error_since timestamptz,
    ADD COLUMN database_probed_at   timestamptz,
    ADD CONSTRAINT chat_instances_error_since
        CHECK ((database_error_code IS NULL) = (database_error_since IS NULL));

CREATE INDEX chat_instances_ailing ON stoa_platform.chat_instances (database_probed_at NULLS FIRST)
    WHERE database_state IN ('unreachable', 'paused', 'migrating', 'mismatch');
