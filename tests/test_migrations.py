"""The migrations make the schema that the models describe, and can be undone."""

from __future__ import annotations

import asyncio

import pytest
from alembic import command

from broadcast import db
from broadcast.embedded.postgres import EmbeddedPostgres


@pytest.mark.postgres
def test_the_migrations_make_what_the_models_describe(postgres: EmbeddedPostgres) -> None:
    dsn = postgres.create_database("migrated")
    asyncio.run(db.migrate(dsn))
    asyncio.run(db.migrate(dsn))
    command.check(db.alembic_config(dsn))
    command.downgrade(db.alembic_config(dsn), "base")
    asyncio.run(db.migrate(dsn))
    command.check(db.alembic_config(dsn))
    postgres.drop_database("migrated")
