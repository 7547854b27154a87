-- Attempts of the part that is being sent, since when it is in doubt, and indexes of deliveries that wait for a time.

ALTER TABLE deliveries ADD COLUMN tries INTEGER DEFAULT 0 NOT NULL;

ALTER TABLE deliveries ADD COLUMN asked_since FLOAT DEFAULT 0 NOT NULL;

CREATE INDEX deliveries_timed ON deliveries (account, due_at) WHERE due_at > 0;

CREATE INDEX deliveries_ending ON deliveries (account, expires_at) WHERE expires_at IS NOT NULL AND settled_at = 0;
