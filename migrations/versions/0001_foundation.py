"""Foundation: every table of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "admin",
                "broadcaster",
                "approver",
                "technician",
                "monitor",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_api_tokens_token_sha256")),
    )
    op.create_table(
        "area_lineage",
        sa.Column("old_code", sa.Text(), nullable=False),
        sa.Column("new_code", sa.Text(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column(
            "part",
            sa.Enum(
                "whole", "part", name="part", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column("legal_act", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "old_code", "new_code", "effective_on", name=op.f("pk_area_lineage")
        ),
    )
    op.create_table(
        "areas",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column(
            "level",
            sa.Enum(
                "province",
                "district",
                "commune",
                "village",
                name="level",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_code", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to >= valid_from", name=op.f("ck_areas_span")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_areas")),
        sa.UniqueConstraint("code", "valid_from", name=op.f("uq_areas_code_valid_from")),
    )
    op.create_index("ix_areas_parent_code", "areas", ["parent_code"], unique=False)
    op.create_table(
        "bulletins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "class",
            sa.Enum(
                "normal",
                "priority",
                "emergency",
                name="bulletinclass",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("area_code", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulletins")),
    )
    op.create_index(op.f("ix_bulletins_created_at"), "bulletins", ["created_at"], unique=False)
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("device_code", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
    )
    op.create_index(
        op.f("ix_dead_letters_received_at"), "dead_letters", ["received_at"], unique=False
    )
    op.create_table(
        "devices",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("codecs", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("volume", sa.Integer(), nullable=False),
        sa.Column("alert_volume", sa.Integer(), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
        sa.UniqueConstraint("code", name=op.f("uq_devices_code")),
    )
    op.create_table(
        "dirty_scopes",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "kind", name=op.f("pk_dirty_scopes")),
    )
    op.create_table(
        "documents",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_revision", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("scope", "kind", name=op.f("pk_documents")),
    )
    op.create_index(
        "ix_documents_unpublished",
        "documents",
        ["revision"],
        unique=False,
        postgresql_where=sa.text("published_revision < revision"),
    )
    op.create_table(
        "heartbeats",
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("device_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("session", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.PrimaryKeyConstraint(
            "received_on", "device_id", "session", "seq", name=op.f("pk_heartbeats")
        ),
        postgresql_partition_by="RANGE (received_on)",
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("request_sha256", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", "caller", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(
        op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False
    )
    op.create_table(
        "listening_spans",
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("started_at", name=op.f("pk_listening_spans")),
    )
    op.create_table(
        "online_minutes",
        sa.Column("device_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("minutes", postgresql.BIT(length=1440), nullable=False),
        sa.PrimaryKeyConstraint("device_id", "day", name=op.f("pk_online_minutes")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "plants",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plants")),
        sa.UniqueConstraint("code", name=op.f("uq_plants_code")),
    )
    op.create_table(
        "play_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("occurrence_id", sa.Uuid(), nullable=False),
        sa.Column("cluster_id", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "old_state",
            sa.Enum(
                "planned",
                "playing",
                "played",
                "partial",
                "preempted",
                "missed",
                "cancelled",
                name="old_state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.Column("old_reason", sa.Text(), nullable=False),
        sa.Column(
            "new_state",
            sa.Enum(
                "planned",
                "playing",
                "played",
                "partial",
                "preempted",
                "missed",
                "cancelled",
                name="new_state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("new_reason", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_play_changes")),
    )
    op.create_index(
        "ix_play_changes_play", "play_changes", ["occurrence_id", "cluster_id"], unique=False
    )
    op.create_table(
        "plays",
        sa.Column("occurrence_id", sa.Uuid(), nullable=False),
        sa.Column("cluster_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "planned",
                "playing",
                "played",
                "partial",
                "preempted",
                "missed",
                "cancelled",
                name="playstate",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("played_seconds", sa.Double(), nullable=False),
        sa.Column("start_error_ms", sa.Integer(), nullable=True),
        sa.Column("fresh_starts", sa.Integer(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restated", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("occurrence_id", "cluster_id", "month", name=op.f("pk_plays")),
        postgresql_partition_by="RANGE (month)",
    )
    op.create_index("ix_plays_cluster", "plays", ["cluster_id", "starts_at"], unique=False)
    op.create_index(
        "ix_plays_open",
        "plays",
        ["ends_by"],
        unique=False,
        postgresql_where=sa.text("state IN ('planned', 'playing')"),
    )
    op.create_index(
        "ix_plays_starts_at", "plays", ["starts_at", "occurrence_id", "cluster_id"], unique=False
    )
    op.create_table(
        "programme_revisions",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("occurrence_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.PrimaryKeyConstraint("scope", "revision", name=op.f("pk_programme_revisions")),
    )
    op.create_index(
        op.f("ix_programme_revisions_issued_at"),
        "programme_revisions",
        ["issued_at"],
        unique=False,
    )
    op.create_index(
        "ix_programme_revisions_occurrences",
        "programme_revisions",
        ["occurrence_ids"],
        unique=False,
        postgresql_using="gin",
    )
    op.create_table(
        "published_content",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("wanted_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_published_content")),
    )
    op.create_table(
        "stations",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("commune_code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stations")),
        sa.UniqueConstraint("code", name=op.f("uq_stations_code")),
    )
    op.create_index(op.f("ix_stations_commune_code"), "stations", ["commune_code"], unique=False)
    op.create_table(
        "topology",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("applied_revision", sa.BigInteger(), nullable=False),
        sa.Column("applied_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topology")),
    )
    op.create_table(
        "village_exclusions",
        sa.Column("village_code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("declared_by", sa.Text(), nullable=False),
        sa.CheckConstraint("document <> ''", name=op.f("ck_village_exclusions_documented")),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to >= valid_from", name=op.f("ck_village_exclusions_span")
        ),
        sa.PrimaryKeyConstraint("village_code", "valid_from", name=op.f("pk_village_exclusions")),
    )
    op.create_table(
        "village_register",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("commune_code", sa.Text(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to >= valid_from", name=op.f("ck_village_register_span")
        ),
        sa.PrimaryKeyConstraint("code", "valid_from", name=op.f("pk_village_register")),
    )
    op.create_table(
        "baseline_stations",
        sa.Column("station_id", sa.Integer(), nullable=False),
        sa.Column("listed_on", sa.Date(), nullable=False),
        sa.Column("technologies", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["station_id"], ["stations.id"], name=op.f("fk_baseline_stations_station_id_stations")
        ),
        sa.PrimaryKeyConstraint("station_id", name=op.f("pk_baseline_stations")),
    )
    op.create_table(
        "boots",
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("session", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_boots_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("device_id", "session", name=op.f("pk_boots")),
    )
    op.create_index("ix_boots_received_at", "boots", ["device_id", "received_at"], unique=False)
    op.create_table(
        "bulletin_revisions",
        sa.Column("bulletin_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "submitted",
                "approved",
                "returned",
                "withdrawn",
                name="revisionstate",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "source_kind",
            sa.Enum(
                "upload",
                "text",
                name="sourcekind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("source_name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("loudness_lufs", sa.Double(), nullable=False),
        sa.Column("true_peak_dbtp", sa.Double(), nullable=False),
        sa.Column(
            "facts", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["bulletin_id"],
            ["bulletins.id"],
            name=op.f("fk_bulletin_revisions_bulletin_id_bulletins"),
        ),
        sa.PrimaryKeyConstraint("bulletin_id", "number", name=op.f("pk_bulletin_revisions")),
    )
    op.create_table(
        "clusters",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("plant_id", sa.Integer(), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("horns_count", sa.Integer(), nullable=False),
        sa.Column("watts", sa.Integer(), nullable=True),
        sa.Column(
            "evidence",
            sa.Enum(
                "telemetry",
                "attested",
                "none",
                name="evidence",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("installed_on", sa.Date(), nullable=False),
        sa.Column("removed_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["plant_id"], ["plants.id"], name=op.f("fk_clusters_plant_id_plants")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clusters")),
        sa.UniqueConstraint("code", name=op.f("uq_clusters_code")),
    )
    op.create_index(op.f("ix_clusters_plant_id"), "clusters", ["plant_id"], unique=False)
    op.create_table(
        "command_results",
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("command_id", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_command_results_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("device_id", "command_id", name=op.f("pk_command_results")),
    )
    op.create_table(
        "device_presence",
        sa.Column("device_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "presence",
            sa.Enum(
                "never_seen",
                "online",
                "silent",
                "offline",
                name="presence",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("session", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("silent_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("clock_wrong", sa.Boolean(), nullable=False),
        sa.Column(
            "held", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column(
            "heartbeat", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_device_presence_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_device_presence")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "faults",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_faults_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_faults")),
    )
    op.create_index("ix_faults_device", "faults", ["device_id", "opened_at"], unique=False)
    op.create_index(
        "uq_faults_open",
        "faults",
        ["device_id", "kind"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "journal_records",
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("journal_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("occurrence_id", sa.Text(), nullable=False),
        sa.Column("cluster_id", sa.Integer(), nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_journal_records_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("device_id", "journal_id", "seq", name=op.f("pk_journal_records")),
    )
    op.create_index(
        "ix_journal_records_play", "journal_records", ["occurrence_id", "cluster_id"], unique=False
    )
    op.create_table(
        "journals",
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("journal_id", sa.Text(), nullable=False),
        sa.Column("stored_upto", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_journals_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("device_id", "journal_id", name=op.f("pk_journals")),
    )
    op.create_table(
        "plant_states",
        sa.Column("plant_id", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("station_id", sa.Integer(), nullable=False),
        sa.Column("technologies", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "operating",
                "out_of_service",
                "decommissioned",
                name="plantstatus",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plant_id"], ["plants.id"], name=op.f("fk_plant_states_plant_id_plants")
        ),
        sa.ForeignKeyConstraint(
            ["station_id"], ["stations.id"], name=op.f("fk_plant_states_station_id_stations")
        ),
        sa.PrimaryKeyConstraint("plant_id", "valid_from", name=op.f("pk_plant_states")),
    )
    op.create_index(
        op.f("ix_plant_states_station_id"), "plant_states", ["station_id"], unique=False
    )
    op.create_table(
        "presence_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column(
            "presence",
            sa.Enum(
                "never_seen",
                "online",
                "silent",
                "offline",
                name="presence",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_presence_changes_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_presence_changes")),
    )
    op.create_index(
        "ix_presence_changes_device",
        "presence_changes",
        ["device_id", "happened_at"],
        unique=False,
    )
    op.create_table(
        "readiness",
        sa.Column("occurrence_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("bulletin_revision", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_readiness_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("occurrence_id", "device_id", name=op.f("pk_readiness")),
    )
    op.create_table(
        "receipts",
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_receipts_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("device_id", "document", "revision", name=op.f("pk_receipts")),
    )
    op.create_table(
        "refusals",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_refusals_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refusals")),
        sa.UniqueConstraint(
            "device_id",
            "sent_at",
            "topic",
            "reason",
            name=op.f("uq_refusals_device_id_sent_at_topic_reason"),
        ),
    )
    op.create_table(
        "station_states",
        sa.Column("station_id", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "planned",
                "installing",
                "trial",
                "operating",
                "degraded",
                "out_of_service",
                "decommissioned",
                name="stationstatus",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["station_id"], ["stations.id"], name=op.f("fk_station_states_station_id_stations")
        ),
        sa.PrimaryKeyConstraint("station_id", "valid_from", name=op.f("pk_station_states")),
    )
    op.create_table(
        "approval_steps",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("bulletin_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "submitted",
                "approved",
                "returned",
                "withdrawn",
                name="revisionstate",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bulletin_id", "revision"],
            ["bulletin_revisions.bulletin_id", "bulletin_revisions.number"],
            name="fk_approval_steps_revision",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_steps")),
    )
    op.create_index(
        "ix_approval_steps_revision", "approval_steps", ["bulletin_id", "revision"], unique=False
    )
    op.create_table(
        "attestations",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("cluster_id", sa.Integer(), nullable=False),
        sa.Column("attested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attested_by", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_attestations_cluster_id_clusters")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attestations")),
    )
    op.create_index(
        "ix_attestations_cluster", "attestations", ["cluster_id", "attested_at"], unique=False
    )
    op.create_table(
        "cluster_villages",
        sa.Column("cluster_id", sa.Integer(), nullable=False),
        sa.Column("village_code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column(
            "grade",
            sa.Enum(
                "primary",
                "partial",
                name="grade",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_cluster_villages_cluster_id_clusters")
        ),
        sa.PrimaryKeyConstraint(
            "cluster_id", "village_code", "valid_from", name=op.f("pk_cluster_villages")
        ),
    )
    op.create_index(
        "ix_cluster_villages_village_code", "cluster_villages", ["village_code"], unique=False
    )
    op.create_table(
        "installations",
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("installed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cluster_id", sa.Integer(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_installations_cluster_id_clusters")
        ),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=op.f("fk_installations_device_id_devices")
        ),
        sa.PrimaryKeyConstraint("device_id", "installed_at", name=op.f("pk_installations")),
    )
    op.create_index(
        op.f("ix_installations_cluster_id"), "installations", ["cluster_id"], unique=False
    )
    op.create_index(
        "uq_installations_open_cluster",
        "installations",
        ["cluster_id"],
        unique=True,
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_index(
        "uq_installations_open_device",
        "installations",
        ["device_id"],
        unique=True,
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "outages",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "maintenance",
                "power_cut",
                name="outagekind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("cluster_id", sa.Integer(), nullable=True),
        sa.Column("area_code", sa.Text(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("declared_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(cluster_id IS NULL) <> (area_code IS NULL)", name=op.f("ck_outages_one_place")
        ),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_outages_span")),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_outages_cluster_id_clusters")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outages")),
    )
    op.create_table(
        "renditions",
        sa.Column("bulletin_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column(
            "codec",
            sa.Enum(
                "opus", "mp3", name="codec", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bulletin_id", "revision"],
            ["bulletin_revisions.bulletin_id", "bulletin_revisions.number"],
            name="fk_renditions_revision",
        ),
        sa.PrimaryKeyConstraint("bulletin_id", "revision", "codec", name=op.f("pk_renditions")),
    )
    op.create_index("ix_renditions_sha256", "renditions", ["sha256"], unique=False)
    op.create_table(
        "schedules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bulletin_id", sa.Uuid(), nullable=False),
        sa.Column("bulletin_revision", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rrule", sa.Text(), nullable=True),
        sa.Column(
            "targets", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("targets_on", sa.Date(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("late_limit_seconds", sa.Integer(), nullable=False),
        sa.Column(
            "on_preempt",
            sa.Enum(
                "resume",
                "restart",
                "drop",
                name="onpreempt",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("volume", sa.Integer(), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "active",
                "ended",
                "withdrawn",
                name="schedulestate",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["bulletin_id", "bulletin_revision"],
            ["bulletin_revisions.bulletin_id", "bulletin_revisions.number"],
            name="fk_schedules_revision",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
    )
    op.create_index(
        "ix_schedules_active",
        "schedules",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_index(op.f("ix_schedules_created_at"), "schedules", ["created_at"], unique=False)
    op.create_table(
        "occurrences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        sa.Column("recurrence_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bulletin_id", sa.Uuid(), nullable=False),
        sa.Column("bulletin_revision", sa.Integer(), nullable=False),
        sa.Column(
            "class",
            sa.Enum(
                "normal",
                "priority",
                "emergency",
                name="bulletinclass",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("late_limit_seconds", sa.Integer(), nullable=False),
        sa.Column(
            "on_preempt",
            sa.Enum(
                "resume",
                "restart",
                "drop",
                name="onpreempt",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("volume", sa.Integer(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "planned",
                "cancelled",
                name="occurrencestate",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("carried_scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("reach", sa.Text(), nullable=False),
        sa.Column("dirty", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name=op.f("fk_occurrences_schedule_id_schedules")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_occurrences")),
        sa.UniqueConstraint(
            "schedule_id", "recurrence_at", name=op.f("uq_occurrences_schedule_id_recurrence_at")
        ),
    )
    op.create_index(
        "ix_occurrences_dirty",
        "occurrences",
        ["starts_at"],
        unique=False,
        postgresql_where=sa.text("dirty"),
    )
    op.create_index(
        "ix_occurrences_schedule", "occurrences", ["schedule_id", "starts_at"], unique=False
    )
    op.create_index(
        "ix_occurrences_scopes", "occurrences", ["scopes"], unique=False, postgresql_using="gin"
    )
    op.create_index("ix_occurrences_starts_at", "occurrences", ["starts_at"], unique=False)
    op.create_table(
        "schedule_exceptions",
        sa.Column("schedule_id", sa.Uuid(), nullable=False),
        sa.Column("recurrence_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("moved_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["schedules.id"],
            name=op.f("fk_schedule_exceptions_schedule_id_schedules"),
        ),
        sa.PrimaryKeyConstraint(
            "schedule_id", "recurrence_at", name=op.f("pk_schedule_exceptions")
        ),
    )


def downgrade() -> None:
    op.drop_table("schedule_exceptions")
    op.drop_index("ix_occurrences_starts_at", table_name="occurrences")
    op.drop_index("ix_occurrences_scopes", table_name="occurrences", postgresql_using="gin")
    op.drop_index("ix_occurrences_schedule", table_name="occurrences")
    op.drop_index(
        "ix_occurrences_dirty", table_name="occurrences", postgresql_where=sa.text("dirty")
    )
    op.drop_table("occurrences")
    op.drop_index(op.f("ix_schedules_created_at"), table_name="schedules")
    op.drop_index(
        "ix_schedules_active", table_name="schedules", postgresql_where=sa.text("state = 'active'")
    )
    op.drop_table("schedules")
    op.drop_index("ix_renditions_sha256", table_name="renditions")
    op.drop_table("renditions")
    op.drop_table("outages")
    op.drop_index(
        "uq_installations_open_device",
        table_name="installations",
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.drop_index(
        "uq_installations_open_cluster",
        table_name="installations",
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.drop_index(op.f("ix_installations_cluster_id"), table_name="installations")
    op.drop_table("installations")
    op.drop_index("ix_cluster_villages_village_code", table_name="cluster_villages")
    op.drop_table("cluster_villages")
    op.drop_index("ix_attestations_cluster", table_name="attestations")
    op.drop_table("attestations")
    op.drop_index("ix_approval_steps_revision", table_name="approval_steps")
    op.drop_table("approval_steps")
    op.drop_table("station_states")
    op.drop_table("refusals")
    op.drop_table("receipts")
    op.drop_table("readiness")
    op.drop_index("ix_presence_changes_device", table_name="presence_changes")
    op.drop_table("presence_changes")
    op.drop_index(op.f("ix_plant_states_station_id"), table_name="plant_states")
    op.drop_table("plant_states")
    op.drop_table("journals")
    op.drop_index("ix_journal_records_play", table_name="journal_records")
    op.drop_table("journal_records")
    op.drop_index(
        "uq_faults_open", table_name="faults", postgresql_where=sa.text("closed_at IS NULL")
    )
    op.drop_index("ix_faults_device", table_name="faults")
    op.drop_table("faults")
    op.drop_table("device_presence")
    op.drop_table("command_results")
    op.drop_index(op.f("ix_clusters_plant_id"), table_name="clusters")
    op.drop_table("clusters")
    op.drop_table("bulletin_revisions")
    op.drop_index("ix_boots_received_at", table_name="boots")
    op.drop_table("boots")
    op.drop_table("baseline_stations")
    op.drop_table("village_register")
    op.drop_table("village_exclusions")
    op.drop_table("topology")
    op.drop_index(op.f("ix_stations_commune_code"), table_name="stations")
    op.drop_table("stations")
    op.drop_table("published_content")
    op.drop_index(
        "ix_programme_revisions_occurrences",
        table_name="programme_revisions",
        postgresql_using="gin",
    )
    op.drop_index(op.f("ix_programme_revisions_issued_at"), table_name="programme_revisions")
    op.drop_table("programme_revisions")
    op.drop_index("ix_plays_starts_at", table_name="plays")
    op.drop_index(
        "ix_plays_open",
        table_name="plays",
        postgresql_where=sa.text("state IN ('planned', 'playing')"),
    )
    op.drop_index("ix_plays_cluster", table_name="plays")
    op.drop_table("plays")
    op.drop_index("ix_play_changes_play", table_name="play_changes")
    op.drop_table("play_changes")
    op.drop_table("plants")
    op.drop_table("online_minutes")
    op.drop_table("listening_spans")
    op.drop_index(op.f("ix_idempotency_keys_created_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_table("heartbeats")
    op.drop_index(
        "ix_documents_unpublished",
        table_name="documents",
        postgresql_where=sa.text("published_revision < revision"),
    )
    op.drop_table("documents")
    op.drop_table("dirty_scopes")
    op.drop_table("devices")
    op.drop_index(op.f("ix_dead_letters_received_at"), table_name="dead_letters")
    op.drop_table("dead_letters")
    op.drop_index(op.f("ix_bulletins_created_at"), table_name="bulletins")
    op.drop_table("bulletins")
    op.drop_index("ix_areas_parent_code", table_name="areas")
    op.drop_table("areas")
    op.drop_table("area_lineage")
    op.drop_table("api_tokens")
