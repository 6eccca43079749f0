"""Answers of the REST routes of telemetry."""

from __future__ import annotations

import base64
from typing import Any, Literal

from pydantic import BaseModel

from broadcast.devices.model import Device
from broadcast.kit.english import Said
from broadcast.kit.times import Moment
from broadcast.telemetry import texts
from broadcast.telemetry.charts import Chart, ChartSpan
from broadcast.telemetry.model import (
    DeadLetterRow,
    DevicePresence,
    Fault,
    HealthHour,
    PresenceChange,
    Refusal,
)
from broadcast.telemetry.presence import Presence
from broadcast.web.fields import example
from broadcast.wire.events import FaultKind

AnyFault = Literal[FaultKind, "clock_wrong", "flooding", "retained"]
"""Those that devices report, and those that the server opens: a clock far from its own, more
messages than a device may send, and what it left at the broker."""


class PresenceOut(BaseModel):
    """State of a device's connection, as far as it is known."""

    model_config = example(
        device="QN-000417", presence="silent", since="2025-07-01T08:02:30+07:00",
        last_seen_at="2025-07-01T08:00:00+07:00", session=65541, clock_wrong=False,
        held={"area/21025/programme": 1751331600000}, heartbeat={"seq": 61, "volume": 70},
    )  # fmt: skip

    device: str
    presence: Presence
    since: Moment | None
    last_seen_at: Moment | None
    session: int | None
    clock_wrong: bool
    held: dict[str, int]
    """Revisions of documents that the device reports to hold."""
    heartbeat: dict[str, Any] | None
    """The newest heartbeat of the session, as long as raw heartbeats are kept."""

    @classmethod
    def of(
        cls, device: Device, state: DevicePresence | None, heartbeat: dict[str, Any] | None
    ) -> PresenceOut:
        """Translate a row of `presence_rows.select_latest`."""
        if state is None:
            return cls(
                device=device.code, presence=Presence.NEVER_SEEN, since=None, last_seen_at=None,
                session=None, clock_wrong=False, held={}, heartbeat=None,
            )  # fmt: skip
        return cls(
            device=device.code,
            presence=state.presence,
            since=state.since,
            last_seen_at=state.last_seen_at,
            session=state.session,
            clock_wrong=state.clock_wrong,
            held=state.held,
            heartbeat=heartbeat,
        )


class PresenceChangeOut(BaseModel):
    """A change of presence, dated when it happened."""

    model_config = example(
        presence="offline", happened_at="2025-07-01T08:10:00+07:00",
        recorded_at="2025-07-01T08:10:02+07:00", cause="silence",
    )  # fmt: skip

    presence: Presence
    happened_at: Moment
    recorded_at: Moment
    cause: str

    @classmethod
    def of(cls, row: PresenceChange) -> PresenceChangeOut:
        """Translate a row."""
        return cls(
            presence=row.presence,
            happened_at=row.happened_at,
            recorded_at=row.recorded_at,
            cause=row.cause,
        )


class FaultOut(BaseModel):
    """A fault from its opening to its end."""

    model_config = example(
        device="QN-000417", kind="line_open", opened_at="2025-07-01T08:10:00+07:00",
        closed_at=None,
        detail="",
    )  # fmt: skip

    device: str
    kind: str
    opened_at: Moment
    closed_at: Moment | None
    detail: str

    @classmethod
    def of(cls, row: Fault, device_code: str) -> FaultOut:
        """Translate a row of `faults.select_faults`."""
        return cls(
            device=device_code,
            kind=row.kind,
            opened_at=row.opened_at,
            closed_at=row.closed_at,
            detail=row.detail,
        )


class DeadLetterOut(BaseModel):
    """A message that could not be taken."""

    model_config = example(
        id=7, received_at="2025-07-01T08:10:00+07:00",
        topic="ttn/v1/device/QN-000417/event/heartbeat",
        device="QN-000417", size_bytes=21, field="$.seq", reason="Expected `int`, got `str`",
        reject_reason="malformed",
        explained="Nội dung không đúng quy ước, máy chủ không đọc được; báo nhà sản xuất thiết bị,"
        " kèm thông điệp đã lưu.",
        payload_base64="eyJzZXNzaW9uIjoxLCJzZXEiOiI=", more=0,
    )  # fmt: skip

    id: int
    received_at: Moment
    topic: str
    device: str | None
    size_bytes: int
    field: str
    reason: str
    """What the decoder said, for the developer of the device."""
    reject_reason: str | None
    """Null of letters that were kept before there was one."""
    explained: Said
    """Why it could not be taken and what to do, in words."""
    payload_base64: str
    """First 4 KiB."""
    more: int
    """Further messages of this device within the hour that were counted, not kept."""

    @classmethod
    def of(cls, row: DeadLetterRow) -> DeadLetterOut:
        """Translate a row."""
        return cls(
            id=row.id,
            received_at=row.received_at,
            topic=row.topic,
            device=row.device_code,
            size_bytes=row.size_bytes,
            field=row.field,
            reason=row.reason,
            reject_reason=row.reject_reason,
            explained=texts.letter(row.reject_reason),
            payload_base64=base64.b64encode(row.payload).decode(),
            more=row.more,
        )


