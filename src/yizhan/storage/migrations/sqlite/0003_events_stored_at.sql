-- When an event was stored, so that it can be dropped after a while.

ALTER TABLE events ADD COLUMN stored_at FLOAT DEFAULT 0 NOT NULL;

-- Events that are there were stored when they happened, as far as is known.
UPDATE events SET stored_at = at;
