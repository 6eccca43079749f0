"""The likely cause of an incident, from what its devices reported before and after.

Pure. A device that lost its power reports it in its last message, shows it in its last heartbeat,
or comes back with a cold boot; one that only lost its network comes back without having booted.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from broadcast.incidents.grouping import Group, Kind


class Evidence(StrEnum):
    """Evidence on one loss of contact, from the device itself."""

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
    """Something that the devices of an area share, unknown."""
    DEVICE = "device"


BOOTS = {
    "power_on": Evidence.POWER,
    "reconnect": Evidence.NETWORK,
    "reset": Evidence.BOX,
    "update": Evidence.BOX,
}
"""Reason of the first boot after a loss of contact → evidence."""

DECISIVE_RATIO = 0.2
"""Part of the devices whose evidence decides: many boxes have no battery for a last message, and
all that lost power together lost it for one reason."""


def of_loss(*, power_lost: bool, on_mains: bool | None, boot_reason: str | None) -> Evidence:
    """Evidence on one loss of contact.

    Args:
        power_lost: The device reported the loss of its power at that time.
        on_mains: By its last heartbeat.
        boot_reason: Of the first boot after the loss, None while the device is down or when it
            came back without one.
    """
    if power_lost or on_mains is False:
        return Evidence.POWER
    return BOOTS.get(boot_reason or "", Evidence.NONE)


def likely(group: Group, known: Iterable[Evidence]) -> Cause:
    """The likely cause of an incident of a group, from the evidence on each of its losses.

    The devices' evidence goes before what they have in common; a power feed and an operator are
    causes in themselves until the devices report otherwise.
    """
    losses = list(known)
    power, network = losses.count(Evidence.POWER), losses.count(Evidence.NETWORK)
    decisive = max(power, network) >= DECISIVE_RATIO * len(losses)
    if decisive and power != network:
        return Cause.POWER if power > network else Cause.NETWORK
    if group.kind is Kind.DEVICE:
        return Cause.DEVICE
    return {Kind.POWER_FEED: Cause.POWER, Kind.OPERATOR: Cause.NETWORK}.get(group.kind, Cause.AREA)
