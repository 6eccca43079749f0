"""The golden payloads: what each file is, and how they are made anew (`make golden`)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from broadcast.wire.asyncapi import PUBLISHED
from broadcast.wire.codec import decode, encode
from broadcast.wire.commands import AnyCommand
from broadcast.wire.documents import Alerts, Document, Live
from broadcast.wire.envelope import SigningKey
from broadcast.wire.events import EVENTS
from broadcast.wire.fields import Wire

FOLDER = Path(__file__).parent / "golden" / "v1"
WIRE_MD = PUBLISHED.with_name("wire.md")

TYPES: dict[str, type[Wire]] = {
    **EVENTS,
    **{str(t.__struct_config__.tag): t for t in get_args(Document)},
    **{f"command-{t.__struct_config__.tag}": t for t in get_args(AnyCommand)},
}
"""Name of a golden file, up to a `-variant` → type."""

NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))

EXAMPLE = re.compile(r"(<!-- golden: ([\w-]+) -->\n```json\n)(.*?)(```)", re.DOTALL)
"""A file shown in `docs/wire.md`."""


def type_of(name: str) -> type[Wire]:
    """Type of a golden file."""
    return TYPES[name] if name in TYPES else TYPES[name.rpartition("-")[0]]


def payload(name: str) -> bytes:
    """A golden file as it lies there."""
    return (FOLDER / f"{name}.json").read_bytes()


def key(use: Any) -> SigningKey:
    """A public, worthless test key."""
    return SigningKey.from_jwk((FOLDER / f"test-key-{use}.jwk").read_text(), use)


def signed(name: str) -> bytes:
    """The exact payload of what is signed on the wire."""
    message: Any = decode(payload(name), type_of(name))
    return key("alert" if isinstance(message, Alerts | Live) else "programme").sign(message)


def shown(markdown: str, text_of: Callable[[str], str]) -> str:
    """The document with every example replaced by the text of its file."""
    return EXAMPLE.sub(lambda match: match[1] + text_of(match[2]) + match[4], markdown)


def readable(name: str) -> str:
    """A golden file for people, laid out in lines."""
    return json.dumps(json.loads(payload(name)), indent=2, ensure_ascii=False) + "\n"


def exact(name: str) -> bytes:
    """The bytes that the code makes of a golden file."""
    return encode(decode(payload(name), type_of(name)))


def renew() -> None:
    """Write anew to the byte, sign again, and copy the examples into `docs/wire.md`."""
    resend = FOLDER / "command-resend.json"
    body = json.loads(resend.read_bytes()) | {"document": signed("programme").decode()}
    resend.write_text(json.dumps(body))
    for name in NAMES:
        (FOLDER / f"{name}.json").write_bytes(exact(name))
    for name in NAMES:
        if type_of(name) not in EVENTS.values():
            (FOLDER / f"{name}.jws").write_bytes(signed(name))
    WIRE_MD.write_text(shown(WIRE_MD.read_text(), readable))


if __name__ == "__main__":
    renew()
