"""The tables, as the steps that lead from each version of them to the next."""

from __future__ import annotations

_FORGET = (
    "BEGIN DELETE FROM measures WHERE digest = {row}.digest;"
    " DELETE FROM measures WHERE other != '' AND other = {row}.digest;"
    " DELETE FROM seen WHERE digest = {row}.digest; END"
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE images (
            digest TEXT PRIMARY KEY,
            settings TEXT NOT NULL,
            search_key TEXT NOT NULL,
            scheduler TEXT NOT NULL,
            model_name TEXT NOT NULL,
            model_fingerprint TEXT NOT NULL,
            created_at REAL NOT NULL,
            seconds REAL NOT NULL,
            computed TEXT NOT NULL,
            clip_score REAL,
            file_sha256 TEXT NOT NULL,
            file_size INTEGER NOT NULL,
            recorded INTEGER NOT NULL,
            damaged INTEGER NOT NULL DEFAULT 0
        )""",
        "CREATE INDEX images_newest ON images (created_at)",
        "CREATE INDEX images_scheduler ON images (scheduler, created_at)",
        "CREATE INDEX images_model ON images (model_name, created_at)",
        """CREATE TABLE jobs (
            id TEXT PRIMARY KEY,
            owner TEXT NOT NULL,
            token TEXT NOT NULL,
            label TEXT NOT NULL,
            state TEXT NOT NULL,
            strict INTEGER NOT NULL,
            record TEXT NOT NULL,
            created_at REAL NOT NULL,
            started_at REAL,
            finished_at REAL,
            total_cells INTEGER NOT NULL,
            steps_per_second REAL,
            UNIQUE (owner, token)
        )""",
        "CREATE INDEX jobs_newest ON jobs (created_at)",
        "CREATE INDEX jobs_finished ON jobs (finished_at)",
        """CREATE TABLE cells (
            job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            settings TEXT NOT NULL,
            digest TEXT,
            model TEXT NOT NULL,
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            state TEXT NOT NULL,
            step INTEGER NOT NULL DEFAULT 0,
            total_steps INTEGER NOT NULL,
            reason TEXT NOT NULL DEFAULT '',
            crashes INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (job_id, position)
        )""",
        "CREATE INDEX cells_digest ON cells (digest)",
        "CREATE INDEX cells_pending ON cells (job_id, position) WHERE state = 'pending'",
        "CREATE INDEX cells_running ON cells (digest) WHERE state = 'running'",
        "CREATE TABLE previews (digest TEXT PRIMARY KEY, png BLOB NOT NULL)",
        "CREATE TABLE watching (job_id TEXT PRIMARY KEY, until REAL NOT NULL)",
        """CREATE TABLE worker (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            pid INTEGER NOT NULL,
            host TEXT NOT NULL,
            state TEXT NOT NULL,
            device TEXT NOT NULL,
            dtype TEXT NOT NULL,
            model TEXT NOT NULL,
            message TEXT NOT NULL,
            heartbeat REAL NOT NULL
        )""",
    ),
    (
        """CREATE TABLE sweeps (
            name TEXT PRIMARY KEY,
            sweep TEXT NOT NULL,
            created_at REAL NOT NULL,
            updated_at REAL NOT NULL
        )""",
    ),
    # The digest of the picture that this one varies, "" for none; NULL: not looked up yet.
    (
        "ALTER TABLE images ADD COLUMN parent TEXT",
        "CREATE INDEX images_parent ON images (parent)",
    ),
    # The sweep that a job computes, as JSON; NULL where it computes none.
    ("ALTER TABLE jobs ADD COLUMN sweep TEXT",),
    # Named tasks: work that makes no stored image. Their results are files.
    (
        """CREATE TABLE tasks (
            key TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            owner TEXT NOT NULL,
            settings TEXT NOT NULL,
            arguments TEXT NOT NULL,
            state TEXT NOT NULL,
            done INTEGER NOT NULL DEFAULT 0,
            total INTEGER NOT NULL DEFAULT 0,
            reason TEXT NOT NULL DEFAULT '',
            crashes INTEGER NOT NULL DEFAULT 0,
            created_at REAL NOT NULL,
            finished_at REAL,
            watched_until REAL NOT NULL
        )""",
        "CREATE INDEX tasks_unfinished ON tasks (created_at) WHERE finished_at IS NULL",
    ),
    # Pictures whose files are being written; and what was resolved for a cell at its submission.
    (
        "CREATE TABLE writing (digest TEXT PRIMARY KEY)",
        "ALTER TABLE cells ADD COLUMN planned TEXT",
    ),
    # The last prediction of cells that were stopped on their way, decoded.
    (
        """CREATE TABLE stopped (
            job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            step INTEGER NOT NULL,
            total INTEGER NOT NULL,
            png BLOB NOT NULL,
            PRIMARY KEY (job_id, position)
        )""",
    ),
    # What was measured of pictures and what CLIP sees of them, forgotten when a picture changes;
    # and the numbers that a person gave them.
    (
        """CREATE TABLE measures (
            digest TEXT NOT NULL,
            other TEXT NOT NULL,
            name TEXT NOT NULL,
            version INTEGER NOT NULL,
            value REAL,
            PRIMARY KEY (digest, other, name)
        ) WITHOUT ROWID""",
        "CREATE INDEX measures_other ON measures (other) WHERE other != ''",
        """CREATE TABLE seen (
            digest TEXT NOT NULL,
            clip TEXT NOT NULL,
            embedding BLOB NOT NULL,
            PRIMARY KEY (digest, clip)
        ) WITHOUT ROWID""",
        """CREATE TABLE own_numbers (
            name TEXT NOT NULL,
            digest TEXT NOT NULL,
            value REAL NOT NULL,
            PRIMARY KEY (name, digest)
        ) WITHOUT ROWID""",
        "CREATE INDEX own_numbers_digest ON own_numbers (digest)",
        f"CREATE TRIGGER measures_of_new AFTER INSERT ON images {_FORGET.format(row='NEW')}",
        f"CREATE TRIGGER measures_of_deleted AFTER DELETE ON images {_FORGET.format(row='OLD')}",
        "CREATE TRIGGER measures_of_recorded AFTER UPDATE OF recorded ON images"
        " BEGIN DELETE FROM measures WHERE digest = NEW.digest; END",
    ),
    # Stars and favourites, by the digest of a picture that may be deleted and computed again.
    (
        """CREATE TABLE ratings (
            digest TEXT PRIMARY KEY,
            stars INTEGER NOT NULL DEFAULT 0 CHECK (stars BETWEEN 0 AND 5),
            favourite INTEGER NOT NULL DEFAULT 0 CHECK (favourite IN (0, 1))
        )""",
    ),
    # Blind tests: votes between two pictures, by digests that may be deleted; and who is through.
    (
        """CREATE TABLE votes (
            id INTEGER PRIMARY KEY,
            test TEXT NOT NULL,
            voter TEXT NOT NULL,
            first TEXT NOT NULL,
            second TEXT NOT NULL,
            choice INTEGER NOT NULL CHECK (choice IN (0, 1, 2)),
            created_at REAL NOT NULL
        )""",
        "CREATE INDEX votes_of_test ON votes (test, voter)",
        "CREATE INDEX votes_first ON votes (first)",
        "CREATE INDEX votes_second ON votes (second)",
        """CREATE TABLE voters (
            test TEXT NOT NULL,
            voter TEXT NOT NULL,
            is_finished INTEGER NOT NULL CHECK (is_finished IN (0, 1)),
            seen_at REAL NOT NULL,
            PRIMARY KEY (test, voter)
        )""",
    ),
    # Lessons: what a learner, named by their browser, predicted, and whether the run said the same.
    (
        """CREATE TABLE lesson_answers (
            learner TEXT NOT NULL,
            lesson TEXT NOT NULL,
            part TEXT NOT NULL,
            prediction TEXT NOT NULL,
            is_right INTEGER CHECK (is_right IN (0, 1)),
            created_at REAL NOT NULL,
            PRIMARY KEY (learner, lesson, part)
        ) WITHOUT ROWID""",
    ),
)
"""Schema n is reached by running the first n of these; never change one that was released."""
