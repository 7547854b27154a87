-- A time before which a delivery does not leave.

ALTER TABLE deliveries ADD COLUMN not_before FLOAT DEFAULT 0 NOT NULL;
