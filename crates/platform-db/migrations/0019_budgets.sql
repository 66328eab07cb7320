-- What answers cost, and the ledger that keeps clients within their budgets: sums by day and month, and what
-- calls under way may still take. People are in it only as keyed hashes, which mean nothing without the
-- instance's data key, and only where the client limits what each of them may take.

ALTER TABLE stoa_platform.usage_events
    -- In millionths of the currency of prices; null where the price or the tokens are unknown.
    ADD COLUMN cost_micros bigint CHECK (cost_micros >= 0);

-- No foreign keys to the instance: a late event must not fail the batch that it is in.
CREATE TABLE stoa_platform.budget_counters (
    instance_id   uuid   NOT NULL,
    period        text   NOT NULL CHECK (period IN ('day', 'month')),
    starts_on     date   NOT NULL,
    subject       text   NOT NULL CHECK (subject IN ('instance', 'end_user', 'address')),
    -- Empty for the instance itself.
    subject_hash  bytea  NOT NULL CHECK (octet_length(subject_hash) IN (0, 16)),
    tokens        bigint NOT NULL DEFAULT 0,
    micros        bigint NOT NULL DEFAULT 0,
    -- How many calls are not in `micros`, because nobody knows their price.
    unknown_costs bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (instance_id, period, starts_on, subject, subject_hash)
);

CREATE INDEX budget_counters_starts_on ON stoa_platform.budget_counters (period, starts_on);

-- What a call under way may take. It has the key of the usage event that takes it off.
CREATE TABLE stoa_platform.budget_reservations (
    instance_id   uuid        NOT NULL,
    message_id    uuid        NOT NULL,
    kind          text        NOT NULL,
    end_user_hash bytea       CHECK (octet_length(end_user_hash) = 16),
    address_hash  bytea       CHECK (octet_length(address_hash) = 16),
    tokens        bigint      NOT NULL,
    -- Null where the price is unknown.
    micros        bigint,
    -- From then on it is not counted: its process is gone. It stays for a sweep that counts the answer.
    expires_at    timestamptz NOT NULL,
    PRIMARY KEY (instance_id, message_id, kind)
);

CREATE INDEX budget_reservations_expires ON stoa_platform.budget_reservations (expires_at);

-- Reserves what a call may take if every limit has room for it, and says how each limit stands.
--
-- A limit has room when the call fits into what is neither spent nor reserved by others. The last call before
-- a limit may be larger than what is left: it has room when nothing else is reserved and something is left.
-- `own_tokens` and `own_micros` are what the same answer has taken already; they are part of what is wanted.
--
-- The lock makes it exact between replicas. Statements in a function see what was committed before they began,
-- so what is read after the lock includes everybody who had it before.
CREATE FUNCTION stoa_platform.reserve_budget(
    of_instance uuid, of_message uuid, of_kind text, of_end_user bytea, of_address bytea,
    wanted_tokens bigint, wanted_micros bigint, own_tokens bigint, own_micros bigint,
    at timestamptz, until timestamptz,
    subjects text[], periods text[], starts date[], most_tokens bigint[], most_micros bigint[]
) RETURNS TABLE (
    number bigint, spent_tokens bigint, spent_micros bigint, reserved_tokens bigint, reserved_micros bigint,
    has_room boolean
)
LANGUAGE plpgsql AS $$
BEGIN
    -- A reservation that is lost when the database crashes was for a call that nobody waits for.
    PERFORM pg_catalog.set_config('synchronous_commit', 'off', true);
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('budget ' || of_instance::text, 0));
    RETURN QUERY
    WITH limits AS (
        SELECT l.ordinality, l.subject, l.period, l.starts_on, l.most_tokens, l.most_micros,
               CASE l.subject WHEN 'end_user' THEN of_end_user WHEN 'address' THEN of_address ELSE ''::bytea END AS hash
        FROM unnest(subjects, periods, starts, most_tokens, most_micros)
             WITH ORDINALITY AS l (subject, period, starts_on, most_tokens, most_micros, ordinality)
    ), standing AS (
        SELECT l.ordinality, l.most_tokens, l.most_micros,
               coalesce(c.tokens, 0) AS spent_tokens, coalesce(c.micros, 0) AS spent_micros,
               r.tokens AS reserved_tokens, r.micros AS reserved_micros
        FROM limits l
        LEFT JOIN stoa_platform.budget_counters c
            ON c.instance_id = of_instance AND c.period = l.period AND c.starts_on = l.starts_on
           AND c.subject = l.subject AND c.subject_hash = l.hash
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(o.tokens), 0)::bigint AS tokens, coalesce(sum(o.micros), 0)::bigint AS micros
            FROM stoa_platform.budget_reservations o
            WHERE o.instance_id = of_instance AND o.expires_at > at
              AND (o.message_id, o.kind) <> (of_message, of_kind)
              AND CASE l.subject WHEN 'end_user' THEN o.end_user_hash = l.hash
                                 WHEN 'address' THEN o.address_hash = l.hash ELSE true END
        ) r
    ), judged AS (
        -- An unknown price has no room in a limit of money, and what costs nothing has room beside whatever was
        -- spent.
        SELECT s.*,
               (s.most_tokens IS NULL
                OR s.spent_tokens + s.reserved_tokens + wanted_tokens <= s.most_tokens
                OR (s.reserved_tokens = 0 AND s.spent_tokens + own_tokens < s.most_tokens))
               AND (s.most_micros IS NULL
                OR (wanted_micros IS NOT NULL
                    AND (wanted_micros = 0
                         OR s.spent_micros + s.reserved_micros + wanted_micros <= s.most_micros
                         OR (s.reserved_micros = 0 AND s.spent_micros + own_micros < s.most_micros)))) AS fits
        FROM standing s
    ), kept AS (
        INSERT INTO stoa_platform.budget_reservations AS mine
            (instance_id, message_id, kind, end_user_hash, address_hash, tokens, micros, expires_at)
        SELECT of_instance, of_message, of_kind, of_end_user, of_address, wanted_tokens, wanted_micros, until
        WHERE (SELECT bool_and(j.fits) FROM judged j)
        ON CONFLICT ON CONSTRAINT budget_reservations_pkey DO UPDATE
            SET tokens = excluded.tokens, micros = excluded.micros, expires_at = excluded.expires_at
    )
    SELECT j.ordinality, j.spent_tokens, j.spent_micros, j.reserved_tokens, j.reserved_micros, j.fits
    FROM judged j ORDER BY j.ordinality;
END
$$;

-- What was spent before there was a ledger, so that a budget that is set now knows of it.
INSERT INTO stoa_platform.budget_counters
    (instance_id, period, starts_on, subject, subject_hash, tokens, unknown_costs)
SELECT u.instance_id, p.period, p.starts_on, 'instance', '',
       sum(coalesce(u.input_tokens, 0) + coalesce(u.output_tokens, 0)),
       count(*) FILTER (WHERE u.model NOT IN ('', 'passages'))
FROM stoa_platform.usage_events u
CROSS JOIN LATERAL (VALUES
    ('day', (u.occurred_at AT TIME ZONE 'UTC')::date),
    ('month', date_trunc('month', u.occurred_at AT TIME ZONE 'UTC')::date)) AS p (period, starts_on)
WHERE u.occurred_at >= date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
GROUP BY u.instance_id, p.period, p.starts_on;
