"""What is corrected of the past is marked, and the plays that it concerns are settled again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

LATEST_START = "interval '1 day'"
"""How long after its planned start an item may still begin: the contract's upper bound."""

TRANSITIONS = {
    "INSERT": "NEW TABLE AS after_rows",
    "UPDATE": "OLD TABLE AS before_rows NEW TABLE AS after_rows",
    "DELETE": "OLD TABLE AS before_rows",
}


def _differing(columns: str) -> dict[str, str]:
    """Rows that a statement made, changed (as they were and as they are) or removed."""
    before, after = (f"SELECT {columns} FROM {name}_rows" for name in ("before", "after"))  # noqa: S608
    return {
        "INSERT": after,
        "UPDATE": f"({before} EXCEPT {after}) UNION ALL ({after} EXCEPT {before})",
        "DELETE": before,
    }


_HUNG = "device_id, cluster_id, installed_at, removed_at"
_OUTAGES = "SELECT starts_at, ends_at FROM outages WHERE area_code IS NOT NULL"

MARKS = {
    "installations": (
        _differing(_HUNG)
        | {
            # What only ends, or goes on, is the same up to there.
            "UPDATE": f"""
                SELECT device_id, cluster_id,
                       least(b.removed_at, a.removed_at) - {LATEST_START},
                       CASE WHEN b.removed_at IS NOT NULL AND a.removed_at IS NOT NULL
                            THEN greatest(b.removed_at, a.removed_at) END
                FROM before_rows b JOIN after_rows a USING (device_id, installed_at, cluster_id)
                WHERE b.removed_at IS DISTINCT FROM a.removed_at
                UNION ALL
                SELECT {_HUNG} FROM (
                    (SELECT {_HUNG} FROM before_rows b WHERE NOT EXISTS (
                        SELECT FROM after_rows a
                        WHERE (a.device_id, a.installed_at, a.cluster_id)
                            = (b.device_id, b.installed_at, b.cluster_id)))
                    UNION ALL
                    (SELECT {_HUNG} FROM after_rows a WHERE NOT EXISTS (
                        SELECT FROM before_rows b
                        WHERE (a.device_id, a.installed_at, a.cluster_id)
                            = (b.device_id, b.installed_at, b.cluster_id)))
                ) AS moved
            """,  # noqa: S608  made of constants
        },
        "SELECT changed.device_id, changed.cluster_id, changed.since, changed.until",
        "AS changed (device_id, cluster_id, since, until)",
    ),
    "outages": (
        _differing("cluster_id, area_code, kind, starts_at, ends_at"),
        f"""SELECT NULL::integer, served.cluster_id, changed.starts_at - {LATEST_START},
                   changed.ends_at""",
        """AS changed LEFT JOIN LATERAL (
                WITH RECURSIVE down (code) AS (
                    SELECT changed.area_code
                    UNION
                    SELECT a.code FROM areas AS a JOIN down ON a.parent_code = down.code
                )
                SELECT DISTINCT v.cluster_id
                FROM cluster_villages AS v JOIN down ON down.code = v.village_code
                UNION ALL
                SELECT changed.cluster_id
            ) AS served ON true
            WHERE served.cluster_id IS NOT NULL""",
    ),
    "cluster_villages": (
        _differing("cluster_id, village_code, valid_from, valid_to, grade"),
        f"""SELECT NULL::integer, changed.cluster_id, declared.starts_at - {LATEST_START},
                   declared.ends_at""",
        f"""AS changed JOIN ({_OUTAGES}) AS declared
            ON declared.ends_at >= changed.valid_from - 1
            AND declared.starts_at <= coalesce(changed.valid_to + 2, 'infinity')""",
    ),
    "areas": (
        _differing("code, parent_code, valid_from, valid_to"),
        f"""SELECT NULL::integer, NULL::integer, declared.starts_at - {LATEST_START},
                   declared.ends_at""",
        f"""AS changed JOIN ({_OUTAGES}) AS declared
            ON declared.ends_at >= changed.valid_from - 1
            AND declared.starts_at <= coalesce(changed.valid_to + 2, 'infinity')""",
    ),
}
"""Table → rows that changed by operation, and the plays they concern: device whose records belong
to another cluster now, cluster (null for all), span of their starts. Areas and the villages of a
cluster say whom an outage concerns that was declared for an area."""


def upgrade() -> None:
    op.create_table(
        "corrections",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=True),
        sa.Column("cluster_id", sa.Integer(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
    )
    for table, (changed, concerned, spans) in MARKS.items():
        for operation, rows in changed.items():
            name = f"correct_{table}_{operation.lower()}"
            op.execute(f"""
                CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    INSERT INTO corrections (cause, device_id, cluster_id, since, until)
                    SELECT DISTINCT '{table}', marked.*
                    FROM ({concerned} FROM ({rows}) {spans}) AS marked;
                    RETURN NULL;
                END $$
            """)  # noqa: S608  made of constants
            op.execute(
                f"CREATE TRIGGER {name} AFTER {operation} ON {table}"
                f" REFERENCING {TRANSITIONS[operation]}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
            )


def downgrade() -> None:
    for table in MARKS:
        for operation in TRANSITIONS:
            name = f"correct_{table}_{operation.lower()}"
            op.execute(f"DROP TRIGGER {name} ON {table}")
            op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("corrections")
