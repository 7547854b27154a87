-- Broadcasts as objects: who they are for, how far they were handed to the outbox, and how many stand in each state.

CREATE TABLE broadcasts (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',        -- why it is paused
    detail TEXT NOT NULL DEFAULT '',        -- the same in words
    key TEXT,                               -- the caller's; NULL when none was given
    message INTEGER NOT NULL,
    note TEXT NOT NULL DEFAULT '',          -- a remark on every receipt
    options TEXT NOT NULL DEFAULT '{}',
    complete INTEGER NOT NULL DEFAULT 0,    -- whether all recipients are stored; until then it cannot start
    total INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    parent INTEGER,                         -- the broadcast that it retries
    ended_seen INTEGER NOT NULL DEFAULT 0,  -- recipients that had ended, and failed, when a person resumed it last
    failed_seen INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL DEFAULT 1,     -- counts up with every change
    created_at REAL NOT NULL,
    start_at REAL NOT NULL DEFAULT 0,
    started_at REAL NOT NULL DEFAULT 0,
    ended_at REAL NOT NULL DEFAULT 0
);

CREATE UNIQUE INDEX one_broadcast_per_key ON broadcasts (key) WHERE key IS NOT NULL;

CREATE INDEX broadcasts_paused ON broadcasts (id) WHERE state = 'paused';

CREATE INDEX broadcasts_of_message ON broadcasts (message);

CREATE TABLE recipients (
    broadcast INTEGER NOT NULL,
    ord INTEGER NOT NULL,                   -- from 1, in the order given
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    name TEXT NOT NULL DEFAULT '',
    vars TEXT NOT NULL DEFAULT '',          -- JSON object of the values for placeholders
    parts INTEGER NOT NULL DEFAULT 0,       -- of its message, when it was accepted
    refused TEXT NOT NULL DEFAULT '',       -- why nothing is sent to it
    retry_of INTEGER,                       -- the delivery whose missing parts it gets
    recall TEXT NOT NULL DEFAULT '',        -- why its message could not be recalled
    PRIMARY KEY (broadcast, ord)
) WITHOUT ROWID;

CREATE UNIQUE INDEX one_recipient_per_target ON recipients (broadcast, account, kind, target);

-- The only cursor: what is fed is in the outbox, in the transaction that moved it.
CREATE TABLE feeds (
    broadcast INTEGER NOT NULL,
    account TEXT NOT NULL,
    fed_to INTEGER NOT NULL,                -- ord of the last recipient that was fed
    last INTEGER NOT NULL,                  -- ord of the account's last recipient
    PRIMARY KEY (broadcast, account)
) WITHOUT ROWID;

CREATE TABLE broadcast_counts (
    broadcast INTEGER NOT NULL,
    account TEXT NOT NULL,
    state TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (broadcast, account, state)
) WITHOUT ROWID;

-- `broadcast` was the first delivery of the same call. Calls with several targets become broadcasts; others have none.
ALTER TABLE deliveries ADD COLUMN ord INTEGER NOT NULL DEFAULT 0;

INSERT INTO broadcasts (id, state, message, complete, total, created_at, started_at, ended_at)
SELECT broadcast, CASE WHEN min(settled_at) = 0 THEN 'running' ELSE 'done' END, min(message), 1, count(*),
    min(created_at), min(created_at), CASE WHEN min(settled_at) = 0 THEN 0 ELSE max(settled_at) END
FROM deliveries GROUP BY broadcast HAVING count(*) > 1;

UPDATE deliveries SET broadcast = 0 WHERE broadcast NOT IN (SELECT id FROM broadcasts);

-- A call with a key is found by it again; of several under one key, which added targets, the first is.
UPDATE broadcasts SET key = (SELECT key FROM deliveries WHERE deliveries.broadcast = broadcasts.id LIMIT 1)
WHERE id IN (SELECT min(broadcast) FROM deliveries WHERE broadcast > 0 AND key IS NOT NULL GROUP BY key);

UPDATE deliveries SET ord = numbered.ord
FROM (SELECT seq, row_number() OVER (PARTITION BY broadcast ORDER BY seq) AS ord FROM deliveries WHERE broadcast > 0)
    AS numbered
WHERE deliveries.seq = numbered.seq;

INSERT OR IGNORE INTO recipients (broadcast, ord, account, kind, target)
SELECT broadcast, ord, account, kind, target FROM deliveries WHERE broadcast > 0;

INSERT INTO feeds (broadcast, account, fed_to, last)
SELECT broadcast, account, max(ord), max(ord) FROM recipients GROUP BY broadcast, account;

INSERT INTO broadcast_counts (broadcast, account, state, n)
SELECT broadcast, account, state, count(*) FROM deliveries WHERE broadcast > 0 GROUP BY broadcast, account, state;

INSERT INTO counters (name, value) SELECT 'message', max(id) FROM messages HAVING max(id) IS NOT NULL;

INSERT INTO counters (name, value) SELECT 'broadcast', max(id) FROM broadcasts HAVING max(id) IS NOT NULL;

DROP INDEX deliveries_of_broadcast;

CREATE INDEX deliveries_of_broadcast ON deliveries (broadcast, ord) WHERE broadcast > 0;

CREATE TRIGGER delivery_counted AFTER INSERT ON deliveries WHEN NEW.broadcast > 0
BEGIN
    INSERT INTO broadcast_counts (broadcast, account, state, n) VALUES (NEW.broadcast, NEW.account, NEW.state, 1)
    ON CONFLICT (broadcast, account, state) DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER delivery_recounted AFTER UPDATE OF state ON deliveries
WHEN NEW.broadcast > 0 AND NEW.state <> OLD.state
BEGIN
    UPDATE broadcast_counts SET n = n - 1
    WHERE broadcast = OLD.broadcast AND account = OLD.account AND state = OLD.state;
    INSERT INTO broadcast_counts (broadcast, account, state, n) VALUES (NEW.broadcast, NEW.account, NEW.state, 1)
    ON CONFLICT (broadcast, account, state) DO UPDATE SET n = n + 1;
END;
