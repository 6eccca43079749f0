"""Fields of what REST takes and answers about clusters; those of a cluster: `stations.schemas`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field

from broadcast.kit.times import Day, Moment
from broadcast.stations.model import Grade
from broadcast.stations.schemas import ClusterIn, ServedVillage
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
