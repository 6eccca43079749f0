"""The rows of keys: read as the rules want them, and written back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.model import Device
from broadcast.keys.model import DeviceKey, KnownKey
from broadcast.keys.states import Key, OwnKey, Ring, State
from broadcast.wire.documents import PublicKey


class Known(NamedTuple):
    """What the database says of keys.

    Attributes:
        ring: All keys.
        public: Their public halves, by id.
        own: Keys of single devices, by scope.
    """

    ring: Ring
    public: dict[str, PublicKey]
    own: dict[str, OwnKey]


async def read(session: AsyncSession) -> Known:
    """All that is known; few rows."""
    keys = (await session.scalars(sa.select(KnownKey).order_by(KnownKey.made_at))).all()
    own = await session.execute(
        sa.select(Device.code, DeviceKey.kid, DeviceKey.signs).join(
            Device, Device.id == DeviceKey.device_id
        )
    )
    return Known(
        ring=tuple(_key(row) for row in keys),
        public={row.kid: PublicKey(kid=row.kid, use=row.use, x=row.x) for row in keys},
        own={f"device/{code}": OwnKey(kid, signs) for code, kid, signs in own},
    )


def _key(row: KnownKey) -> Key:
    return Key(
        kid=row.kid,
        use="alert" if row.use == "alert" else "programme",
        state=row.state,
        made_at=row.made_at,
        signing_at=row.signing_at,
        replaced_at=row.replaced_at,
        retired_at=row.retired_at,
    )


async def write(session: AsyncSession, ring: Ring, public: Iterable[PublicKey]) -> None:
    """Store the states of all keys.

    Args:
        session: Transaction that holds `Lock.KEYS` and has read the ring.
        ring: All keys.
        public: At least those of them that are new.
    """
    x = {key.kid: key.x for key in public}
    # Those that give way first: of each use one signs.
    for key in sorted(ring, key=lambda key: key.state is State.SIGNING):
        row = await session.get(KnownKey, key.kid)
        if row is None:
            session.add(KnownKey(**asdict(key), x=x[key.kid]))
        else:
            for name, value in asdict(key).items():
                setattr(row, name, value)
        await session.flush()
