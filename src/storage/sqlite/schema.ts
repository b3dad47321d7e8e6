/** In the file's header: "Slot". Tells our files from any other SQLite database. */
export const APPLICATION_ID = 0x536c6f74;

/**
 * One entry for each schema version, never edited once released. They run in one transaction.
 *
 * `row_sum` is a checksum of the row's other fields: a row whose bits were flipped on disk is told from one that
 * was written so, and is refused alone (D3). Sealed values need none: they don't open once damaged.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE store (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    store_id TEXT NOT NULL,
    epoch TEXT NOT NULL,
    revision INTEGER NOT NULL CHECK (revision >= 0),
    access_revision INTEGER NOT NULL CHECK (access_revision BETWEEN 0 AND revision),
    floor INTEGER NOT NULL CHECK (floor BETWEEN 0 AND revision),
    row_sum INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE secrets (
    secret_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    comment TEXT NOT NULL,
    labels TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    state_revision INTEGER NOT NULL,
    born_revision INTEGER NOT NULL,
    enabled_count INTEGER NOT NULL CHECK (enabled_count >= 0),
    disabled_count INTEGER NOT NULL CHECK (disabled_count >= 0),
    destroyed_count INTEGER NOT NULL CHECK (destroyed_count >= 0),
    current_slot INTEGER CHECK ((current_slot IS NULL) = (enabled_count = 0)),
    last_slot INTEGER NOT NULL,
    row_sum INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE slots (
    row_id INTEGER PRIMARY KEY,
    secret_id INTEGER NOT NULL REFERENCES secrets ON DELETE CASCADE,
    slot INTEGER NOT NULL CHECK (slot >= 0),
    state TEXT NOT NULL CHECK (state IN ('enabled', 'disabled', 'destroyed')),
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    value_revision INTEGER NOT NULL,
    version_id BLOB NOT NULL CHECK (length(version_id) = 16),
    size INTEGER NOT NULL,
    row_sum INTEGER NOT NULL,
    key_id TEXT CHECK ((key_id IS NULL) = (state = 'destroyed')),
    wrapped_key BLOB CHECK ((wrapped_key IS NULL) = (state = 'destroyed')),
    ciphertext BLOB CHECK ((ciphertext IS NULL) = (state = 'destroyed')),
    UNIQUE (secret_id, slot)
  ) STRICT;
  -- Effective-at is one seek, however many slots are disabled.
  CREATE UNIQUE INDEX slots_enabled ON slots (secret_id, slot) WHERE state = 'enabled';
  CREATE INDEX slots_changed ON slots (secret_id, revision);
  CREATE INDEX slots_wrapped ON slots (key_id) WHERE key_id IS NOT NULL;

  CREATE TABLE tombstones (
    name TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    time INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE changes (
    revision INTEGER PRIMARY KEY,
    commit_id BLOB NOT NULL CHECK (length(commit_id) = 16),
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT,
    slot INTEGER,
    subject TEXT,
    principal TEXT NOT NULL,
    rpc TEXT NOT NULL,
    request_id TEXT,
    row_sum INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE requests (
    principal TEXT NOT NULL,
    rpc TEXT NOT NULL,
    request_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    result TEXT NOT NULL,
    expire_time INTEGER NOT NULL,
    PRIMARY KEY (principal, rpc, request_id)
  ) STRICT;
  CREATE INDEX requests_expiring ON requests (expire_time);

  CREATE TABLE tokens (
    token_id TEXT PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    principal TEXT NOT NULL,
    groups TEXT NOT NULL,
    comment TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    expire_time INTEGER,
    revoke_time INTEGER,
    row_sum INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX tokens_in_order ON tokens (create_time, token_id);

  CREATE TABLE policies (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    row_sum INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE master_keys (
    key_id TEXT PRIMARY KEY,
    is_primary INTEGER NOT NULL CHECK (is_primary IN (0, 1)),
    check_record BLOB NOT NULL,
    create_time INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE store_keys (
    purpose TEXT PRIMARY KEY,
    key_id TEXT NOT NULL,
    wrapped_key BLOB NOT NULL
  ) STRICT;

  CREATE TABLE audit_anchors (
    chain TEXT PRIMARY KEY,
    records INTEGER NOT NULL,
    head BLOB NOT NULL,
    revision INTEGER NOT NULL,
    time INTEGER NOT NULL,
    closed INTEGER NOT NULL CHECK (closed IN (0, 1))
  ) STRICT;
  `,
];

export const SCHEMA_VERSION = MIGRATIONS.length;
