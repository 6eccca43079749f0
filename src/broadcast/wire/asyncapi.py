"""The contract as an AsyncAPI 3.0 document, seen from the device; `docs/asyncapi.yaml`.

    python -m broadcast.wire.asyncapi --write
    python -m broadcast.wire.asyncapi --check

Topics, messages and bounds come from the code of this package, and so do the words: docstrings of
messages, and the strings below their fields.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from broadcast import wire
from broadcast.wire import commands, documents, events, fields
from broadcast.wire.commands import AnyCommand
from broadcast.wire.documents import DOCUMENT_KINDS, Document, Live
from broadcast.wire.live import PACKET_BYTES
from broadcast.wire.topics import (
    AREA_LIVE,
    AREA_STATE,
    BLOCK_BYTES,
    CODE,
    CONTENT,
    DEVICE_COMMAND,
    DEVICE_EVENT,
    DEVICE_LIVE,
    DEVICE_STATE,
    LIVE_SOUND,
)

PREFIX = "ttn/v1"
"""First levels of every topic, unless a deployment is configured otherwise."""

PUBLISHED = Path(__file__).parents[3] / "docs" / "asyncapi.yaml"


AT_MOST_ONCE = {"heartbeat", "time_request"}
"""Events sent with QoS 0: the next one makes up for one that is lost, and a late one misleads."""


class Flow(NamedTuple):
    """The messages of one topic.

    Attributes:
        topic: Without the prefix; only addresses are left open.
        message: Type of the payload, None for raw bytes.
        to: Who receives it.
        qos: It is published with.
        retained: The broker keeps the newest.
    """

    topic: str
    message: type[fields.Wire] | None
    to: Literal["device", "server"]
    qos: Literal[0, 1] = 1
    retained: bool = False

    @property
    def name(self) -> str:
        """Identifier of the channel: the topic's levels in camel case."""
        levels = re.sub(r"\{\w+\}", "", self.topic).replace("_", "/").split("/")
        first, *others = [level for level in levels if level]
        return first + "".join(level.capitalize() for level in others)


def flows() -> Iterator[Flow]:
    """Everything that passes, in the order of a device's life."""
    documents_by_kind = {_tag(message): message for message in get_args(Document)}
    for topic, kinds in ((DEVICE_STATE, DOCUMENT_KINDS), (AREA_STATE, ("programme", "alerts"))):
        for kind in kinds:
            template = topic.template.replace("{kind}", kind)
            yield Flow(template, documents_by_kind[kind], "device", retained=True)
    for topic in (DEVICE_LIVE, AREA_LIVE):
        yield Flow(topic.template.replace("{kind}", "sessions"), Live, "device", retained=True)
    yield Flow(CONTENT.template, None, "device", retained=True)
    yield Flow(LIVE_SOUND.template.replace("{kind}", "sound"), None, "device", qos=0)
    for message in get_args(AnyCommand):
        yield Flow(DEVICE_COMMAND.template.replace("{kind}", _tag(message)), message, "device")
    for kind, message in events.EVENTS.items():
        template = DEVICE_EVENT.template.replace("{kind}", kind)
        yield Flow(template, message, "server", qos=0 if kind in AT_MOST_ONCE else 1)


def document() -> dict[str, Any]:
    """The AsyncAPI document."""
    passing = list(flows())
    messages = [flow.message for flow in passing if flow.message is not None]
    _, schemas = msgspec.json.schema_components(
        list(dict.fromkeys(messages)), ref_template="#/components/schemas/{name}"
    )
    schemas = msgspec.json.decode(msgspec.json.encode(schemas))  # tuples are lists in JSON
    _describe(schemas)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Province to loudspeaker",
            "version": "1.0.0",
            "description": inspect.cleandoc(wire.__doc__ or ""),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"broker": _BROKER},
        "channels": {flow.name: _channel(flow) for flow in passing},
        "operations": {
            ("receive" if flow.to == "device" else "send")
            + flow.name[0].upper()
            + flow.name[1:]: {
                "action": "receive" if flow.to == "device" else "send",
                "channel": {"$ref": f"#/channels/{flow.name}"},
                "bindings": {
                    "mqtt": {
                        "qos": flow.qos,
                        "retain": flow.retained,
                        "bindingVersion": "0.2.0",
                    }
                },
            }
            for flow in passing
        },
        "components": {
            "messages": {_message_name(flow): _message(flow) for flow in passing},
            "schemas": dict(sorted(schemas.items())),
        },
    }


_BROKER = {
    "host": "{host}:{port}",
    "protocol": "mqtt",
    "protocolVersion": "3.1.1",
    "description": "Any MQTT 3.1.1 broker; TLS and credentials as given at enrolment.",
    "variables": {"host": {"default": "localhost"}, "port": {"default": "1883"}},
    "bindings": {
        "mqtt": {
            "clientId": "{device_id}",
            "cleanSession": False,
            "lastWill": {
                "topic": f"{PREFIX}/device/{{device_id}}/event/gone",
                "qos": 1,
                "message": "Gone of this session",
                "retain": False,
            },
            "keepAlive": 60,
            "bindingVersion": "0.2.0",
        }
    },
}

