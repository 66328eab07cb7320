-- What must stand before the first migration. Runs every time; changes nothing the second time.
-- CREATE SCHEMA IF NOT EXISTS asks for a right on the database even where the schema is there, and
-- a role of least privilege has only the schema.
DO $$
BEGIN
    IF to_regnamespace('stoa') IS NULL THEN
        CREATE SCHEMA stoa;
    END IF;
    IF to_regclass('stoa.schema_migrations') IS NULL THEN
        CREATE TABLE stoa.schema_migrations (
            version integer PRIMARY KEY,
            name text NOT NULL,
            checksum bytea NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        );
    END IF;
END
$$;
