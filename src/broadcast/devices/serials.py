"""Serial numbers: one box of a model is one device in use."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.model import Device
from broadcast.devices.schemas import NewDeviceIn
from broadcast.kit.codes import as_in_spreadsheet, refuse_changed
from broadcast.kit.errors import InvalidInput


class Plate(NamedTuple):
    """Model and serial number on a box, with the code of the device."""

    code: str
    model: str
    serial: str

    @classmethod
    def of(cls, device: Device | NewDeviceIn) -> Plate:
        """The plate of a device."""
        return cls(device.code, device.model, device.serial)


class KnownSerials:
    """The serial numbers of devices in use.

    A number is a maker's, so two models may bear the same; where a model is not known it is taken
    for the same. Neither blanks nor case count, nor what a spreadsheet makes of a number. Empty
    serials are not known and resemble nothing.
    """

    def __init__(self, plates: Iterable[Plate]) -> None:
        self._plates: dict[str, dict[str, Plate]] = {}
        for plate in plates:
            self._keep(plate)

    def admit(self, plate: Plate, before: Plate | None = None) -> None:
        """Add a device, new or changed; one whose plate stays as it was is not checked.

        Args:
            plate: What is to be stored.
            before: What is stored of the device.

        Raises:
            InvalidInput: A spreadsheet has changed the number, or another device bears it
                (`device`).
        """
        if before is not None and plate == before:
            return
        if before is not None:
            self._plates.get(_key(before.serial), {}).pop(before.code, None)
        if not plate.serial:
            return
        refuse_changed("serial", "số sê-ri", plate.serial)
        for other in self._plates.get(_key(plate.serial), {}).values():
            if other.code != plate.code and _may_be_one(plate.model, other.model):
                whose = f" kiểu “{other.model}”" if other.model else ""
                raise InvalidInput(
                    "serial",
                    f"số sê-ri “{plate.serial}” đã là của thiết bị {other.code}{whose}; nếu là một"
                    f" thiết bị thì dùng mã {other.code} (hoặc ngừng dùng mã đó trước), nếu khác"
                    " thì xem lại số trên thân máy; chưa biết thì để trống",
                    device=other.code,
                )
        self._keep(plate)

    def _keep(self, plate: Plate) -> None:
        if plate.serial:
            self._plates.setdefault(_key(plate.serial), {})[plate.code] = plate


async def known_serials(session: AsyncSession, but: Collection[str] = ()) -> KnownSerials:
    """Those of all devices that were not retired: a box that is repaired may get a new code.

    `but`: codes whose plates are about to change together.
    """
    rows = sa.select(Device.code, Device.model, Device.serial).where(
        Device.retired_at.is_(None), Device.serial != ""
    )
    found = [Plate(*row) for row in await session.execute(rows)]
    return KnownSerials(plate for plate in found if plate.code not in but)


def _key(serial: str) -> str:
    return as_in_spreadsheet("".join(serial.split()))


def _may_be_one(model: str, other: str) -> bool:
    one, two = ("".join(each.casefold().split()) for each in (model, other))
    return not one or not two or one == two
