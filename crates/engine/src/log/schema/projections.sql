-- What is folded from the events. It can be dropped and folded again at any time. A row points at the event that says
-- something rather than saying it again.
DROP TABLE IF EXISTS run_hosts;
DROP TABLE IF EXISTS runs;
DROP TABLE IF EXISTS hosts;
DROP TABLE IF EXISTS changes;

CREATE TABLE changes (
    change TEXT PRIMARY KEY,
    began INTEGER NOT NULL UNIQUE REFERENCES events (seq),
    ended INTEGER REFERENCES events (seq),
    version INTEGER NOT NULL,
    operation TEXT NOT NULL,
    dry INTEGER NOT NULL,
    run TEXT,
    release TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX unfinished_changes ON changes (began) WHERE ended IS NULL AND dry = 0;

CREATE TABLE hosts (
    host TEXT PRIMARY KEY,
    change TEXT NOT NULL,
    updated INTEGER NOT NULL REFERENCES events (seq),
    phase TEXT,
    instance TEXT,
    release TEXT,
    run TEXT,
    pinned INTEGER REFERENCES events (seq),
    settled INTEGER REFERENCES events (seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    run TEXT PRIMARY KEY,
    change TEXT NOT NULL REFERENCES changes (change),
    began INTEGER NOT NULL UNIQUE REFERENCES events (seq),
    ended INTEGER REFERENCES events (seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX runs_of_changes ON runs (change);

CREATE TABLE run_hosts (
    run TEXT NOT NULL REFERENCES runs (run),
    host TEXT NOT NULL,
    settled INTEGER REFERENCES events (seq),
    PRIMARY KEY (run, host)
) STRICT, WITHOUT ROWID;
