-- What must hold after any migration. Runs every time; changes nothing the second time.

-- Vectors are wanted, not needed. The extension may be in any schema, so what depends on it is made
-- here with its name looked up, and queries call the two functions below instead of its operators.
DO $$
DECLARE
    home name;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'vector')
        AND EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'vector')
    THEN
        BEGIN
            IF to_regnamespace('extensions') IS NOT NULL THEN
                CREATE EXTENSION vector WITH SCHEMA extensions;
            ELSE
                CREATE EXTENSION vector WITH SCHEMA public;
            END IF;
        EXCEPTION WHEN insufficient_privilege OR invalid_schema_name OR feature_not_supported THEN
            RETURN;
        END;
    END IF;
    SELECT n.nspname INTO home
    FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'vector';
    IF home IS NULL OR EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = 'stoa.document_chunks'::regclass
            AND attname = 'embedding' AND NOT attisdropped
    ) THEN
        RETURN;
    END IF;
    EXECUTE format('ALTER TABLE stoa.document_chunks ADD COLUMN embedding %I.vector', home);
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION stoa.to_vector(numbers real[]) RETURNS %1$I.vector '
        'LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $f$ SELECT numbers::%1$I.vector $f$', home);
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION stoa.cosine_distance(a %1$I.vector, b %1$I.vector) '
        'RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE '
        'AS $f$ SELECT a OPERATOR(%1$I.<=>) b $f$', home);
EXCEPTION WHEN insufficient_privilege THEN
    -- The extension's schema is closed to this role: search stays lexical, and the check says so.
    NULL;
END
$$;

-- Nobody but the owner: row security without a policy shows nothing to others, and the grants that
-- some hosts hand out by default are taken back. Last of all, so that nothing is made behind it.
DO $$
DECLARE
    found record;
    other text;
BEGIN
    FOREACH other IN ARRAY ARRAY['anon', 'authenticated'] LOOP
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = other) THEN
            EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA stoa FROM %I', other);
            EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA stoa FROM %I', other);
            EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA stoa FROM %I', other);
            EXECUTE format('REVOKE ALL ON SCHEMA stoa FROM %I', other);
        END IF;
    END LOOP;
    REVOKE ALL ON ALL TABLES IN SCHEMA stoa FROM PUBLIC;
    REVOKE ALL ON ALL SEQUENCES IN SCHEMA stoa FROM PUBLIC;
    REVOKE ALL ON ALL ROUTINES IN SCHEMA stoa FROM PUBLIC;
    REVOKE ALL ON SCHEMA stoa FROM PUBLIC;
    FOR found IN
        SELECT c.relname
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'stoa' AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
    LOOP
        EXECUTE format('ALTER TABLE stoa.%I ENABLE ROW LEVEL SECURITY', found.relname);
    END LOOP;
END
$$;
