"""Callers of use cases, in tests that are about something else than accounts."""

from __future__ import annotations

import zlib

from broadcast.auth.caller import Caller, HeldRole
from broadcast.auth.permissions import Role


def caller(name: str, role: Role, area_code: str | None = None) -> Caller:
    """A caller with one role; the same name is the same account."""
    account_id = zlib.crc32(name.encode()) % 2**31
    return Caller(account_id, name, f"token/{account_id}", (HeldRole(role, area_code),))
