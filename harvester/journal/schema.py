"""The journal's tables.

Moments are whole microseconds since 1970, UTC. `since` is NULL for "all before", `agent_id` NULL for a whole account.
"""

VERSION = "1"
"""Another version is refused, never converted in silence."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE run (
    run_id TEXT PRIMARY KEY, command TEXT NOT NULL, started_at INTEGER NOT NULL, finished_at INTEGER, outcome TEXT
) WITHOUT ROWID;
CREATE TABLE job (
    id INTEGER PRIMARY KEY, source TEXT NOT NULL, state TEXT NOT NULL, spec BLOB NOT NULL, until INTEGER NOT NULL,
    is_listed INTEGER NOT NULL DEFAULT 0, parts INTEGER NOT NULL DEFAULT 0, commits INTEGER NOT NULL DEFAULT 0,
    run_id TEXT, outcome TEXT, gaps BLOB, UNIQUE (source, state)
);
CREATE TABLE agent (
    job_id INTEGER NOT NULL, agent_id TEXT NOT NULL, name TEXT, PRIMARY KEY (job_id, agent_id)
) WITHOUT ROWID;
CREATE TABLE window (
    id INTEGER PRIMARY KEY, job_id INTEGER NOT NULL, agent_id TEXT, since INTEGER, until INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'open', counts BLOB, gaps BLOB
);
CREATE INDEX window_of_job ON window (job_id);
CREATE TABLE segment (
    path TEXT PRIMARY KEY, job_id INTEGER NOT NULL, kind TEXT NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL, aside TEXT NOT NULL, state TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX segment_of_job ON segment (job_id);
CREATE TABLE ids (
    window_id INTEGER NOT NULL, hour INTEGER NOT NULL, job_id INTEGER NOT NULL, commits INTEGER NOT NULL,
    ids BLOB NOT NULL, PRIMARY KEY (window_id, hour, commits)
) WITHOUT ROWID;
"""
