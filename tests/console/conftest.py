"""Pages over the application itself, each asked as somebody with a role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2 as httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.api import create_app
from broadcast.auth.permissions import Role
from tests.callers import caller
from tests.web.calling import Known
from tests.web.routes import worked_out

BROWSER = {"Accept": "text/html,application/xhtml+xml"}


class Pages:
    """The pages, as a browser asks for them.

    Attributes:
        app: The application.
        client: Sends what a browser sends; `called_by` says who sits there.
    """

    def __init__(self, settings: config.Settings, engine: AsyncEngine) -> None:
        self.settings = settings
        self.app = worked_out(create_app(settings, engine))
        self._callers = [caller("Tâm", Role.PROVINCE_ADMIN)]
        self.app.add_middleware(Known, callers=self._callers)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://127.0.0.1",
            headers=BROWSER,
        )

    def called_by(self, role: Role, area_code: str | None = None, name: str = "Tâm") -> None:
        """Have every further request be of somebody with this role."""
        self._callers[-1] = caller(name, role, area_code)

    async def load(self, path: str, **query: str) -> httpx.Response:
        """A page."""
        return await self.client.get(path, params=query or None)

    async def submit(self, path: str, **fields: str | list[str]) -> httpx.Response:
        """A form, as HTMX sends it."""
        return await self.client.post(path, data=fields, headers={"HX-Request": "true"})


@pytest.fixture
async def pages(engine: AsyncEngine, postgres_dsn: str, tmp_path: Path) -> AsyncIterator[Pages]:
    """The pages on a fresh database."""
    settings = config.Settings(
        postgres=config.Postgres(dsn=SecretStr(postgres_dsn)), content_dir=tmp_path
    )
    found = Pages(settings, engine)
    async with found.client:
        yield found
    await found.app.state.hub.stop()
