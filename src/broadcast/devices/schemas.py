"""Fields of devices and of their installations, for REST and CSV files alike."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from broadcast.kit.times import Moment
from broadcast.web.fields import Code, Text, example
from broadcast.web.rest import Body
from broadcast.wire.fields import Codec


class _Coded(Body):
    code: Code


class DeviceIn(Body):
    """A device without its code."""

    model_config = example(
        model="TTX-4G", serial="860000000000017", codecs=["opus", "mp3"], volume=70,
        alert_volume=100,
    )  # fmt: skip

    model: Text = ""
    serial: Text = ""
    codecs: Annotated[set[Codec], Field(min_length=1)]
    volume: Annotated[int, Field(ge=0, le=100, description="phần trăm")] = 70
    alert_volume: Annotated[int, Field(ge=0, le=100, description="khi khẩn cấp")] = 100


class NewDeviceIn(DeviceIn, _Coded):
    """A device to enrol; its code is its MQTT client id and is never used again."""


class DeviceRow(NewDeviceIn):
    """A row of devices.csv: a device and, if given, the cluster where it is installed."""

    cluster_code: Code | None = None
    installed_at: Moment | None = None
    """The time of the import when None."""


class DeviceOut(BaseModel):
    """A device and the cluster where it is installed now."""

    code: str
    model: str
    serial: str
    codecs: list[Codec]
    volume: int
    alert_volume: int
    enrolled_at: Moment
    retired_at: Moment | None
    cluster_code: str | None


class InstallationOut(BaseModel):
    """A device on a cluster for a span of time."""

    cluster_code: str
    device_code: str
    installed_at: Moment
    removed_at: Moment | None
