"""Fields of commands, as REST takes and answers them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from broadcast.auth.people import PersonOut
from broadcast.commands.state import CommandKind, CommandState
from broadcast.kit.english import Said
from broadcast.kit.times import Moment
from broadcast.web.fields import example
from broadcast.web.rest import Body


class CommandIn(Body):
    """Something that a device is to do once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "self_test"}],
            "oneOf": [
                {
                    "required": ["volume"],
                    "properties": {"kind": {"const": "volume"}, "volume": {"type": "integer"}},
                },
                {
                    "properties": {
                        "kind": {"not": {"const": "volume"}},
                        "volume": {"type": "null"},
                    },
                },
            ],
        }
    )

    kind: CommandKind
    volume: Annotated[
        int | None, Field(ge=0, le=100, description="phần trăm; chỉ của lệnh volume")
    ] = None


class CommandOut(BaseModel):
    """A command and its outcome."""

    model_config = example(
        command_id="0c9e7d3a-5c2f-4b52-9a3b-2f7f0f6f1c11", device="QN-000417", kind="self_test",
        volume=None, ordered_by={"id": 7, "name": "Nguyễn Văn A"},
        ordered_at="2025-07-01T08:00:00+07:00",
        not_after="2025-07-01T08:05:00+07:00", published_at="2025-07-01T08:00:00.200000+07:00",
        state="done",
        state_text="Tăng âm có dòng tải khi phát tiếng thử.",
        answered_at="2025-07-01T08:00:02+07:00", heard="amplifier", detail="amplifier ok, line ok",
    )  # fmt: skip

    command_id: str
    device: str
    kind: CommandKind
    volume: int | None
    ordered_by: PersonOut
    ordered_at: Moment
    not_after: Moment
    """The device refuses it later."""
    published_at: Moment | None
    """Time at which the broker had taken it."""
    state: CommandState
    state_text: Said
    """The state in words, and what to do."""
    answered_at: Moment | None
    """Time at which the server learned of the device's answer."""
    heard: str | None
    """Of a self-test: `amplifier` or `microphone`, whichever noticed its tone."""
    detail: str
    """Remark of the device, in its own words."""
