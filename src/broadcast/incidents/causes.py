"""The likely cause of an incident, from what its devices said before and after.

Pure. A device that lost its power says so with its last breath, shows it in its last heartbeat,
or comes back with a cold boot; one that only lost its network comes back without having booted.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from broadcast.incidents.grouping import Group, Kind


class Evidence(StrEnum):
    """What one fall is known to be, by the device's own word."""

    POWER = "power"
    NETWORK = "network"
    BOX = "box"
    """It restarted by itself or for an update."""
    NONE = "none"


class Cause(StrEnum):
    """The likely cause of an incident."""

    POWER = "power"
    NETWORK = "network"
    AREA = "area"
    """Something that the devices of an area share; not known what."""
    DEVICE = "device"


BOOTS = {
    "power_on": Evidence.POWER,
    "reconnect": Evidence.NETWORK,
    "reset": Evidence.BOX,
    "update": Evidence.BOX,
}
"""Reason of the first boot after a fall → what the fall was."""

TELLING_RATIO = 0.2
"""Part of the devices whose word decides: many boxes have no battery for a last breath, and all
that lost power together lost it for one reason."""


def of_fall(*, power_lost: bool, on_mains: bool | None, boot_reason: str | None) -> Evidence:
    """What one fall is known to be.

    Args:
        power_lost: The device reported the loss of its power when it fell.
        on_mains: By its last heartbeat.
        boot_reason: Of the first boot after the fall, None while the device is down or when it
            came back without one.
    """
    if power_lost or on_mains is False:
        return Evidence.POWER
    return BOOTS.get(boot_reason or "", Evidence.NONE)


def likely(group: Group, known: Iterable[Evidence]) -> Cause:
    """The likely cause of an incident of a group, from what each of its falls is known to be.

    What the devices say goes before what they have in common; a power feed and an operator are
    causes in themselves until the devices say otherwise.
    """
    falls = list(known)
    power, network = falls.count(Evidence.POWER), falls.count(Evidence.NETWORK)
    telling = max(power, network) >= TELLING_RATIO * len(falls)
    if telling and power != network:
        return Cause.POWER if power > network else Cause.NETWORK
    if group.kind is Kind.DEVICE:
        return Cause.DEVICE
    return {Kind.POWER_FEED: Cause.POWER, Kind.OPERATOR: Cause.NETWORK}.get(group.kind, Cause.AREA)
