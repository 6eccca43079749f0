"""Commands that change something: in one transaction with their entry in the audit."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.audit.entry import MOST_OBJECT, Who
from broadcast.audit.recording import Record, origin, printable
from broadcast.kit import cli, clock

T = TypeVar("T")


def change(command: str, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """Do some work in one transaction, by the user of the operating system who typed `command`.

    Args:
        command: As it is typed, without its arguments: `broadcast areas import`.
        work: In the transaction given.
    """
    record = Record(command, origin=origin(socket.gethostname(), ""))
    record.who = operator()

    async def recorded(session: AsyncSession) -> T:
        record.begin(session)
        done = await work(session)
        await record.write(session, clock.now())
        return done

    return cli.run(recorded, may_write=True)


def operator() -> Who:
    """The user of the operating system, and who became them by sudo."""
    number = os.geteuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:  # as in a container
        name = str(number)
    before = os.environ.get("SUDO_USER")
    named = name if before in {None, name} else f"{before} (sudo {name})"
    return Who(printable(named, MOST_OBJECT), credential=f"os/{number}")
