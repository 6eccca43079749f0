"""Changing keys: the first ones, a new one, its use, and the end of an old one.

Each is one transaction under one lock. The leader sees it with its next turn and signs anew what
is concerned (`delivery/dispatcher.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import get_args

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.keys import rows, states
from broadcast.keys.pins import DevicePins, evidence
from broadcast.keys.rows import Known
from broadcast.keys.states import Ring, State
from broadcast.keys.stores import KeyStore
from broadcast.kit.errors import Conflict
from broadcast.kit.locks import Lock, lock
from broadcast.kit.notify import Channel, notify
from broadcast.wire import WireError
from broadcast.wire.documents import Config, PublicKey
from broadcast.wire.envelope import SigningKey, Use, read_own, thumbprint

log = structlog.get_logger()


async def begin(session: AsyncSession, store: KeyStore, now: datetime) -> None:
    """Know the first keys, made where there are none; nothing to do once any are known.

    A database whose devices hold configs of a time before keys were known goes by those: what they
    name is what devices obey, whatever lies on this machine.

    Raises:
        UnusableKey, Unavailable: The store cannot be used.
    """
    await lock(session, Lock.KEYS)
    if (await rows.read(session)).ring:
        return
    pinned = await _named_by_configs(session)
    found = await asyncio.to_thread(store.load)
    if not pinned:
        for use in get_args(Use):
            if all(key.use != use for key in found):
                found.append(await asyncio.to_thread(store.create, use))
                log.info("keys.key.created", use=use, kid=found[-1].kid, place=store.place)
    public = pinned or [key.public() for key in reversed(found)]
    ring: Ring = ()
    for key in public:
        ring = states.announce(ring, key.kid, "alert" if key.use == "alert" else "programme", now)
    await rows.write(session, ring, public)
    if pinned:
        await session.execute(_OLD_CONFIGS, {"kids": [key.kid for key in pinned]})


_OLD_CONFIGS = sa.text("""
    INSERT INTO config_keys (scope, revision, kids)
    SELECT scope, 0, CAST(:kids AS text[]) FROM documents WHERE kind = 'config'
