"""Whose request it is, in tests that are about something else than tokens."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Role
from tests.callers import caller

MONITOR = caller("Tâm", Role.PROVINCE_MONITOR)


class Known:
    """Middleware after which every request is of the last of some callers."""

    def __init__(self, app: ASGIApp, callers: Sequence[Caller]) -> None:
        self.app = app
        self.callers = callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["caller"] = self.callers[-1]
        await self.app(scope, receive, send)


def called_by(app: FastAPI, caller: Caller) -> None:
    """Have every request be of this caller."""
    app.add_middleware(Known, callers=[caller])
