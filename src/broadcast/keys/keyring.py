"""The keys that one process signs with, held against those that the installation knows.

The database says which key signs; the store has the private halves. Where the store lacks a key
that ought to sign, this machine is a stranger to the devices: it signs nothing, says why, and goes
on with everything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.keys import changes, rows, states
from broadcast.keys.rows import Known
from broadcast.keys.states import Key
from broadcast.keys.stores import KeyStore, open_store
from broadcast.kit import db
from broadcast.kit.errors import BroadcastError, Unavailable
from broadcast.wire.documents import PublicKey
from broadcast.wire.envelope import SigningKey

log = structlog.get_logger()


@dataclass(frozen=True)
class OwnKeys:
    """What one device needs beside what all get.

    Attributes:
        named: Its config names this key as well.
        signer: Signs what is for it alone; None: the one that signs for all.
    """

    named: PublicKey
    signer: SigningKey | None


@dataclass(frozen=True)
class Keys:
    """What is signed with at a moment.

    Attributes:
        programme: Signs programmes, configs and commands.
        alert: Signs alerts and live sessions, and nothing else.
        named: Keys that every config names.
        own: Exceptions, by scope of the device.
        unknown: Keys of this machine that the database does not know; they sign nothing.
    """

    programme: SigningKey
    alert: SigningKey
    named: tuple[PublicKey, ...]
    own: Mapping[str, OwnKeys] = field(default_factory=dict)
    unknown: tuple[PublicKey, ...] = ()

    def signer(self, scope: str, kind: str = "") -> SigningKey:
        """The key that signs a document of a kind, or a command, of a scope."""
        if kind in {"alerts", "live"}:
            return self.alert
        own = self.own.get(scope)
        return own.signer if own and own.signer else self.programme

    def named_to(self, scope: str) -> list[PublicKey]:
        """The keys that the config of a device names."""
        own = self.own.get(scope)
        more = [own.named] if own and own.named not in self.named else []
        return [*self.named, *more]

    def trusted(self) -> list[PublicKey]:
        """Keys by which a document that the broker retains is one of ours.

        Those of this machine that a restored database does not know yet are among them: what they
        signed is newer than it.
        """
        own = {each.named.kid: each.named for each in self.own.values()}
        return [*self.named, *self.unknown, *own.values()]


class Keyring:
    """The keys of one process.

    Attributes:
        trouble: Why nothing can be signed, and what to do; empty: it can.
    """

    def __init__(self, store: KeyStore) -> None:
        self.trouble = "khóa ký chưa được đọc; chờ cơ sở dữ liệu"
        self._store = store
        self._here: dict[str, SigningKey] = {}
        self._looked_for: set[str] = set()
        """Keys that were known when the store was last read."""
        self._keys: Keys | None = None

    @property
    def keys(self) -> Keys:
        """The keys.

        Raises:
            Unavailable: Nothing can be signed; says why.
        """
        if self._keys is None:
            raise Unavailable(self.trouble)
        return self._keys

    @property
    def usable(self) -> bool:
        """Something can be signed."""
        return self._keys is not None

    @property
    def able(self) -> set[str]:
        """Ids of the keys of this machine."""
        return set(self._here)

    async def refresh(self, engine: AsyncEngine, now: datetime) -> None:
        """Go by what the database says now; at the very first start, make the keys."""
        async with db.transaction(engine) as session:
            known = await rows.read(session)
        try:
            if not known.ring:
                async with db.transaction(engine) as session:
                    await changes.begin(session, self._store, now)
                    known = await rows.read(session)
            await self.accept(known)
        except BroadcastError as error:
            self._stop(error.detail)

    async def accept(self, known: Known) -> None:
        """Go by this; the store is read where more is needed of it than is at hand.

        Raises:
            UnusableKey, Unavailable: The store cannot be used.
        """
        await self._load(known)
        self._take(known)

    async def _load(self, known: Known) -> None:
        """Read the store again where it ought to have others than it had."""
        kids = {key.kid for key in known.ring}
        needed = {key.kid for key in known.ring if key.state is states.State.SIGNING}
        needed |= {own.kid for own in known.own.values() if own.signs}
        if kids == self._looked_for and needed <= self._here.keys():
            return
        self._here = {key.kid: key for key in await asyncio.to_thread(self._store.load)}
        self._looked_for = kids
        for kid in sorted(self._here.keys() - kids):
            log.warning("keys.key.unknown", kid=kid, place=self._store.place)

    def _take(self, known: Known) -> None:
        missing = states.missing(known.ring, self._here)
        programme = states.signing(known.ring, "programme")
        alert = states.signing(known.ring, "alert")
        if missing or programme is None or alert is None:
            self._stop(stranger(missing, self._store.place, len(self._here)))
            return
        own = {
            scope: OwnKeys(
                known.public[each.kid], self._here.get(each.kid) if each.signs else None
            )
            for scope, each in known.own.items()
        }
        named = tuple(known.public[kid] for kid in states.named(known.ring))
        unknown = tuple(key.public() for kid, key in self._here.items() if kid not in known.public)
        keys = Keys(self._here[programme.kid], self._here[alert.kid], named, own, unknown)
        if self.trouble:
            log.info("keys.ready", programme=programme.kid, alert=alert.kid)
        self.trouble = ""
        if keys != self._keys:
            self._keys = keys

    def _stop(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.error("keys.unusable", detail=trouble)
        self.trouble, self._keys = trouble, None


async def first_keys(engine: AsyncEngine, settings: config.Keys, now: datetime) -> list[PublicKey]:
    """Know the first keys, as the first start does, and return what devices pin."""
    async with db.transaction(engine) as session:
        await changes.begin(session, open_store(settings), now)
        known = await rows.read(session)
    return [known.public[kid] for kid in states.named(known.ring)]


def stranger(missing: list[Key], place: str, count: int) -> str:
    """Why a machine must not sign, and what to do."""
    names = ", ".join(f"{key.kid} ({key.use})" for key in missing) or "nào"
    has = f"có {count} khóa khác" if count else "trống"
    return (
        f"Máy này không có khóa ký mà thiết bị nghe theo: {names}; kho khóa {place} {has}."
        " Thiết bị sẽ từ chối mọi khóa lạ nên máy chủ không ký gì: hãy khôi phục kho khóa từ bản"
        " sao lưu. Chỉ khi khóa đã mất hẳn mới chạy `broadcast keys adopt`, rồi đăng"
        " ký lại từng thiết bị"
    )
