"""Fields of what REST takes and answers about clusters; those of a cluster: `stations.schemas`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field

from broadcast.kit.times import Day, Moment
from broadcast.stations.model import Grade
from broadcast.stations.schemas import ClusterIn, ServedVillage
from broadcast.telemetry.presence import Presence
from broadcast.web.fields import Code, example
from broadcast.web.rest import Body


class ClusterOut(ClusterIn):
    """A cluster as it is on a day."""

    name: str
    power_feed: str | None
    code: str
    villages: list[ServedVillage]


class ClusterState(StrEnum):
    """Presence of the device on a cluster with telemetry, or that there is none."""

    ONLINE = "online"
    SILENT = "silent"
    OFFLINE = "offline"
    NEVER_SEEN = "never_seen"
    NO_DEVICE = "no_device"


class ClusterItemOut(ClusterOut):
    """A cluster, the device on it, and its state; the state is null without telemetry."""

    device_code: str | None
    state: ClusterState | None


class Signal(StrEnum):
    """Strength of the mobile signal of a device that is online."""

    GOOD = "good"
    FAIR = "fair"
    WEAK = "weak"
    UNKNOWN = "unknown"


class Power(StrEnum):
    """What a device that is online runs on."""

    MAINS = "mains"
    BATTERY = "battery"
    UNKNOWN = "unknown"


class Line(StrEnum):
    """Loudspeaker line of a device that is online."""

    OK = "ok"
    OPEN = "open"
    SHORT = "short"
    UNKNOWN = "unknown"


class FleetItemOut(BaseModel):
    """A device in use, where it is, and what it last said of itself."""

    model_config = example(
        device="QN-000417", model="TTX-4G", serial="860000000000017", cluster_code="C-0001",
        cluster_name="Nhà văn hóa thôn 1", presence="online", since="2025-07-01T05:02:30+07:00",
        last_seen_at="2025-07-01T08:00:00+07:00", firmware="2.4.1", signal_dbm=-87, signal="fair",
        power="mains", line="ok", temperature=43.5,
    )  # fmt: skip

    device: str
    model: str
    serial: str
    cluster_code: str | None
    cluster_name: str | None
    presence: Presence
    since: Moment | None
    last_seen_at: Moment | None
    firmware: str
    """Empty where the device has not said any, or its last heartbeat is no longer kept."""
    signal_dbm: int | None
    signal: Signal
    """`unknown`, as power and line, while the device is not online."""
    power: Power
    line: Line
    temperature: float | None
    """Degrees Celsius."""


class FleetCountOut(BaseModel):
    """Number of devices with one value."""

    value: str
    count: int


class FleetSummaryOut(BaseModel):
    """The devices that a filter finds, counted by each property; most frequent first."""

    model_config = example(
        total=3, presence=[{"value": "online", "count": 2}, {"value": "offline", "count": 1}],
        firmware=[{"value": "2.4.1", "count": 3}], signal=[{"value": "good", "count": 3}],
        power=[{"value": "mains", "count": 3}], line=[{"value": "ok", "count": 3}],
    )  # fmt: skip

    total: int
    presence: list[FleetCountOut]
    firmware: list[FleetCountOut]
    signal: list[FleetCountOut]
    power: list[FleetCountOut]
    line: list[FleetCountOut]


class VillagesIn(Body):
    """The villages that a cluster serves from a day on, all of them."""

    model_config = example(
        valid_from="2025-07-01",
        villages=[{"village_code": "T-0001", "grade": "primary"}],
    )

    valid_from: Day
    villages: Annotated[list[ServedVillage], Field(min_length=1)]


class ServiceOut(BaseModel):
    """A village served for a span of days."""

    village_code: str
    grade: Grade
    valid_from: Day
    valid_to: Day | None


class InstallationIn(Body):
    """A device to install on a cluster."""

    model_config = example(device="QN-000417", move=False)

    device: Code
    installed_at: Annotated[Moment | None, Field(description="lúc đã lắp, mặc định bây giờ")] = (
        None
    )
    move: Annotated[bool, Field(description="tháo khỏi cụm đang lắp")] = False
