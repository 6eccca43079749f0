"""Keys that lie in memory alone."""

from __future__ import annotations

from datetime import UTC, datetime

from broadcast.keys import states
from broadcast.keys.keyring import Keyring
from broadcast.keys.rows import Known
from broadcast.wire.envelope import SigningKey, Use

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class MemoryStore:
    """A store whose keys end with the test."""

    place = "bộ nhớ"

    def __init__(self, *keys: SigningKey) -> None:
        self.all = list(keys)

    def load(self) -> list[SigningKey]:
        return list(self.all)

    def create(self, use: Use) -> SigningKey:
        self.all.append(SigningKey.generate(use))
        return self.all[-1]


async def keyring(*keys: SigningKey) -> Keyring:
    """A keyring that signs with these, of which it has not yet heard from a database."""
    store = MemoryStore(*(keys or map(SigningKey.generate, ("programme", "alert"))))
    ring: states.Ring = ()
    for key in store.all:
        ring = states.announce(ring, key.kid, key.use, LONG_AGO)
    made = Keyring(store)
    await made.accept(Known(ring, {key.kid: key.public() for key in store.all}, {}))
    return made
