"""Words of a text before it is a bulletin: what the station of a unit would say, and why."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins import station_lexicon
from broadcast.bulletins.speech.script import script_of

if TYPE_CHECKING:  # the server starts before the patterns of reading are made
    from broadcast.bulletins.speech.reading import Part, Readings


class Words(NamedTuple):
    """Script of a text, and the parts of each of its lines."""

    script: str
    lines: list[tuple[Part, ...]]


async def preview(
    session: AsyncSession, caller: Caller, area_code: str, text: str, on: date
) -> Words:
    """Read a text as the station of a unit would on a day; nothing is stored.

    Raises:
        NotFound: Nobody in the caller's places hears that station.
        InvalidInput: The text cannot be read, and why.
    """
    await scope.require_heard(session, caller, Permission.CONTENT_READ, area_code)
    readings = await station_lexicon.readings(session, area_code, on)
    return await asyncio.to_thread(_read, text, readings)


def _read(text: str, readings: Readings) -> Words:
    script = script_of(text, readings)  # refuses what is too long before it is taken apart
    from broadcast.bulletins.speech.reading import parts  # noqa: PLC0415

    return Words(script, parts(text, readings))
