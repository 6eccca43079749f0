"""Tell open pages which topics have changed.

One trigger per table and event, because transition tables ask for it; a statement that changes no
row tells nothing. NOTIFY keeps one of equal payloads in a transaction.
"""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0020"

TOPICS = {
    "plays": ("plays",),
    "presence": ("presence_changes", "faults"),
    "incidents": ("incidents",),
    "bulletins": ("bulletins", "bulletin_revisions", "approval_steps"),
    "schedules": ("schedules", "schedule_exceptions", "occurrences"),
    "commands": ("commands", "command_results"),
    "preparations": ("preparations",),
    "registry": ("areas", "stations", "plants", "clusters", "cluster_villages", "devices",
                 "installations"),
}  # fmt: skip

EVENTS = {"insert": "NEW", "update": "NEW", "delete": "OLD"}


def upgrade() -> None:
    op.execute("""
        CREATE FUNCTION tell_topic() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (SELECT FROM changed) THEN
                PERFORM pg_notify('broadcast_live', TG_ARGV[0]);
            END IF;
            RETURN NULL;
        END $$
    """)
    for topic, tables in TOPICS.items():
        for table in tables:
            for event, rows in EVENTS.items():
                op.execute(
                    f"CREATE TRIGGER tell_{event} AFTER {event.upper()} ON {table}"
                    f" REFERENCING {rows} TABLE AS changed"
                    f" FOR EACH STATEMENT EXECUTE FUNCTION tell_topic('{topic}')"
                )


def downgrade() -> None:
    for tables in TOPICS.values():
        for table in tables:
            for event in EVENTS:
                op.execute(f"DROP TRIGGER tell_{event} ON {table}")
    op.execute("DROP FUNCTION tell_topic()")
