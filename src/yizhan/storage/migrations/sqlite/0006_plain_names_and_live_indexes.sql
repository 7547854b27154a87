-- Plain names, and indexes of the few deliveries that are not settled instead of all that ever were.

ALTER TABLE keeps RENAME TO account_state;

ALTER TABLE accounts DROP COLUMN paused;

-- Made anew rather than altered: the unique key was a part of the table, with an entry for every delivery without one.
CREATE TABLE new_deliveries (
    seq INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    broadcast INTEGER NOT NULL,             -- seq of the first delivery of the same call
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    key TEXT,                               -- the caller's; NULL when none was given
    priority INTEGER NOT NULL,
    state TEXT NOT NULL,
    due_at REAL NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0,
    expires_at REAL,
    first_number INTEGER NOT NULL DEFAULT 1,
    reply_id TEXT,
    parts INTEGER NOT NULL DEFAULT 0,       -- when it was accepted; 0 where that was not stored
    retry_of INTEGER,                       -- the delivery whose missing parts this one carries
    parts_done INTEGER NOT NULL DEFAULT 0,
    repeatable INTEGER NOT NULL DEFAULT 0,  -- whether the wire recognizes a repeat of the part that is being sent
    in_doubt INTEGER NOT NULL DEFAULT 0,    -- whether an earlier attempt at that part ended without an answer
    in_doubt_since REAL NOT NULL DEFAULT 0, -- when the first of these attempts left
    spends TEXT NOT NULL DEFAULT '',        -- the budgets that the sent parts count against
    attempts INTEGER NOT NULL DEFAULT 0,
    part_attempts INTEGER NOT NULL DEFAULT 0,
    ids TEXT NOT NULL DEFAULT '[]',         -- JSON list of PlatformId, one for each part that is done
    notes TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    code TEXT NOT NULL DEFAULT '',
    trace_id TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL,
    sending_at REAL NOT NULL DEFAULT 0,     -- when the last attempt left
    sent_as TEXT NOT NULL DEFAULT '',       -- the session of that attempt
    settled_at REAL NOT NULL DEFAULT 0      -- 0 while it is queued, sending or held
);

INSERT INTO new_deliveries (
    seq, message, broadcast, account, kind, target, key, priority, state, due_at, not_before, expires_at, first_number,
    reply_id, parts, retry_of, parts_done, repeatable, in_doubt, in_doubt_since, spends, attempts, part_attempts, ids,
    notes, detail, error, code, trace_id, created_at, sending_at, sent_as, settled_at
)
SELECT
    seq, message, broadcast, account, kind, target, key, priority, state, due_at, not_before, expires_at, first_number,
    reply_id, parts, retry_of, parts_done, repeatable, asked, asked_since, spends, attempts, tries, ids,
    notes, detail, error, code, trace_id, created_at, sending_at, sent_as, settled_at
FROM deliveries;

DROP TABLE deliveries;

ALTER TABLE new_deliveries RENAME TO deliveries;

CREATE UNIQUE INDEX one_delivery_per_key_and_target ON deliveries (key, account, kind, target) WHERE key IS NOT NULL;

-- A delivery is retried once; a second retry finds the first.
CREATE UNIQUE INDEX one_retry_per_delivery ON deliveries (retry_of) WHERE retry_of IS NOT NULL;

CREATE INDEX deliveries_due ON deliveries (account, priority, seq) WHERE state = 'queued';

CREATE INDEX deliveries_sending ON deliveries (account) WHERE state = 'sending';

CREATE INDEX deliveries_held ON deliveries (account, kind, target) WHERE state = 'held';

CREATE INDEX deliveries_timed ON deliveries (account, due_at) WHERE due_at > 0;

CREATE INDEX deliveries_ending ON deliveries (account, expires_at) WHERE expires_at IS NOT NULL AND settled_at = 0;

CREATE INDEX deliveries_of_message ON deliveries (message);

CREATE INDEX deliveries_of_broadcast ON deliveries (broadcast, state);

CREATE INDEX deliveries_spent ON deliveries (account, sending_at) WHERE spends <> '';

DROP INDEX ix_attempts_delivery;

CREATE INDEX attempts_of_delivery ON attempts (delivery);

DROP INDEX ix_message_media_sha256;

CREATE INDEX message_media_of_medium ON message_media (sha256);
