"""`make migration m="what changes"`: a new revision from the difference of models and schema."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command

from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import db


def main(message: str) -> None:
    """Write the revision; read it before you commit it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder) / "postgres", durable=False) as server,
    ):
        asyncio.run(db.migrate(server.dsn))
        command.revision(db.alembic_config(server.dsn), message, autogenerate=True)


if __name__ == "__main__":
    main(sys.argv[1])