_PARAMETERS = {
    "device_id": f"As given at enrolment; also the MQTT client id. `{CODE}`",
    "code": f"Code of an area that the device's config names. `{CODE}`",
    "sha256": "SHA-256 of the whole file, 64 lower-case hexadecimal digits.",
    "session_id": f"Id of a session that a document of kind `live` names. `{CODE}`",
    "index": "Number of the block, decimal from 0, without leading zeros.",
}


def _channel(flow: Flow) -> dict[str, Any]:
    name = _message_name(flow)
    return {
        "address": f"{PREFIX}/{flow.topic}",
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "parameters": {
            parameter: {"description": _PARAMETERS[parameter]}
            for parameter in re.findall(r"\{(\w+)\}", flow.topic)
        },
    }


def _message_name(flow: Flow) -> str:
    if flow.message is not None:
        return flow.message.__name__
    return "Block" if flow.retained else "LivePacket"


def _message(flow: Flow) -> dict[str, Any]:
    if flow.message is None and not flow.retained:
        return {
            "summary": "Opus frames of live speech, raw; docs/wire.md tells how they lie.",
            "contentType": "application/octet-stream",
            "payload": {"type": "string", "format": "binary", "maxLength": PACKET_BYTES},
        }
    if flow.message is None:
        return {
            "summary": "One block of an audio file, raw.",
            "description": f"All blocks have {BLOCK_BYTES} bytes but the last, which is shorter. "
            "An empty payload means that the block is no longer offered.",
            "contentType": "application/octet-stream",
            "payload": {"type": "string", "format": "binary", "maxLength": BLOCK_BYTES},
        }
    summary, _, rest = inspect.cleandoc(flow.message.__doc__ or "").partition("\n")
    described = {"summary": summary} | ({"description": rest.strip()} if rest.strip() else {})
    schema = {"$ref": f"#/components/schemas/{flow.message.__name__}"}
    if flow.to == "server":
        return {**described, "payload": schema}
    return {
        **described,
        "contentType": "application/jose",
        "payload": {
            "description": "JWS compact (RFC 7515), alg Ed25519 (RFC 9864), kid in the header.",
            "type": "string",
            "pattern": r"^[\w-]+\.[\w-]+\.[\w-]+$",
            "contentMediaType": "application/json",
            "contentSchema": schema,
        },
    }


def _tag(message: type[msgspec.Struct]) -> str:
    return str(message.__struct_config__.tag)


def _describe(schemas: dict[str, Any]) -> None:
    """Put the words of the code into the schemas, and take out what AsyncAPI does not know."""
    described = {name: words for module in _MODULES for name, words in _field_docs(module).items()}
    for name, schema in schemas.items():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
        for field, property_ in schema.get("properties", {}).items():
            property_.get("items", {}).pop("discriminator", None)
            words = described.get(name, {}).get(field)
            if words is not None:
                property_["description"] = words
            if "$ref" in property_ and len(property_) > 1:  # what stands beside it is not read
                property_["allOf"] = [{"$ref": property_.pop("$ref")}]


_MODULES = (fields, commands, documents, events)


def _field_docs(module: ModuleType) -> dict[str, dict[str, str]]:
    """Class → field → the string below it; a field `from_` is called `from` on the wire."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for statement, following in zip(node.body, node.body[1:], strict=False):
            match statement, following:
                case (
                    ast.AnnAssign(target=ast.Name(id=field)),
                    ast.Expr(value=ast.Constant(value=str(words))),
                ):
                    found.setdefault(node.name, {})[field.rstrip("_")] = inspect.cleandoc(words)
    return found


# --- YAML --------------------------------------------------------------------------------------

_PLAIN = re.compile(r"[A-Za-z$][\w/.${}-]*")
_PROSE = re.compile(r"\S.*(\n(.*\S)?)*\n.*\S")
_NOT_TEXT = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def yaml(value: Any, indent: int = 0) -> str:
    """Block-style YAML of JSON-like data with printable text, always the same."""
    margin = "  " * indent
    if isinstance(value, dict) and value:
        return "".join(
            f"{margin}{_scalar(key)}:{_nested(item, indent)}" for key, item in value.items()
        )
    if isinstance(value, list) and value:
        return "".join(f"{margin}-{_nested(item, indent)}" for item in value)
    return f"{margin}{_scalar(value)}\n"


def _nested(value: Any, indent: int) -> str:
    if isinstance(value, dict | list) and value:
        return "\n" + yaml(value, indent + 1)
    if isinstance(value, str) and _PROSE.fullmatch(value):
        margin = "  " * (indent + 1)
        lines = [margin + line if line else "" for line in value.split("\n")]
        return " |-\n" + "\n".join(lines) + "\n"
    return f" {_scalar(value)}\n"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return msgspec.json.encode(value).decode()


def main() -> int:
    """Write the published document, or tell whether it matches the code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true", help="write docs/asyncapi.yaml")
    what.add_argument("--check", action="store_true", help="fail when it is out of date")
    wanted = "# Made by `python -m broadcast.wire.asyncapi --write`; do not edit.\n"
    wanted += yaml(document())
    if parser.parse_args().write:
        PUBLISHED.write_text(wanted, encoding="utf-8")
        return 0
    if PUBLISHED.is_file() and PUBLISHED.read_text(encoding="utf-8") == wanted:
        return 0
    sys.stderr.write(f"{PUBLISHED.name}: out of date; run with --write and commit it\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
