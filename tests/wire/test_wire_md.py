"""What the maker of a device reads is what the code does."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from broadcast.wire import commands, documents, events, limits
from broadcast.wire.asyncapi import flows
from broadcast.wire.codec import MAX_EVENT_BYTES, decode
from broadcast.wire.topics import BLOCK_BYTES, block_count
from tests.wire.payloads import (
    EXAMPLE,
    NAMES,
    TYPES,
    WIRE_MD,
    payload,
    readable,
    shown,
    signed,
    type_of,
)

TEXT = WIRE_MD.read_text()
LIMITS = dict(re.findall(r"^\| ([^|]+?) \| ([\d,]+)(?: \w+)* \|$", TEXT, re.MULTILINE))


def test_examples_are_the_golden_payloads() -> None:
    assert shown(TEXT, readable) == TEXT, "run `make golden`"


def test_every_message_is_shown_or_has_nothing_of_its_own() -> None:
    examples = {match[1] for match in EXAMPLE.findall(TEXT)}
    assert examples <= set(NAMES)
    bare = {info.name for info in msgspec.structs.fields(commands.Command)}
    for name in TYPES.keys() - examples - {"command-resend"}:
        assert {info.name for info in msgspec.structs.fields(TYPES[name])} == bare, name


def test_the_table_has_every_topic_as_the_code_has_it() -> None:
    rows = re.findall(
        r"^\| `([^`]+)` \| (.+?) \| ([↓↑])(?: signed)? \| (\d) \| (yes|no) \|", TEXT, re.MULTILINE
    )
    assert {topic: (up, int(qos), kept) for topic, _, up, qos, kept in rows} == {
        flow.topic: (
            "↓" if flow.to == "device" else "↑",
            flow.qos,
            "yes" if flow.retained else "no",
        )
        for flow in flows()
    }
    named = {topic: message for topic, message, *_ in rows}
    for flow in flows():
        if flow.message is not None:
            assert f"[{flow.message.__name__}]" in named[flow.topic]


def test_links_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors
    for path in re.findall(r"\]\(([^#)][^)]*)\)", TEXT):
        assert (WIRE_MD.parent / path).exists(), path


def bound(type_: Any, field: str, name: str) -> int:
    """A bound of a field, from its JSON schema."""
    schema = msgspec.json.schema_components([type_])[1][type_.__name__]["properties"][field]
    return int(next(s[name] for s in (schema, *schema.get("anyOf", ())) if name in s))


@pytest.mark.parametrize(
    ("said", "is_"),
    [
        ("upward payload", MAX_EVENT_BYTES),
        ("records in a `playback`", bound(events.Playback, "records", "maxItems")),
        ("items in a `readiness`", bound(events.Readiness, "items", "maxItems")),
        ("entries in `held`", bound(events.Boot, "held", "maxProperties")),
        ("items in a programme", bound(documents.Programme, "items", "maxItems")),
        ("alerts in a document", bound(documents.Alerts, "alerts", "maxItems")),
        ("areas in a config", bound(documents.Config, "areas", "maxItems")),
        ("keys in a config", bound(documents.Config, "keys", "maxItems")),
        ("inline audio of an alert", bound(documents.Alert, "inline", "maxLength") * 3 // 4),
        ("renditions of an item", bound(documents.Item, "audio", "maxItems")),
        ("one audio file", bound(documents.Audio, "bytes", "maximum")),
        ("content block", BLOCK_BYTES),
        ("signed document, also in a `resend`", limits.DOCUMENT_BYTES),
        ("signed document, also in a `resend`", bound(commands.Resend, "document", "maxLength")),
        ("signed command", limits.COMMAND_BYTES),
        ("MQTT packet", limits.PACKET_BYTES),
        ("late limit", bound(documents.Item, "late_limit_seconds", "maximum")),
    ],
)
def test_the_limits_are_those_of_the_code(said: str, is_: int) -> None:
    assert int(LIMITS[said].replace(",", "")) == is_


def test_the_worked_example_of_content_blocks_is_right() -> None:
    assert "40,000 bytes has three: 16,384,\n16,384 and 7,232" in TEXT
    assert block_count(40_000) == 3
    assert 2 * BLOCK_BYTES + 7_232 == 40_000


def test_every_reason_that_a_record_may_give_is_explained() -> None:
    reasons = {reason.value for reason in (*events.SkipReason, *events.EndReason)}
    assert {
        reason for reason in reasons if f"`{reason}`" not in TEXT and f"({reason})" not in TEXT
    } == set()


def by_the_book(token: bytes, keys: list[dict[str, str]]) -> dict[str, Any]:
    """§4 with nothing but base64, JSON and Ed25519."""
    header, body, signature = token.split(b".")

    def decoded(part: bytes) -> bytes:
        raw = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
        assert base64.urlsafe_b64encode(raw).rstrip(b"=") == part
        return raw

    said = json.loads(decoded(header))
    assert said["alg"] == "Ed25519"
    assert "crit" not in said
    pinned = next(key for key in keys if key["kid"] == said["kid"])
    public = Ed25519PublicKey.from_public_bytes(decoded(pinned["x"].encode()))
    public.verify(decoded(signature), header + b"." + body)
    message: dict[str, Any] = json.loads(decoded(body))
    assert (pinned["use"] == "alert") == (message["kind"] in {"alerts", "live"})
    return message


@pytest.mark.parametrize("name", [n for n in NAMES if type_of(n) not in events.EVENTS.values()])
def test_a_device_made_from_the_page_alone_opens_what_we_sign(name: str) -> None:
    keys = json.loads(payload("config"))["keys"]
    opened = by_the_book(signed(name), keys)
    again = json.dumps(opened).encode()
    assert decode(again, type_of(name)) == decode(payload(name), type_of(name))
    with pytest.raises(InvalidSignature):
        by_the_book(signed(name)[:-8] + b"AAAAAAAA", keys)


def test_the_example_keys_have_the_key_ids_that_the_page_promises() -> None:
    for key in json.loads(payload("config"))["keys"]:
        members = {"crv": "Ed25519", "kty": "OKP", "x": key["x"]}
        digest = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == key["kid"]


def test_the_alert_carries_the_audio_that_it_names() -> None:
    alert = json.loads(payload("alerts"))["alerts"][0]
    carried = base64.b64decode(alert["inline"])
    assert alert["audio"][0]["sha256"] == hashlib.sha256(carried).hexdigest()
    assert alert["audio"][0]["bytes"] == len(carried)
