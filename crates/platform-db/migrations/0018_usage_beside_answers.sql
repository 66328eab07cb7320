-- What takes tokens and is no answer that anybody is billed for: summaries of long conversations, and
-- vectors that a program asked for.

ALTER TABLE stoa_platform.usage_events
    DROP CONSTRAINT usage_events_kind_check,
    ADD CONSTRAINT usage_events_kind_check
        CHECK (kind IN ('answer', 'completion', 'summary', 'embedding'));
