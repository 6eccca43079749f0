"""The life of a signing key, and which of them signs for whom. Pure.

A device obeys the keys that its config names, and drops every document whose key a config names
no longer (docs/wire.md §5). So a key is changed in three steps, each of which leaves every device
with something that it can verify:

1. **announced**: configs name the new key beside the old one, which signs on;
2. **signing**: the new key signs once every device that was ever heard has pinned it; the old one
   is **replaced**, and still named, because devices hold documents that it signed;
3. **retired**: configs name the old key no longer.

A device that was away meanwhile gets an `OwnKey`: the newest key that it has pinned signs what is
for it alone, first of all the config that names the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from broadcast.kit.errors import Conflict, NotFound
from broadcast.wire.envelope import Use


class State(StrEnum):
    """What a key does; it only ever goes on to a later one."""

    ANNOUNCED = "announced"
    """Configs name it; it signs nothing yet."""
    SIGNING = "signing"
    """It signs; one of each use."""
    REPLACED = "replaced"
    """Configs still name it."""
    RETIRED = "retired"
    """Configs name it no longer, but for those of devices that know nothing newer."""


NAMED = (State.SIGNING, State.ANNOUNCED, State.REPLACED)
"""States in which configs name a key, in the order in which they do."""


@dataclass(frozen=True)
class Key:
    """A key that the installation knows.

    Attributes:
        kid: Its thumbprint.
        use: What it may sign.
        state: What it does.
        made_at: When it became known.
        signing_at: Since when it signs, or did.
        replaced_at: When another took its place.
        retired_at: When configs ceased to name it.
    """

    kid: str
    use: Use
    state: State
    made_at: datetime
    signing_at: datetime | None = None
    replaced_at: datetime | None = None
    retired_at: datetime | None = None


Ring = tuple[Key, ...]
"""All keys that the installation knows."""


# Changes -------------------------------------------------------------------------------------


def announce(ring: Ring, kid: str, use: Use, now: datetime) -> Ring:
    """Know a new key: the first of its use signs at once, any other is announced.

    Raises:
        Conflict: It is known already.
    """
    if any(key.kid == kid for key in ring):
        raise Conflict(f"Khóa {kid} đã có; hãy xem `broadcast keys status`.")
    if any(key.use == use and key.state is State.SIGNING for key in ring):
        return (*ring, Key(kid, use, State.ANNOUNCED, now))
    return (*ring, Key(kid, use, State.SIGNING, now, signing_at=now))


def activate(ring: Ring, kid: str, now: datetime) -> Ring:
    """Have an announced key sign, in the place of the one that did.

    Raises:
        Conflict: It is not announced.
        NotFound: There is none.
    """
    new = find(ring, kid)
    if new.state is not State.ANNOUNCED:
        raise Conflict(
            f"Khóa {kid} không ở trạng thái đã công bố ({new.state}); hãy xem"
            " `broadcast keys status`."
        )

    def changed(key: Key) -> Key:
        if key.kid == kid:
            return replace(key, state=State.SIGNING, signing_at=now)
        if key.use == new.use and key.state is State.SIGNING:
            return replace(key, state=State.REPLACED, replaced_at=now)
        return key

    return tuple(map(changed, ring))


def retire(ring: Ring, kid: str, now: datetime) -> Ring:
    """Have configs name a key no longer.

    Raises:
        Conflict: It signs.
        NotFound: There is none.
    """
    old = find(ring, kid)
    if old.state is State.SIGNING:
        raise Conflict(
            f"Khóa {kid} đang ký; hãy tạo khóa mới bằng `broadcast keys rotate`, và chỉ thôi công"
            " bố khóa cũ khi khóa mới đã ký."
        )
    if old.state is State.RETIRED:
        return ring
    gone = replace(old, state=State.RETIRED, retired_at=now)
    return tuple(gone if key.kid == kid else key for key in ring)


# Questions -----------------------------------------------------------------------------------


def find(ring: Ring, kid: str) -> Key:
    """The key of a thumbprint, or of one that begins so.

    Raises:
        NotFound: There is none, or more than one begins so.
    """
    exact = [key for key in ring if key.kid == kid]
    found = exact or [key for key in ring if kid and key.kid.startswith(kid)]
    if len(found) != 1:
        raise NotFound(f"Không có đúng một khóa “{kid}”; hãy xem `broadcast keys status`.")
    return found[0]


def signing(ring: Ring, use: Use) -> Key | None:
    """The key that signs."""
    return next((key for key in ring if key.use == use and key.state is State.SIGNING), None)


def announced(ring: Ring, use: Use) -> Key | None:
    """The newest key that waits to sign."""
    return next((key for key in _newest(ring, use) if key.state is State.ANNOUNCED), None)


def newest(ring: Ring, use: Use) -> Key | None:
    """The key that devices ought to have pinned: the newest that is not on its way out."""
    return announced(ring, use) or signing(ring, use)


def named(ring: Ring) -> list[str]:
    """The keys that every config names: programme before alert, the one that signs first."""
    order = [key for state in NAMED for key in ring if key.state is state]
    return [key.kid for key in sorted(order, key=lambda key: key.use != "programme")]


def missing(ring: Ring, able: Collection[str]) -> list[Key]:
    """Keys that ought to sign and cannot: this machine has not got them."""
    return [key for key in ring if key.state is State.SIGNING and key.kid not in able]


# Devices -------------------------------------------------------------------------------------


class OwnKey(NamedTuple):
    """A key that one device needs although others do without it."""

    kid: str
    """Its config names it, whatever its state."""
    signs: bool
    """It signs what is for this device alone."""


class Evidence(NamedTuple):
    """What is known of one device.

    Attributes:
        enrolled_at: When it was given its first keys.
        pinned: The keys that its config names, none where we do not know them; None: it has not
            said yet that it holds a config.
        heard: It has connected, ever: it may hold more by now than it has said.
        has_old: It holds documents that a key signed which signs no longer.
        refused: It would not take the config that we have for it, because of its key, since that
            was signed.
    """

    enrolled_at: datetime
    pinned: frozenset[str] | None
    heard: bool = True
    has_old: bool = False
    refused: bool = False


def own_key(
    ring: Ring, able: Collection[str], device: Evidence, present: OwnKey | None
) -> OwnKey | None:
    """What a device needs beside what every device gets.

    Args:
        ring: All keys.
        able: Those that this machine can sign with.
        device: What is known of it.
        present: What it has been given up to now.
    """
    signer = signing(ring, "programme")
    if signer is None:
        return None
    pinned = device.pinned
    if pinned is None:
        pinned = frozenset([_given(ring, device.enrolled_at)])
    candidates = [key for key in _candidates(ring) if key.kid in able]
    if device.refused and candidates:
        # What we believe of it is wrong: its flash was lost, or our database is an old one.
        return _next(candidates, present.kid if present and present.signs else signer.kid, signer)
    if device.pinned is None and present is not None and present.signs:
        return present  # found out by its refusals; nothing says otherwise
    if signer.kid in pinned:
        old = [key for key in candidates if key.state is State.RETIRED and key.kid in pinned]
        return OwnKey(old[0].kid, signs=False) if old and device.has_old else None
    usable = [key for key in candidates if key.kid in pinned]
    return OwnKey(usable[0].kid, signs=True) if usable else None


def _next(candidates: list[Key], tried: str, signer: Key) -> OwnKey | None:
    """The key to try after one that was refused; None: the one that signs for all."""
    kids = [key.kid for key in candidates]
    index = kids.index(tried) + 1 if tried in kids else 0
    kid = kids[index % len(kids)]
    return None if kid == signer.kid else OwnKey(kid, signs=True)


def waits_for(ring: Ring, kid: str, devices: Iterable[Evidence]) -> int:
    """How many devices might refuse what a key signs: all that have not said that they pinned it.

    But for those that were never heard: they follow nothing before they hold a config, they say so
    first of all, and what is for them alone is signed as they need.
    """
    find(ring, kid)
    return sum(device.heard and kid not in (device.pinned or ()) for device in devices)


def _given(ring: Ring, at: datetime) -> str:
    """The programme key that a device was given that was enrolled at a moment.

    The first one to devices that were enrolled before keys were known at all.
    """
    signed = [key for key in ring if key.use == "programme" and key.signing_at is not None]
    signed.sort(key=lambda key: key.signing_at or at)
    before = [key for key in signed if key.signing_at is not None and key.signing_at <= at]
    return (before or signed[:1])[-1].kid


def _candidates(ring: Ring) -> list[Key]:
    """Programme keys by how likely a device obeys them."""
    order = _newest(ring, "programme")
    return [*(k for k in order if k.state is State.SIGNING),
            *(k for k in order if k.state is not State.SIGNING)]  # fmt: skip


def _newest(ring: Ring, use: Use) -> list[Key]:
    of_use = [key for key in ring if key.use == use]
    return sorted(of_use, key=lambda key: (key.made_at, key.kid), reverse=True)
