//! The tables, and how an older database becomes the present one.
//!
//! The same statements run on chDB and on a ClickHouse server. Each migration can run twice: a
//! crash between a statement and the note that it ran does no harm.

use super::{StoreConfig, SyncToDisk};

/// Version of the schema that this program writes.
pub(super) const SCHEMA_VERSION: u32 = 3;

/// Blocks of which each table remembers the deduplication token, 0 by default. An insert whose token has been claimed
/// stays shut out for as long as so many others are made.
const DEDUPLICATION: &str = "non_replicated_deduplication_window = 10000";

/// Bytes that inserts leave free on the store's disk: refused below it, they are tried again. Merges reserve what they
/// need before they begin, so that the store itself never writes up to the last byte; a merge that meets a full disk may
/// leave a part that cannot be read.
const FREE_BYTES_MIN: u64 = 256 << 20;

/// Parts of fewer bytes, uncompressed, keep all columns in one file: what an insert makes, and the first merges. Making and syncing
/// a hundred files for each part is a tenth of the time of an insert.
const ONE_FILE_BYTES_MAX: u64 = 512 << 20;

/// The statements of migration `version`, in order.
pub(super) fn migration(version: u32, config: &StoreConfig) -> Vec<String> {
    match version {
        1 => vec![events(config), matches(config), dead_letters(config)],
        2 => vec![dead_letters_replay(config)],
        3 => vec![super::agents::table(config)],
        _ => Vec::new(),
    }
}

/// What follows the configuration, applied at each start: what is kept for how long, and how sure
/// an acknowledged insert is. Statements that change nothing only rewrite metadata.
pub(super) fn settings(config: &StoreConfig) -> Vec<String> {
    let mut statements = retention(config);
    let on = match config.sync_to_disk {
        SyncToDisk::Always => 1,
        SyncToDisk::Never => 0,
    };
    let database = identifier(&config.database);
    // The last is the size from which a merged part is synced: all, or none.
    statements.extend(["events", "matches", "dead_letters"].map(|table| {
        format!(
            "ALTER TABLE {database}.{table} MODIFY SETTING fsync_after_insert = {on}, \
             fsync_part_directory = {on}, min_compressed_bytes_to_fsync_after_merge = {on}, {DEDUPLICATION}, \
             min_free_disk_bytes_to_perform_insert = {FREE_BYTES_MIN}, min_bytes_for_wide_part = {ONE_FILE_BYTES_MAX}"
        )
    }));
    statements
}

fn retention(config: &StoreConfig) -> Vec<String> {
    let database = identifier(&config.database);
    vec![
        format!(
            "ALTER TABLE {database}.events MODIFY TTL {}",
            events_ttl(config)
        ),
        format!(
            "ALTER TABLE {database}.matches MODIFY TTL {}",
            ttl("received_at", config.match_retention_days)
        ),
        format!(
            "ALTER TABLE {database}.dead_letters MODIFY TTL {}",
            ttl("received_at", config.dead_letter_retention_days)
        ),
    ]
}

fn ttl(column: &str, days: u32) -> String {
    format!("toDateTime({column}) + toIntervalDay({days})")
}

fn events_ttl(config: &StoreConfig) -> String {
    let mut cases = String::new();
    for (class, days) in &config.retention_classes {
        cases.push_str(&format!("retention_class = {}, {days}, ", literal(class)));
    }
    if cases.is_empty() {
        return ttl("received_at", config.retention_days);
    }
    format!(
        "toDateTime(received_at) + toIntervalDay(multiIf({cases}{}))",
        config.retention_days
    )
}

