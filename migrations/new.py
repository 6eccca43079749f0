"""`make migration m="what changes"`: a new revision from the difference of models and schema."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import Script

from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import db


def main(message: str) -> None:
    """Write the next revision; read it before you commit it, and say in it why."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder) / "postgres", durable=False) as server,
    ):
        asyncio.run(db.migrate(server.dsn))
        number = int(db.newest_revision() or 0) + 1
        config = db.alembic_config(server.dsn)
        made = command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")
    assert isinstance(made, Script)
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", made.path], check=True)  # noqa: S603


if __name__ == "__main__":
    main(sys.argv[1])