""")


async def _named_by_configs(session: AsyncSession) -> list[PublicKey]:
    """The keys that the newest config names, as far as they can sign."""
    token = await session.scalar(
        sa.text("SELECT token FROM documents WHERE kind = 'config' ORDER BY revision DESC LIMIT 1")
    )
    if token is None:
        return []
    try:
        document = read_own(token)
    except WireError:
        return []
    if not isinstance(document, Config):
        return []
    return [
        key for key in document.keys if key.use in get_args(Use) and key.kid == thumbprint(key.x)
    ]


async def rotate(
    session: AsyncSession, store: KeyStore, uses: Iterable[Use], now: datetime
) -> list[SigningKey]:
    """Make a new key of each use, and announce it.

    Raises:
        Conflict: One of a use is announced already.
        UnusableKey, Unavailable: The store cannot be used.
    """
    known = await _known(session, store, now)
    ring, made = known.ring, []
    for use in uses:
        waiting = states.announced(ring, use)
        if waiting is not None:
            raise Conflict(
                f"Đang đổi khóa {use}: khóa {waiting.kid} đã công bố, chưa ký. Hãy chờ các"
                " thiết bị ghim nó (`broadcast keys status`), hoặc bỏ nó: `broadcast keys retire`."
            )
        key = await asyncio.to_thread(store.create, use)
        ring = states.announce(ring, key.kid, use, now)
        made.append(key)
    await _write(session, ring, [key.public() for key in made])
    return made


async def activate(
    session: AsyncSession, store: KeyStore, kid: str, now: datetime, *, without_waiting: bool
) -> int:
    """Have an announced key sign; returns how many devices will refuse it for a while.

    Raises:
        Conflict: It is not announced; it is not on this machine; devices have not pinned it, and
            nobody has decided to go on without them.
        NotFound: There is none.
    """
    known = await _known(session, store, now)
    key = states.find(known.ring, kid)
    able = {one.kid for one in await asyncio.to_thread(store.load)}
    if key.kid not in able:
        raise Conflict(f"Kho khóa {store.place} không có khóa {key.kid}; hãy khôi phục nó trước.")
    devices = await evidence(session, known.ring)
    waiting = states.waits_for(known.ring, key.kid, (each.evidence for each in devices))
    if waiting and not without_waiting:
        raise Conflict(
            f"{waiting} thiết bị chưa ghim khóa {key.kid} và sẽ từ chối chương trình ký bằng nó"
            " cho tới khi nhận cấu hình. Hãy chờ (máy chủ tự chuyển khi mọi thiết bị đã ghim),"
            " hoặc thêm --without-waiting."
        )
    ring = states.activate(known.ring, key.kid, now)
    await _write(session, ring)
    await _give(session, ring, able, devices, now)
    return waiting


async def retire(session: AsyncSession, store: KeyStore, kid: str, now: datetime) -> None:
    """Have configs name a key no longer, but for those of devices that know nothing newer.

    Raises:
        Conflict: It signs.
        NotFound: There is none.
    """
    known = await _known(session, store, now)
    key = states.find(known.ring, kid)
    ring = states.retire(known.ring, key.kid, now)
    await _write(session, ring)
    able = {one.kid for one in await asyncio.to_thread(store.load)}
    await _give(session, ring, able, await evidence(session, ring), now)


async def adopt(session: AsyncSession, store: KeyStore, now: datetime) -> list[SigningKey]:
    """Know the keys of this machine that the database does not; made where it has none of a use.

    One of them signs at once where the key that ought to is not here. Where it is, they are
    announced: after a restored backup devices may obey one of them and no other.
    """
    await lock(session, Lock.KEYS)
    known = await rows.read(session)
    here = await asyncio.to_thread(store.load)
    for use in get_args(Use):
        if all(key.use != use for key in here):
            here.append(await asyncio.to_thread(store.create, use))
    able = {key.kid for key in here}
    new = [key for key in here if key.kid not in known.public]
    ring = known.ring
    for key in new:
        ring = states.announce(ring, key.kid, key.use, now)
    for gone in states.missing(ring, able):
        there = [
            key for key in ring
            if key.use == gone.use and key.kid in able and key.state is State.ANNOUNCED
        ]  # fmt: skip
        if not there:
            raise Conflict(
                f"Kho khóa {store.place} chỉ có khóa {gone.use} đã thôi dùng; hãy khôi phục khóa"
                f" {gone.kid}, hoặc chuyển các khóa cũ đi nơi khác rồi chạy lại."
            )
        ring = states.activate(ring, there[-1].kid, now)
    await _write(session, ring, [key.public() for key in new])
    await _give(session, ring, able, await evidence(session, ring), now)
    return new


async def step(session: AsyncSession, able: set[str], now: datetime) -> bool:
    """Have announced keys sign that every device has pinned, and give devices keys of their own.

    Args:
        session: Transaction.
        able: Keys of this machine.
        now: The present.

    Returns:
        Whether a key began to sign.
    """
    known = await rows.read(session)
    if len(known.ring) <= len(get_args(Use)) and not known.own:
        return False  # nothing has ever been rotated
    await lock(session, Lock.KEYS)
    known = await rows.read(session)
    ring = known.ring
    wanted = [key.kid for key in ring if key.state in {State.SIGNING, State.ANNOUNCED}]
    devices = await evidence(session, ring, wanted)
    for use in get_args(Use):
        waiting = states.announced(ring, use)
        if waiting is None or waiting.kid not in able:
            continue
        if not states.waits_for(ring, waiting.kid, (each.evidence for each in devices)):
            ring = states.activate(ring, waiting.kid, now)
            log.info("keys.key.activated", use=use, kid=waiting.kid)
    if ring != known.ring:
        await _write(session, ring)
    await _give(session, ring, able, devices, now)
    return ring != known.ring


async def _give(
    session: AsyncSession,
    ring: Ring,
    able: set[str],
    devices: Iterable[DevicePins],
    now: datetime,
) -> None:
    """Give each device the key of its own that it needs, and no other.

    In the transaction of a change: no config may be signed in between that it would refuse.
    """
    for device in devices:
        own = states.own_key(ring, able, device.evidence, device.own)
        if own == device.own:
            continue
        if own is None:
            await session.execute(
                sa.text("DELETE FROM device_keys WHERE device_id = :id"), {"id": device.id}
            )
        else:
            await session.execute(
                _GIVE, {"id": device.id, "kid": own.kid, "signs": own.signs, "now": now}
            )


_GIVE = sa.text("""
    INSERT INTO device_keys (device_id, kid, signs, since) VALUES (:id, :kid, :signs, :now)
    ON CONFLICT (device_id) DO UPDATE
    SET kid = excluded.kid, signs = excluded.signs, since = excluded.since
""")


async def _known(session: AsyncSession, store: KeyStore, now: datetime) -> Known:
    await begin(session, store, now)
    return await rows.read(session)


async def _write(session: AsyncSession, ring: Ring, new: Iterable[PublicKey] = ()) -> None:
    """Store the ring, and wake the leader."""
    await rows.write(session, ring, new)
    await notify(session, Channel.DISPATCH)