/// `event_time` itself must stay out of the sorting key: with it there, ClickHouse takes conditions
/// on it to that column instead of to the bucket before it, and reads all granules (measured).
fn events(config: &StoreConfig) -> String {
    let database = identifier(&config.database);
    let ttl = events_ttl(config);
    format!(
        "CREATE TABLE IF NOT EXISTS {database}.events (
    event_id UInt128 CODEC(NONE),
    event_time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    received_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    retention_class LowCardinality(String),
    unit LowCardinality(String),
    host LowCardinality(String),
    agent LowCardinality(String),
    stream LowCardinality(String),
    position UInt64 CODEC(Delta, ZSTD(1)),
    sub_index UInt32,
    format LowCardinality(String),
    product LowCardinality(String),
    category LowCardinality(String),
    service LowCardinality(String),
    other_log_sources Array(LowCardinality(String)),
    user LowCardinality(String),
    source_address IPv6 CODEC(ZSTD(1)),
    source_port UInt16 CODEC(ZSTD(1)),
    destination_address IPv6 CODEC(ZSTD(1)),
    destination_port UInt16 CODEC(ZSTD(1)),
    process LowCardinality(String),
    parent_process LowCardinality(String),
    command_line String CODEC(ZSTD(1)),
    hash String CODEC(ZSTD(1)),
    url String CODEC(ZSTD(1)),
    action LowCardinality(String),
    outcome LowCardinality(String),
    event_code LowCardinality(String),
    fields Map(String, String) CODEC(ZSTD(1)),
    field_kinds LowCardinality(String),
    text String CODEC(ZSTD(1)),
    raw String CODEC(ZSTD(1)),
    problems Array(LowCardinality(String)),
    INDEX text_words text TYPE text(tokenizer = splitByNonAlpha),
    INDEX event_id_filter event_id TYPE bloom_filter(0.01),
    PROJECTION stream_positions (SELECT agent, stream, max(position) GROUP BY agent, stream)
)
ENGINE = MergeTree
PARTITION BY (toYYYYMMDD(received_at), retention_class)
ORDER BY (toStartOfFifteenMinutes(event_time), unit, host)
TTL {ttl}
SETTINGS {DEDUPLICATION}, ttl_only_drop_parts = 1"
    )
}

fn matches(config: &StoreConfig) -> String {
    let database = identifier(&config.database);
    let ttl = ttl("received_at", config.match_retention_days);
    // A correlation's evidence grows until its window closes: the row with the most events stands.
    format!(
        "CREATE TABLE IF NOT EXISTS {database}.matches (
    match_id UInt128,
    rule_id LowCardinality(String),
    rule_hash LowCardinality(String),
    rule_title LowCardinality(String),
    level LowCardinality(String),
    tags Array(LowCardinality(String)),
    correlation Bool,
    unit LowCardinality(String),
    host LowCardinality(String),
    event_time DateTime64(6, 'UTC'),
    received_at DateTime64(6, 'UTC'),
    agent LowCardinality(String),
    stream LowCardinality(String),
    position UInt64,
    group Map(LowCardinality(String), String),
    window_start DateTime64(6, 'UTC'),
    window_end DateTime64(6, 'UTC'),
    event_count UInt64,
    event_ids Array(UInt128),
    evidence String CODEC(ZSTD(1)),
    INDEX event_times event_time TYPE minmax
)
ENGINE = ReplacingMergeTree(event_count)
PARTITION BY toYYYYMM(received_at)
ORDER BY (rule_id, match_id)
TTL {ttl}
SETTINGS {DEDUPLICATION}"
    )
}

fn dead_letters(config: &StoreConfig) -> String {
    let database = identifier(&config.database);
    let ttl = ttl("received_at", config.dead_letter_retention_days);
    format!(
        "CREATE TABLE IF NOT EXISTS {database}.dead_letters (
    agent LowCardinality(String),
    stream LowCardinality(String),
    position UInt64,
    received_at DateTime64(6, 'UTC'),
    unit LowCardinality(String),
    host LowCardinality(String),
    format LowCardinality(String),
    kind LowCardinality(String),
    reason String CODEC(ZSTD(1)),
    raw String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (agent, stream, position)
TTL {ttl}
SETTINGS {DEDUPLICATION}"
    )
}

/// What a replay needs besides: how the record was to be read, and when it was replayed.
fn dead_letters_replay(config: &StoreConfig) -> String {
    format!(
        "ALTER TABLE {}.dead_letters
    ADD COLUMN IF NOT EXISTS truncated Bool,
    ADD COLUMN IF NOT EXISTS product LowCardinality(String),
    ADD COLUMN IF NOT EXISTS category LowCardinality(String),
    ADD COLUMN IF NOT EXISTS service LowCardinality(String),
    ADD COLUMN IF NOT EXISTS replayed_at DateTime64(6, 'UTC')",
        identifier(&config.database)
    )
}

/// The table that says which migrations ran.
pub(super) fn versions_table(config: &StoreConfig) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {}.schema_versions (version UInt32, applied_at DateTime('UTC') DEFAULT now()) \
         ENGINE = MergeTree ORDER BY version",
        identifier(&config.database)
    )
}

/// A name as an identifier of SQL.
pub(super) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// Text of the configuration as a literal of SQL, for statements that take no parameters.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
