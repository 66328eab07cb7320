-- An answer can be made again, a long conversation has a summary, and an answer says when it is none.

ALTER TABLE stoa.chat_messages
    -- On an answer: the one that was made to the same question after it, at the same position.
    ADD COLUMN superseded_by uuid,
    -- On an answer: it says that nothing was found.
    ADD COLUMN unanswered boolean NOT NULL DEFAULT false;

ALTER TABLE stoa.chat_sessions
    -- What was said up to and with the message at this position, in short, for models.
    ADD COLUMN summary text,
    ADD COLUMN summary_through bigint;
