"""What was revoked stays revoked: a list beside the keys, which no restore sets back.

The leader writes it with each mark, of the same transaction: where the mark beside the keys is not
behind the database, the list is complete. It holds digests and names, no secret.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.backup.manifest import REVOKED
from broadcast.restore import mark, state
from broadcast.restore.mark import Mark
from broadcast.restore.model import Cause

log = structlog.get_logger()


class _Revocable(NamedTuple):
    """Rows that can be revoked.

    Attributes:
        table: Its name.
        key: Expression that names a row in every copy of the database: no number, which another
            row may get after a restore.
        revoked: Condition of those that are.
        revoke: Assignment that revokes one.
    """

    table: str
    key: str
    revoked: str
    revoke: str


_AT = "revoked_at = COALESCE(revoked_at, :now)"
_REVOCABLE = {
    "tokens": _Revocable("api_tokens", "token_sha256", "revoked_at IS NOT NULL", _AT),
    "grants": _Revocable(
        "grants",
        "concat_ws('/', account_id, role, area_code, extract(epoch FROM granted_at))",
        "revoked_at IS NOT NULL",
        _AT,
    ),
    "accounts": _Revocable(
        "accounts",
        "concat_ws('/', id, extract(epoch FROM created_at))",
        "state = 'disabled'",
        "state = 'disabled'",
    ),
    "certificates": _Revocable("device_certificates", "serial", "revoked_at IS NOT NULL", _AT),
    "recovery_codes": _Revocable(
        "recovery_codes",
        "recovery_sha256",
        "used_at IS NOT NULL",
        "used_at = COALESCE(used_at, :now)",
    ),
    "device_passwords": _Revocable("device_passwords", "hash", "revoked_at IS NOT NULL", _AT),
}
"""By their name in the list."""

PASSWORDS = "passwords"
"""Name in the list of the passwords that are valid: a changed one must not become valid again."""
_PASSWORD = "concat_ws('/', account_id, extract(epoch FROM changed_at))"  # noqa: S105  no secret

List = dict[str, list[str]]

_READ = {
    name: sa.text(f"SELECT {each.key} FROM {each.table} WHERE {each.revoked} ORDER BY 1")  # noqa: S608
    for name, each in _REVOCABLE.items()
}
_REVOKE = {
    name: sa.text(
        f"UPDATE {each.table} SET {each.revoke}"  # noqa: S608  made of constants
        f" WHERE {each.key} = ANY (CAST(:keys AS text[])) AND NOT ({each.revoked})"
    )
    for name, each in _REVOCABLE.items()
}
_READ_PASSWORDS = sa.text(f"SELECT {_PASSWORD} FROM passwords ORDER BY 1")  # noqa: S608
_FORGET_PASSWORDS = sa.text(
    f"DELETE FROM passwords WHERE {_PASSWORD} <> ALL (CAST(:keys AS text[]))"  # noqa: S608
)
_END_SESSIONS = sa.text("UPDATE sessions SET ended_at = :now WHERE ended_at IS NULL")
_END_LINKS = sa.text("UPDATE one_time_links SET used_at = :now WHERE used_at IS NULL")
_END_TOKENS = sa.text("UPDATE api_tokens SET revoked_at = :now WHERE revoked_at IS NULL")

_MOMENT = sa.bindparam("now", type_=sa.DateTime(timezone=True))


def path(keys: config.Keys) -> Path:
    """Path of the list."""
    return keys.dir / REVOKED


async def revoked(session: AsyncSession) -> List:
    """All that is revoked, as the database has it."""
    found = {name: list(await session.scalars(_READ[name])) for name in _REVOCABLE}
    return found | {PASSWORDS: list(await session.scalars(_READ_PASSWORDS))}


def write(file: Path, revoked: List) -> None:
    """Replace the list, if it says something else.

    Raises:
        OSError: It cannot be written.
    """
    text = msgspec.json.encode(revoked) + b"\n"
    if file.exists() and file.read_bytes() == text:
        return
    draft = file.with_name(f".{file.name}")
    with draft.open("wb") as out:
        draft.chmod(0o600)
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)


def read(file: Path) -> List | None:
    """The list; None where there is none, or it is damaged.

    Raises:
        OSError: It is there and cannot be read.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=List)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        log.warning("restore.revoked.unreadable", file=str(file), error=str(error))
        return None


def is_complete(stored: Mark | None, beside: Mark | None) -> bool:
    """Tell whether the list beside the keys names all that was revoked after the backup.

    The file may be one behind a database that nobody has set back.
    """
    return (
        stored is not None
        and beside is not None
        and stored.installation == beside.installation
        and stored.number <= beside.number + 1
    )


async def notice(session: AsyncSession, keys: config.Keys, now: datetime) -> bool:
    """Open a restore where the marks show one, and have what was revoked stay so.

    Every process does this before it works. Where nobody can know what was revoked after the
    backup, as on a new machine, all tokens end.

    Returns:
        Whether a restore is open.

    Raises:
        OSError: The files beside the keys cannot be read.
    """
    beside, stored = mark.read(mark.path(keys)), await mark.stored(session)
    is_behind = beside is not None and mark.is_behind(stored, beside)
    if is_behind:
        await state.begin(session, Cause.MARK, now)
    restore = await state.open_restore(session, lock=True)
    if restore is None:
        return False
    if restore.credentials is None:
        complete = is_complete(stored, beside)
        await _hold(session, read(path(keys)) or {}, now, complete=complete)
        restore.credentials = "listed" if complete else "ended"
        log.warning("restore.credentials", outcome=restore.credentials)
    if is_behind and beside is not None:
        # What the mark said is known by now; it grows again from there.
        await mark.advance(session, now, least=beside.number)
    return True


async def _hold(session: AsyncSession, listed: List, now: datetime, *, complete: bool) -> None:
    """Revoke what is listed. Sessions and links are short-lived: all end, whatever is listed."""
    for name in listed.keys() & _REVOKE.keys():
        await session.execute(_REVOKE[name], {"keys": listed[name], "now": now})
    for statement in (_END_SESSIONS, _END_LINKS, *(() if complete else (_END_TOKENS,))):
        await session.execute(statement.bindparams(_MOMENT), {"now": now})
    if complete and PASSWORDS in listed:
        await session.execute(_FORGET_PASSWORDS, {"keys": listed[PASSWORDS]})
