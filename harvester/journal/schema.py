"""The journal's tables.

Moments are whole microseconds since 1970, UTC. `since` is NULL for "all before", `agent_id` NULL for a whole account.
`file` of an answer is NULL once its rows are in a committed segment; what is left of it is its digest. A detail is
there until its row is in one; `message` says why there is none for good. A recording is of a source, of all its jobs.
"""

VERSION = "5"
"""Another version is refused, never converted in silence."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE run (
    run_id TEXT PRIMARY KEY, command TEXT NOT NULL, started_at INTEGER NOT NULL, finished_at INTEGER, outcome TEXT
) WITHOUT ROWID;
CREATE TABLE job (
    id INTEGER PRIMARY KEY, source TEXT NOT NULL, state TEXT NOT NULL, spec BLOB NOT NULL, until INTEGER NOT NULL,
    is_listed INTEGER NOT NULL DEFAULT 0, parts INTEGER NOT NULL DEFAULT 0,
    run_id TEXT, outcome TEXT, gaps BLOB, round_id TEXT NOT NULL DEFAULT '', agent_pages INTEGER NOT NULL DEFAULT 0,
    UNIQUE (source, state)
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
CREATE TABLE dateless (
    job_id INTEGER NOT NULL, call_id TEXT NOT NULL, window_id INTEGER NOT NULL, PRIMARY KEY (job_id, call_id)
) WITHOUT ROWID;
CREATE TABLE spent (source TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (source, at)) WITHOUT ROWID;
CREATE TABLE pause (source TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE answer (
    window_id INTEGER NOT NULL, pass INTEGER NOT NULL, page INTEGER NOT NULL, size INTEGER NOT NULL,
    is_probe INTEGER NOT NULL, part TEXT NOT NULL, job_id INTEGER NOT NULL,
    digest INTEGER NOT NULL, nth INTEGER NOT NULL,
    file INTEGER, offset INTEGER, length INTEGER,
    PRIMARY KEY (window_id, pass, page, size, is_probe, part)
) WITHOUT ROWID;
CREATE INDEX answer_in_file ON answer (file) WHERE file IS NOT NULL;
CREATE TABLE digest (
    id INTEGER PRIMARY KEY, window_id INTEGER NOT NULL, job_id INTEGER NOT NULL,
    file INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL
);
CREATE INDEX digest_of_window ON digest (window_id);
CREATE TABLE detail (
    window_id INTEGER NOT NULL, call_id TEXT NOT NULL, job_id INTEGER NOT NULL, at INTEGER NOT NULL,
    message TEXT NOT NULL, file INTEGER, offset INTEGER, length INTEGER,
    PRIMARY KEY (window_id, call_id)
) WITHOUT ROWID;
CREATE INDEX detail_in_file ON detail (file) WHERE file IS NOT NULL;
CREATE TABLE recording (
    source TEXT NOT NULL, call_id TEXT NOT NULL, path TEXT NOT NULL, aside TEXT NOT NULL, bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL, is_published INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (source, call_id)
) WITHOUT ROWID;
"""
