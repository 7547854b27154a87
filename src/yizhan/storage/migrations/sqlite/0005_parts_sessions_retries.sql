-- How many parts a delivery has, the session of its last attempt, and the delivery that it retries.

ALTER TABLE deliveries ADD COLUMN parts INTEGER DEFAULT 0 NOT NULL;

ALTER TABLE deliveries ADD COLUMN retry_of BIGINT;

ALTER TABLE deliveries ADD COLUMN sent_as TEXT DEFAULT '' NOT NULL;

CREATE UNIQUE INDEX one_retry_per_delivery ON deliveries (retry_of) WHERE retry_of IS NOT NULL;
