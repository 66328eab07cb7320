-- Which master key wrapped a data key or sealed a kept answer, read from the value itself: after the
-- version (one byte, 1) stand the length of the key's id (one byte) and the id. NULL for another form.
CREATE FUNCTION stoa_platform.sealed_by(sealed bytea) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
        SELECT CASE WHEN pg_catalog.octet_length(sealed) > 2 AND pg_catalog.get_byte(sealed, 0) = 1
            THEN pg_catalog.encode(pg_catalog.substring(sealed, 3, pg_catalog.get_byte(sealed, 1)), 'escape')
        END
    $$;
REVOKE ALL ON FUNCTION stoa_platform.sealed_by(bytea) FROM PUBLIC;
