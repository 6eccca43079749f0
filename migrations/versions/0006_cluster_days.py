"""What the indicators need of past days, kept up to date by marks that triggers leave."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

ZONE = "Asia/Ho_Chi_Minh"

EVIDENCE = ("online_minutes", "plays", "installations", "outages", "cluster_villages", "areas")
"""What `cluster_days` is folded from."""

REGISTER = (
    "areas", "area_lineage", "village_exclusions", "stations", "station_states", "plants",
    "plant_states", "baseline_stations", "clusters", "cluster_villages", "installations",
    "attestations",
)  # fmt: skip
"""What a process remembers of a day besides the evidence of `cluster_days`."""

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


MARKS = {
    # The hot one: a heartbeat of today meets no folded day.
    "online_minutes": (
        dict.fromkeys(("INSERT", "UPDATE"), "SELECT device_id, day FROM after_rows")
        | {"DELETE": "SELECT device_id, day FROM before_rows"},
        "changed.device_id, NULL::integer",
        "folded.day = changed.day",
    ),
    "plays": (
        _differing("occurrence_id, cluster_id, month, starts_at, ends_by, state, ended_at"),
        "NULL::integer, changed.cluster_id",
        f"folded.day = (changed.starts_at AT TIME ZONE '{ZONE}')::date",
    ),
    # What only ends, or goes on, is the same up to there.
    "installations": (
        {
            "INSERT": "SELECT cluster_id, installed_at AS since FROM after_rows",
            "DELETE": "SELECT cluster_id, installed_at AS since FROM before_rows",
            "UPDATE": """
                SELECT cluster_id, least(coalesce(b.removed_at, 'infinity'),
                                         coalesce(a.removed_at, 'infinity')) AS since
                FROM before_rows b JOIN after_rows a USING (device_id, installed_at, cluster_id)
                WHERE b.removed_at IS DISTINCT FROM a.removed_at
                UNION ALL
                SELECT cluster_id, installed_at FROM (
                    (SELECT device_id, installed_at, cluster_id FROM before_rows
                     EXCEPT SELECT device_id, installed_at, cluster_id FROM after_rows)
                    UNION ALL
                    (SELECT device_id, installed_at, cluster_id FROM after_rows
                     EXCEPT SELECT device_id, installed_at, cluster_id FROM before_rows)
                ) moved
            """,
        },
        "NULL::integer, changed.cluster_id",
        f"folded.day >= (changed.since AT TIME ZONE '{ZONE}')::date",
    ),
    "outages": (
        _differing("id, cluster_id, area_code, starts_at, ends_at"),
        "NULL::integer, changed.cluster_id",
        f"""folded.day BETWEEN (changed.starts_at AT TIME ZONE '{ZONE}')::date
            AND (changed.ends_at AT TIME ZONE '{ZONE}')::date""",
    ),
    "cluster_villages": (
        _differing("cluster_id, village_code, valid_from, valid_to, grade"),
        "NULL::integer, changed.cluster_id",
        "folded.day >= changed.valid_from",
    ),
    "areas": (
        _differing("code, parent_code, valid_from, valid_to"),
        "NULL::integer, NULL::integer",
        "folded.day >= changed.valid_from",
    ),
}
"""Table → rows that changed by operation, device and cluster that they concern, days."""


def upgrade() -> None:
    op.create_table(
        "cluster_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("cluster_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("expected", sa.SmallInteger(), nullable=False),
        sa.Column("online", sa.SmallInteger(), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("day", "cluster_id", name=op.f("pk_cluster_days")),
    )
    op.create_table(
        "folded_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("hours", sa.Text(), nullable=False),
        sa.Column("horizon", sa.BigInteger(), nullable=True),
        sa.Column("folded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "revision", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_folded_days")),
    )
    op.create_table(
        "evidence_marks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("device_id", sa.Integer(), nullable=True),
        sa.Column("cluster_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence_marks")),
    )
    op.create_index(op.f("ix_evidence_marks_day"), "evidence_marks", ["day"])
    op.create_table(
        "register_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "revision", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False
        ),
        sa.CheckConstraint("id = 1", name=op.f("ck_register_state_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register_state")),
    )
    op.execute("INSERT INTO register_state (id) VALUES (1)")
    op.create_table(
        "restatements",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("restated_on", sa.Date(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("restated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cluster_days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "restated_on", "cause", name=op.f("pk_restatements")),
    )
    op.create_index(
        "ix_faults_closed_at",
        "faults",
        ["closed_at"],
        postgresql_where=sa.text("closed_at IS NOT NULL"),
    )
    for table in EVIDENCE:
        _mark_days(table)
    op.execute("""
        CREATE FUNCTION mark_register() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO evidence_marks (cause) VALUES (TG_TABLE_NAME);
            RETURN NULL;
        END $$
    """)
    for table in REGISTER:
        op.execute(
            f"CREATE TRIGGER mark_register AFTER INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION mark_register()"
        )


def _mark_days(table: str) -> None:
    """Triggers that mark the folded days whose evidence a statement changes.

    By statement, with what it changed as a table; INSERT … ON CONFLICT DO UPDATE fires both.
    """
    changed, concerned, days = MARKS[table]
    for operation, rows in changed.items():
        name = f"mark_{table}_{operation.lower()}"
        op.execute(f"""
            CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO evidence_marks (cause, day, device_id, cluster_id)
                SELECT DISTINCT '{table}', folded.day, {concerned}
                FROM ({rows}) changed JOIN folded_days folded ON {days};
                RETURN NULL;
            END $$
        """)  # noqa: S608  made of constants
        op.execute(
            f"CREATE TRIGGER {name} AFTER {operation} ON {table}"
            f" REFERENCING {TRANSITIONS[operation]}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )


def downgrade() -> None:
    for table in REGISTER:
        op.execute(f"DROP TRIGGER mark_register ON {table}")
    op.execute("DROP FUNCTION mark_register()")
    for table in EVIDENCE:
        for operation in TRANSITIONS:
            name = f"mark_{table}_{operation.lower()}"
            op.execute(f"DROP TRIGGER {name} ON {table}")
            op.execute(f"DROP FUNCTION {name}()")
    op.drop_index("ix_faults_closed_at", table_name="faults")
    for table in ("restatements", "register_state", "evidence_marks", "folded_days"):
        op.drop_table(table)
    op.drop_table("cluster_days")
