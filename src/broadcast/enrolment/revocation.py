"""What the broker must know of who may connect: kept in the database, written to its files.

Done again and again by the leader. Whatever is done twice ends in the same files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
import structlog
from cryptography import x509
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.devices.model import Device, Installation
from broadcast.enrolment import authority_files, broker_files
from broadcast.enrolment.authority import Revoked, pem
from broadcast.enrolment.broker_files import PASSWORDS, REVOCATION_LIST, REVOKED
from broadcast.enrolment.model import Because, Certificate, Password, RevocationList
from broadcast.kit import db

log = structlog.get_logger()

EVERY = timedelta(seconds=10)
"""What was revoked must be without rights within a minute, the broker's reload included."""

RENEW_LIST_AFTER = timedelta(days=1)

KEPT_LISTS = 10

LONGEST_LIFE = timedelta(days=397)
"""Of a device's certificate (BROADCAST_ENROLMENT__CERTIFICATE_DAYS): no longer need a list name
one that the database does not know."""


async def refresh(engine: AsyncEngine, settings: config.Enrolment, now: datetime) -> list[str]:
    """Bring the broker's files up to date; returns the names of those that changed.

    Where there is no authority of devices, nobody can have a certificate, and nothing is done.

    Raises:
        OSError: A file cannot be written.
        BroadcastError: The authority cannot be used.
    """
    if not (settings.authority_dir / f"{authority_files.DEVICE_CA}.crt").exists():
        return []
    told = await asyncio.to_thread(_read, settings.broker_dir / REVOCATION_LIST)
    async with db.transaction(engine) as session:
        await _revoke_retired(session, now)
        newest = await session.scalar(
            sa.select(RevocationList).order_by(RevocationList.number.desc()).limit(1)
        )
        listed = _listed(told) | ({} if newest is None else _listed(newest.pem.encode()))
        await _keep_revoked(session, listed, now)
        newest = await _revocation_list(session, settings, newest, listed, now)
        files = {
            REVOCATION_LIST: newest.pem.encode(),
            PASSWORDS: "".join(await _passwords(session)).encode(),
            REVOKED: "".join(await _restricted(session, now)).encode(),
        }
    changed = await asyncio.to_thread(_write, settings.broker_dir, files, now)
    if changed:
        log.info("enrolment.broker.told", files=changed)
    return changed


def _write(folder: Path, files: Mapping[str, bytes], now: datetime) -> list[str]:
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    return broker_files.write(folder, files, now)


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _listed(pem: bytes) -> dict[int, datetime]:
    """What a list names, and since when; nothing where it cannot be read."""
    try:
        listed = x509.load_pem_x509_crl(pem)
    except ValueError:
        return {}
    return {each.serial_number: each.revocation_date_utc for each in listed}


async def _revoke_retired(session: AsyncSession, now: datetime) -> None:
    """What a device that was retired could connect with ends."""
    retired = sa.select(Device.id).where(Device.retired_at.is_not(None))
    await session.execute(
        sa.update(Certificate)
        .where(
            Certificate.device_id.in_(retired),
            Certificate.revoked_at.is_(None),
            Certificate.expires_at > now,
        )
        .values(revoked_at=now, revoked_because=Because.RETIRED)
    )
    await session.execute(
        sa.update(Password)
        .where(Password.device_id.in_(retired), Password.revoked_at.is_(None))
        .values(revoked_at=now)
    )


async def _keep_revoked(session: AsyncSession, listed: Collection[int], now: datetime) -> None:
    """What the broker was told is revoked stays so, also in a database that is older than that."""
    again = await session.execute(
        sa.update(Certificate)
        .where(Certificate.serial.in_(map(_hex, listed)), Certificate.revoked_at.is_(None))
        .values(revoked_at=now, revoked_because=Because.ORDERED)
        .returning(Certificate.serial)
    )
    for (serial,) in again:
        log.warning("enrolment.certificate.revoked_again", serial=serial)


async def _revocation_list(
    session: AsyncSession,
    settings: config.Enrolment,
    newest: RevocationList | None,
    listed: Mapping[int, datetime],
    now: datetime,
) -> RevocationList:
    """The newest list: a new one where it is a day old or names others than are revoked."""
    known = set(
        await session.scalars(
            sa.select(Certificate.serial).where(Certificate.serial.in_(map(_hex, listed)))
        )
    )
    revoked = {
        serial: at
        for serial, at in listed.items()
        if _hex(serial) not in known and now - at < LONGEST_LIFE
    }
    rows = await session.scalars(
        sa.select(Certificate).where(
            Certificate.revoked_at.is_not(None), Certificate.expires_at > now
        )
    )
    revoked |= {int(row.serial, 16): row.revoked_at or now for row in rows}
    if (
        newest is not None
        and now - newest.issued_at < RENEW_LIST_AFTER
        and revoked.keys() == _listed(newest.pem.encode()).keys()
    ):
        return newest
    number = 1 if newest is None else newest.number + 1
    signed = authority_files.devices(settings).revocation_list(
        [Revoked(serial, at) for serial, at in sorted(revoked.items())], number, now
    )
    row = RevocationList(
        number=number, pem=pem(signed), issued_at=now, expires_at=signed.next_update_utc
    )
    session.add(row)
    await session.flush()
    await session.execute(
        sa.delete(RevocationList).where(RevocationList.number <= number - KEPT_LISTS)
    )
    return row


def _hex(serial: int) -> str:
    return f"{serial:X}"


async def _passwords(session: AsyncSession) -> list[str]:
    rows = await session.execute(
        sa.select(Device.code, Password.hash)
        .join(Device, Device.id == Password.device_id)
        .where(Password.revoked_at.is_(None))
        .order_by(Device.code)
    )
    return [f"{code}:{hashed}\n" for code, hashed in rows]


async def _restricted(session: AsyncSession, now: datetime) -> list[str]:
    """Devices with fewer rights than their credential has.

    `closed`: retired, or everything was taken back that they could connect with. `own`: taken down
    from a cluster and on none since.
    """
    had = sa.select(Certificate.device_id).union(sa.select(Password.device_id)).subquery()
    has = (
        sa.select(Certificate.device_id)
        .where(Certificate.revoked_at.is_(None), Certificate.expires_at > now)
        .union(sa.select(Password.device_id).where(Password.revoked_at.is_(None)))
        .subquery()
    )
    of_device = Installation.device_id == Device.id
    rows = await session.execute(
        sa.select(
            Device.code,
            sa.or_(Device.retired_at.is_not(None), Device.id.not_in(sa.select(has.c.device_id))),
        )
        .where(
            Device.id.in_(sa.select(had.c.device_id)),
            sa.or_(
                Device.retired_at.is_not(None),
                Device.id.not_in(sa.select(has.c.device_id)),
                sa.and_(
                    sa.exists().where(of_device),
                    ~sa.exists().where(of_device, Installation.removed_at.is_(None)),
                ),
            ),
        )
        .order_by(Device.code)
    )
    return [f"{code} {'closed' if closed else 'own'}\n" for code, closed in rows]
