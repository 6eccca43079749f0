"""Enrolling devices and installing them on clusters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Topology
from broadcast.areas.row_imports import import_files
from broadcast.devices.enrolment import change, enrol, find_device, retire
from broadcast.devices.imports import devices_kind
from broadcast.devices.installations import install, remove
from broadcast.devices.model import Device, Installation
from broadcast.devices.schemas import NewDeviceIn
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.stations.clusters import find_cluster
from broadcast.stations.imports import KINDS
from broadcast.stations.model import Cluster
from broadcast.wire.fields import Codec
from tests.stations import sample

MORNING = datetime(2024, 8, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def facts(code: str, volume: int = 70) -> NewDeviceIn:
    codecs = {Codec.OPUS, Codec.MP3}
    return NewDeviceIn(
        code=code, model="TTX-4G", serial=f"86000{code}", codecs=codecs, volume=volume
    )


async def cluster(session: AsyncSession, code: str) -> Cluster:
    found = await find_cluster(session, code)
    assert found is not None
    return found


async def devices(session: AsyncSession, *codes: str) -> list[Device]:
    await sample.everything(session)
    return [await enrol(session, facts(code), MORNING) for code in codes]


async def history(session: AsyncSession, code: str) -> list[tuple[str, datetime, datetime | None]]:
    rows = await session.execute(
        sa.select(Device.code, Installation.installed_at, Installation.removed_at)
        .select_from(Installation)
        .join(Device, Device.id == Installation.device_id)
        .join(Cluster, Cluster.id == Installation.cluster_id)
        .where(Cluster.code == code)
        .order_by(Installation.installed_at)
    )
    return [tuple(row) for row in rows]


async def present(session: AsyncSession, at: datetime) -> dict[str, str]:
    rows = await session.execute(
        sa.select(Cluster.code, Device.code)
        .select_from(Installation)
        .join(Device, Device.id == Installation.device_id)
        .join(Cluster, Cluster.id == Installation.cluster_id)
        .where(
            Installation.installed_at <= at,
            sa.or_(Installation.removed_at.is_(None), Installation.removed_at > at),
        )
    )
    return dict(rows.all())


async def enrolled(session: AsyncSession) -> dict[str, int]:
    return dict((await session.execute(sa.select(Device.code, Device.id))).all())


@pytest.mark.postgres
async def test_a_swap_keeps_the_history_of_the_cluster(session: AsyncSession) -> None:
    first, second = await devices(session, "D-1", "D-2")
    await install(session, first, await cluster(session, "C-1"), MORNING)
    await install(session, second, await cluster(session, "C-1"), MORNING + HOUR)
    assert await history(session, "C-1") == [
        ("D-1", MORNING, MORNING + HOUR),
        ("D-2", MORNING + HOUR, None),
    ]
    assert await present(session, MORNING - HOUR) == {}
    assert await present(session, MORNING) == {"C-1": "D-1"}
    assert await present(session, MORNING + HOUR) == {"C-1": "D-2"}


async def test_installing_a_device_again_changes_nothing(session: AsyncSession) -> None:
    (device,) = await devices(session, "D-1")
    await install(session, device, await cluster(session, "C-1"), MORNING)
    revision = await session.scalar(sa.select(Topology.revision))
    await install(session, device, await cluster(session, "C-1"), MORNING + HOUR)
    assert await history(session, "C-1") == [("D-1", MORNING, None)]
    assert await session.scalar(sa.select(Topology.revision)) == revision


async def test_a_swap_is_counted_as_a_change_of_the_topology(session: AsyncSession) -> None:
    (device,) = await devices(session, "D-1")
    before = await session.scalar(sa.select(Topology.revision)) or 0
    await install(session, device, await cluster(session, "C-1"), MORNING)
    assert await session.scalar(sa.select(Topology.revision)) == before + 1


async def test_a_device_that_hangs_elsewhere_is_moved_only_when_asked(
    session: AsyncSession,
) -> None:
    first, second = await devices(session, "D-1", "D-2")
    await install(session, first, await cluster(session, "C-1"), MORNING)
    await install(session, second, await cluster(session, "C-2"), MORNING)
    with pytest.raises(Conflict, match="đang ở cụm C-1") as error:
        await install(session, first, await cluster(session, "C-2"), MORNING + HOUR)
    assert error.value.extra["cluster"] == "C-1"
    await install(session, first, await cluster(session, "C-2"), MORNING + HOUR, move=True)
    assert await present(session, MORNING + HOUR) == {"C-2": "D-1"}
    assert await history(session, "C-1") == [("D-1", MORNING, MORNING + HOUR)]


async def test_a_device_that_was_taken_down_can_hang_elsewhere(session: AsyncSession) -> None:
    (device,) = await devices(session, "D-1")
    await install(session, device, await cluster(session, "C-1"), MORNING)
    assert await remove(session, await cluster(session, "C-1"), MORNING + HOUR)
    assert not await remove(session, await cluster(session, "C-1"), MORNING + HOUR)
    await install(session, device, await cluster(session, "C-2"), MORNING + HOUR)
    assert await present(session, MORNING + HOUR) == {"C-2": "D-1"}


@pytest.mark.parametrize("at", [MORNING - HOUR, MORNING, MORNING + HOUR / 2])
async def test_the_past_of_a_cluster_is_not_rewritten(session: AsyncSession, at: datetime) -> None:
    first, second = await devices(session, "D-1", "D-2")
    await install(session, first, await cluster(session, "C-1"), MORNING)
    await remove(session, await cluster(session, "C-1"), MORNING + HOUR)
    with pytest.raises(Conflict, match="phải sau đó"):
        await install(session, second, await cluster(session, "C-1"), at)
    with pytest.raises(Conflict, match="phải sau đó"):
        await install(session, first, await cluster(session, "C-2"), at)


async def test_removal_before_installation_is_refused(session: AsyncSession) -> None:
    (device,) = await devices(session, "D-1")
    await install(session, device, await cluster(session, "C-1"), MORNING)
    with pytest.raises(Conflict, match="sửa thời điểm"):
        await remove(session, await cluster(session, "C-1"), MORNING)


async def test_a_cluster_takes_a_device_only_while_it_stands(session: AsyncSession) -> None:
    (device,) = await devices(session, "D-1")
    place = await cluster(session, "C-1")
    place.removed_on = MORNING.date() + timedelta(days=1)
    with pytest.raises(InvalidInput, match="installed_at: cụm C-1 chỉ có từ 2024-01-01"):
        await install(session, device, place, datetime(2023, 12, 31, 16, 59, tzinfo=UTC))
    with pytest.raises(InvalidInput, match="đến 2024-08-02"):
        await install(session, device, place, MORNING + 24 * HOUR)
    # Midnight in the province is five in the afternoon in UTC.
    await install(session, device, place, datetime(2023, 12, 31, 17, tzinfo=UTC))


async def test_a_cluster_without_telemetry_takes_no_device(session: AsyncSession) -> None:
    (device,) = await devices(session, "D-1")
    with pytest.raises(InvalidInput, match="evidence=attested"):
        await install(session, device, await cluster(session, "C-3"), MORNING)


async def test_a_retired_device_hangs_nowhere_and_its_code_is_not_used_again(
    session: AsyncSession,
) -> None:
    (device,) = await devices(session, "D-1")
    await install(session, device, await cluster(session, "C-1"), MORNING)
    await retire(session, device, MORNING + HOUR)
    assert await present(session, MORNING + HOUR) == {}
    assert await history(session, "C-1") == [("D-1", MORNING, MORNING + HOUR)]
    with pytest.raises(Conflict, match="đã ngừng dùng"):
        await install(session, device, await cluster(session, "C-1"), MORNING + 2 * HOUR)
    with pytest.raises(Conflict, match="không dùng lại"):
        await enrol(session, facts("D-1"), MORNING)
    # What it still has to report is taken.
    assert await enrolled(session) == {"D-1": device.id}


async def test_a_new_volume_is_counted_as_a_change_of_the_topology(session: AsyncSession) -> None:
    (device,) = await devices(session, "D-1")
    before = await session.scalar(sa.select(Topology.revision)) or 0
    await change(session, device, facts("D-1"))
    assert await session.scalar(sa.select(Topology.revision)) == before
    await change(session, device, facts("D-1", volume=50))
    assert await session.scalar(sa.select(Topology.revision)) == before + 1


# --- from a file ---------------------------------------------------------------------------------

HEADER = "code,model,codecs,volume,cluster_code,installed_at\n"
ROWS = "D-1,TTX,opus+mp3,80,C-1,2024-08-01T08:00\nD-2,TTX,mp3,,C-2,\nD-3,TTX,opus,,,\n"


async def import_devices(session: AsyncSession, text: str, now: datetime = MORNING) -> list[int]:
    kinds = [*KINDS, devices_kind(now)]
    report = await import_files(session, [sample.file("devices.csv", text)], kinds)
    return [report.added, report.changed, report.unchanged]


async def test_devices_are_enrolled_and_hung_from_a_file(session: AsyncSession) -> None:
    await sample.everything(session)
    assert await import_devices(session, HEADER + ROWS) == [3, 0, 0]
    assert await history(session, "C-1") == [("D-1", MORNING, None)]
    assert await present(session, MORNING) == {"C-1": "D-1", "C-2": "D-2"}
    device = await find_device(session, "D-1")
    assert device is not None
    assert (device.codecs, device.volume) == (["mp3", "opus"], 80)
    assert await import_devices(session, HEADER + ROWS, MORNING + HOUR) == [0, 0, 3]
    assert await history(session, "C-2") == [("D-2", MORNING, None)]


async def test_a_file_swaps_the_device_of_a_cluster(session: AsyncSession) -> None:
    await sample.everything(session)
    await import_devices(session, HEADER + ROWS)
    swap = HEADER + "D-3,TTX,opus,,C-1,2024-08-01T09:00\n"
    assert await import_devices(session, swap, MORNING + HOUR) == [0, 1, 0]
    assert [code for code, _, _ in await history(session, "C-1")] == ["D-1", "D-3"]


@pytest.mark.parametrize(
    ("row", "column", "says"),
    [
        ("D-9,TTX,wav,,,", "codecs", "opus, mp3"),
        ("D-9,TTX,opus,101,,", "volume", "0 đến 100"),
        ("D-9,TTX,opus,,C-9,", "cluster_code", "không có cụm loa"),
        ("D-9,TTX,opus,,C-3,", "cluster_code", "attested"),
        ("D-9,TTX,opus,,C-1,2024-08-02", "installed_at", "tương lai"),
        ("D-9,TTX,opus,,C-1,2023-08-01", "installed_at", "chỉ có từ"),
        ("D-9,TTX,opus,,C-1,2024-07-01", "cluster_code", "phải sau đó"),
        ("D-1,TTX,opus,,C-4,", "cluster_code", "đang ở cụm C-1"),
        ("D 9,TTX,opus,,,", "code", "không hợp lệ"),
    ],
)
async def test_a_wrong_device_is_refused_with_its_place(
    session: AsyncSession, row: str, column: str, says: str
) -> None:
    await sample.everything(session)
    await import_devices(session, HEADER + ROWS)
    before = await enrolled(session)
    with pytest.raises(InvalidInput) as error:
        await import_devices(session, HEADER + "D-8,TTX,opus,,,\n" + row + "\n")
    found = error.value.extra["errors"]
    assert isinstance(found, list)
    assert [(fault["row"], fault["column"]) for fault in found] == [(3, column)]
    assert says in found[0]["detail"]
    assert await enrolled(session) == before


def box(code: str, model: str, serial: str) -> NewDeviceIn:
    return NewDeviceIn(code=code, model=model, serial=serial, codecs={Codec.OPUS})


@pytest.mark.parametrize(
    ("model", "serial", "taken"),
    [
        ("TTX-4G", "0860017", True),
        ("ttx-4g ", " 0860 017", True),
        ("TTX-4G", "860017", True),
        ("TTX-4G", "860017.0", True),
        ("", "0860017", True),
        ("VTV-9", "0860017", False),
        ("TTX-4G", "0860018", False),
        ("TTX-4G", "", False),
    ],
)
async def test_a_serial_number_is_one_box_of_its_model(
    session: AsyncSession, model: str, serial: str, taken: bool
) -> None:
    await sample.everything(session)
    await enrol(session, box("A-1", "TTX-4G", "0860017"), MORNING)
    await enrol(session, box("B-1", "TTX-4G", ""), MORNING)
    other = await enrol(session, box("B-2", "X", "7"), MORNING)
    if not taken:
        await enrol(session, box("C-1", model, serial), MORNING)
        return
    with pytest.raises(InvalidInput, match=r"A-1|bảng tính") as refused:
        await enrol(session, box("C-1", model, serial), MORNING)
    assert refused.value.field == "serial"
    with pytest.raises(InvalidInput):
        await change(session, other, box("B-2", model, serial))


async def test_a_box_that_was_retired_may_be_enrolled_under_a_new_code(
    session: AsyncSession,
) -> None:
    await sample.everything(session)
    old = await enrol(session, box("A-1", "TTX-4G", "86"), MORNING)
    await retire(session, old, MORNING + HOUR)
    new = await enrol(session, box("A-2", "TTX-4G", "86"), MORNING + HOUR)
    assert (new.serial, new.retired_at) == ("86", None)
    await change(session, old, box("A-1", "TTX-4G", "86"))


async def test_what_was_stored_twice_before_can_still_be_changed(session: AsyncSession) -> None:
    await sample.everything(session)
    one = await enrol(session, box("A-1", "TTX-4G", "86"), MORNING)
    two = await enrol(session, box("A-2", "TTX-4G", "87"), MORNING)
    two.serial = "86"
    await session.flush()
    await change(session, one, box("A-1", "TTX-4G", "86").model_copy(update={"volume": 30}))
    assert one.volume == 30
    await change(session, two, box("A-2", "TTX-4G", "87"))


HEAD = "code,model,serial,codecs\n"


async def test_a_file_has_every_serial_once(session: AsyncSession) -> None:
    await sample.everything(session)
    await import_devices(session, HEAD + "A-1,TTX,860001,opus\nA-2,TTX,860002,opus\n")
    await import_devices(session, HEAD + "A-1,TTX,860002,opus\nA-2,TTX,860001,opus\n")
    found = dict((await session.execute(sa.select(Device.code, Device.serial))).all())
    assert found == {"A-1": "860002", "A-2": "860001"}, "they were written the wrong way round"
    for rows, said in (
        ("A-3,TTX,860001,opus\n", "A-2"),
        ("A-3,TTX,860003,opus\nA-4,TTX,860003,opus\n", "A-3"),
        ("A-1,TTX,860001,opus\n", "A-2"),
        ("A-3,TTX,8.6E+14,opus\n", "bảng tính"),
    ):
        with pytest.raises(InvalidInput) as refused:
            await import_devices(session, HEAD + rows)
        faults = refused.value.extra["errors"]
        assert isinstance(faults, list)
        [fault] = faults
        assert (fault["column"], said in fault["detail"]) == ("serial", True), fault
