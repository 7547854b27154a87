BEGIN TRANSACTION;
CREATE TABLE accounts (
	name VARCHAR(80) NOT NULL, 
	settings BLOB NOT NULL, 
	paused TEXT NOT NULL, 
	added_at FLOAT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE attempts (
	id INTEGER NOT NULL, 
	delivery BIGINT NOT NULL, 
	part INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	error VARCHAR(40) NOT NULL, 
	code VARCHAR(40) NOT NULL, 
	trace_id VARCHAR(80) NOT NULL, 
	detail TEXT NOT NULL, 
	decision TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE contacts (
	alias VARCHAR(120) NOT NULL, 
	target TEXT NOT NULL, 
	is_tag BOOLEAN NOT NULL, 
	PRIMARY KEY (alias, target)
);
CREATE TABLE contexts (
	account VARCHAR(80) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	target TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	body BLOB NOT NULL, 
	PRIMARY KEY (account, kind, target)
);
CREATE TABLE counters (
	name VARCHAR(40) NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE deliveries (
	seq INTEGER NOT NULL, 
	message BIGINT NOT NULL, 
	broadcast BIGINT NOT NULL, 
	account VARCHAR(80) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	target TEXT NOT NULL, 
	"key" VARCHAR(200), 
	priority INTEGER NOT NULL, 
	state VARCHAR(12) NOT NULL, 
	due_at FLOAT NOT NULL, 
	expires_at FLOAT, 
	first_number INTEGER NOT NULL, 
	reply_id TEXT, 
	parts_done INTEGER NOT NULL, 
	repeatable BOOLEAN NOT NULL, 
	asked BOOLEAN NOT NULL, 
	spends TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	ids TEXT NOT NULL, 
	notes TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	error VARCHAR(40) NOT NULL, 
	code VARCHAR(40) NOT NULL, 
	trace_id VARCHAR(80) NOT NULL, 
	created_at FLOAT NOT NULL, 
	sending_at FLOAT NOT NULL, 
	settled_at FLOAT NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT one_delivery_per_key_and_target UNIQUE ("key", account, kind, target)
);
CREATE TABLE events (
	seq INTEGER NOT NULL, 
	account VARCHAR(80) NOT NULL, 
	event_id TEXT NOT NULL, 
	kind VARCHAR(24) NOT NULL, 
	at FLOAT NOT NULL, 
	body BLOB NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT one_event_per_id UNIQUE (account, event_id)
);
CREATE TABLE handles (
	account VARCHAR(80) NOT NULL, 
	scope VARCHAR(160) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	use VARCHAR(300) NOT NULL, 
	recipe VARCHAR(120) NOT NULL, 
	token BLOB NOT NULL, 
	expires_at FLOAT, 
	made_at FLOAT NOT NULL, 
	bytes BIGINT NOT NULL, 
	PRIMARY KEY (account, scope, sha256, use, recipe)
);
CREATE TABLE keeps (
	account VARCHAR(80) NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	value BLOB NOT NULL, 
	PRIMARY KEY (account, name)
);
CREATE TABLE media (
	sha256 VARCHAR(64) NOT NULL, 
	md5 VARCHAR(32) NOT NULL, 
	crc32 BIGINT NOT NULL, 
	size BIGINT NOT NULL, 
	kind VARCHAR(12) NOT NULL, 
	mime VARCHAR(120) NOT NULL, 
	format VARCHAR(24) NOT NULL, 
	width INTEGER NOT NULL, 
	height INTEGER NOT NULL, 
	duration_ms INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	added_at FLOAT NOT NULL, 
	used_at FLOAT NOT NULL, 
	PRIMARY KEY (sha256)
);
CREATE TABLE message_media (
	message BIGINT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	PRIMARY KEY (message, sha256)
);
CREATE TABLE messages (
	id INTEGER NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	body BLOB NOT NULL, 
	created_at FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE replies (
	account VARCHAR(80) NOT NULL, 
	reply_id TEXT NOT NULL, 
	next_number INTEGER NOT NULL, 
	PRIMARY KEY (account, reply_id)
);
CREATE TABLE variants (
	source VARCHAR(64) NOT NULL, 
	recipe VARCHAR(120) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	PRIMARY KEY (source, recipe)
);
CREATE INDEX ix_attempts_delivery ON attempts (delivery);
CREATE INDEX deliveries_due ON deliveries (account, state, priority, seq);
CREATE INDEX deliveries_of_broadcast ON deliveries (broadcast, state);
CREATE INDEX deliveries_spent ON deliveries (account, sending_at);
CREATE INDEX ix_deliveries_message ON deliveries (message);
CREATE INDEX ix_message_media_sha256 ON message_media (sha256);
COMMIT;
