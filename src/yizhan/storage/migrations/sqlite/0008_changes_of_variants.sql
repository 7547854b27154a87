-- Each variant with what its conversion changed, for receipts. Those of older programs lack it and are made anew.

DELETE FROM variants;

ALTER TABLE variants ADD COLUMN changes TEXT NOT NULL DEFAULT '[]';  -- JSON list of words
