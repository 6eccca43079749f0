"""The device contract, version 1: what passes between the server and a loudspeaker cluster.

Pure: no I/O and no clock, so the server and a device import the same rules. The order of a
device's life on the wire:

1. connect with client id = device id, a persistent session and the last will `event/gone`;
2. publish `event/boot`;
3. receive the retained `state/config`, follow its areas;
4. receive the retained `state/programme` and `state/alerts` of every followed scope;
5. fetch `content/{sha256}/+` for every audio not yet held, verify, keep;
6. publish `event/readiness`;
7. publish `event/heartbeat` every `heartbeat_seconds` ± 10 %;
8. publish `event/playback` for every journalled record until `command/journal_ack` confirms it.

`docs/wire.md` tells it to the maker of a device; `docs/asyncapi.yaml` is generated from here.
"""

from __future__ import annotations


class WireError(ValueError):
    """A peer's message that breaks the contract: its fault, never a server error.

    Attributes:
        field: Path of the offending field as `$.a.b[0]`, or `$` for the whole payload.
        reason: What is wrong with it.
    """

    def __init__(self, reason: str, field: str = "$") -> None:
        super().__init__(f"{field}: {reason}")
        self.reason = reason
        self.field = field