class HealthHourOut(BaseModel):
    """Sums of the heartbeats of one hour; null where none had the value."""

    model_config = example(
        hour="2025-07-01T08:00:00+07:00", beats=60, minutes=60, sessions=1, playing_beats=12,
        untrusted_beats=0, unpowered_beats=0, temperature_min=41.5, temperature_avg=43.2,
        temperature_max=45.0, supply_volts_min=23.7, battery_percent_min=None,
        signal_dbm_min=-91, signal_dbm_avg=-87.5, clock_offset_ms_max=38,
        data_used_bytes=412160, storage_free_bytes_min=3221225472, journal_pending_max=0,
        line="ok", amplifier="on",
    )  # fmt: skip

    hour: Moment
    beats: int
    minutes: int
    """Minutes in which the device was online."""
    sessions: int
    """Connections; above 1: it lost its link or restarted."""
    playing_beats: int
    untrusted_beats: int
    unpowered_beats: int
    temperature_min: float | None
    temperature_avg: float | None
    temperature_max: float | None
    supply_volts_min: float | None
    battery_percent_min: int | None
    signal_dbm_min: int | None
    signal_dbm_avg: float | None
    clock_offset_ms_max: int | None
    data_used_bytes: int | None
    storage_free_bytes_min: int | None
    journal_pending_max: int
    line: str
    """The worst of the hour."""
    amplifier: str | None
    """The worst of the hour."""

    @classmethod
    def of(cls, row: HealthHour) -> HealthHourOut:
        """Translate a row, which has the same names."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class RefusalOut(BaseModel):
    """A document or command that a device would not accept."""

    model_config = example(
        device="QN-000417", topic="ttn/v1/area/21025/programme", reason="expired",
        explained="Đã quá hạn khi tới thiết bị; thỉnh thoảng có thì không cần làm gì, lệnh thì ra"
        " lại.",
        detail="", sent_at="2025-07-01T08:10:00+07:00", received_at="2025-07-01T08:10:01+07:00",
        command_id=None,
    )  # fmt: skip

    device: str
    topic: str
    reason: str
    explained: Said
    """The reason in words, and what to do."""
    detail: str
    """Remark of the device, in its own words."""
    sent_at: Moment
    """By the clock of the device."""
    received_at: Moment
    command_id: str | None

    @classmethod
    def of(cls, row: Refusal, device_code: str) -> RefusalOut:
        """Translate a row of `refusals.select_refusals`."""
        return cls(
            device=device_code,
            topic=row.topic,
            reason=row.reason,
            explained=texts.refusal(row.reason),
            detail=row.detail,
            sent_at=row.sent_at,
            received_at=row.received_at,
            command_id=row.command_id,
        )


class PointOut(BaseModel):
    """What a device reported within one step; null where it did not say."""

    at: Moment
    """Begin of the step."""
    beats: int
    playing_beats: int
    """Sent while it played."""
    unpowered_beats: int
    """Sent without mains."""
    signal_dbm: float | None
    """Mean."""
    signal_dbm_min: int | None
    temperature: float | None
    """Mean, degrees Celsius."""
    temperature_max: float | None
    supply_volts_min: float | None
    line: str
    """The worst of the step: short, open, unknown, ok."""


class IntervalOut(BaseModel):
    """A span in which the presence stayed the same."""

    presence: Presence
    since: Moment
    until: Moment


class ChartOut(BaseModel):
    """What a device reported over a span of time; a step without a point has no report."""

    model_config = example(
        device="QN-000417", span="day", since="2025-07-01T00:00:00+07:00",
        until="2025-07-02T00:00:00+07:00", step_seconds=600,
        points=[{"at": "2025-07-01T08:00:00+07:00", "beats": 10, "playing_beats": 2,
                 "unpowered_beats": 0, "signal_dbm": -87.4, "signal_dbm_min": -91,
                 "temperature": 43.2, "temperature_max": 44.0, "supply_volts_min": 23.7,
                 "line": "ok"}],
        presence=[{"presence": "online", "since": "2025-07-01T00:00:00+07:00",
                   "until": "2025-07-02T00:00:00+07:00"}],
    )  # fmt: skip

    device: str
    span: ChartSpan
    since: Moment
    until: Moment
    step_seconds: int
    points: list[PointOut]
    presence: list[IntervalOut]
    """The newest 500 intervals, oldest first."""

    @classmethod
    def of(cls, device: str, span: ChartSpan, chart: Chart) -> ChartOut:
        """Translate what `charts.chart` found; means to one decimal."""

        def rounded(value: float | None) -> float | None:
            return None if value is None else round(value, 1)

        return cls(
            device=device,
            span=span,
            since=chart.since,
            until=chart.until,
            step_seconds=int(chart.step.total_seconds()),
            points=[
                PointOut(
                    **point._asdict()
                    | {
                        name: rounded(getattr(point, name))
                        for name in (
                            "signal_dbm",
                            "temperature",
                            "temperature_max",
                            "supply_volts_min",
                        )
                    }
                )
                for point in chart.points
            ],
            presence=[IntervalOut(**each._asdict()) for each in chart.presence],
        )
