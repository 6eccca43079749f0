"""One bound for who signs and who reads, and what it lets through."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey
from msgspec import structs

from broadcast.embedded.broker import MOSQUITTO_CONF
from broadcast.mqtt.packets import LONGEST
from broadcast.wire import WireError
from broadcast.wire.commands import Resend
from broadcast.wire.documents import Item, Programme
from broadcast.wire.envelope import SigningKey, Verifier, kid_of, read_own
from broadcast.wire.limits import COMMAND_BYTES, DOCUMENT_BYTES, MOST_ITEMS, PACKET_BYTES

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
SECRET = OKPKey.generate_key("Ed25519")
KEY = SigningKey.from_jwk(json.dumps(SECRET.as_dict(private=True)), "programme")
PINNED = Verifier([KEY.public()])

ITEM = Item(
    occurrence_id="o" * 64, bulletin_id="b" * 64, bulletin_revision=1, starts_at=NOW,
    late_limit_seconds=0, ends_by=NOW, priority=1,
)  # fmt: skip


def with_titles(*titles: str) -> Programme:
    """A full programme whose first items have these titles."""
    items = [structs.replace(ITEM, title=title) for title in titles]
    return Programme(
        scope="area/51", revision=1, issued_at=NOW, not_after=NOW,
        items=items + [ITEM] * (MOST_ITEMS - len(items)),
    )  # fmt: skip


def at_bound() -> Programme:
    """A programme whose token has as many bytes as a token may have, or up to two less."""
    named = len('"title":"",')
    room = (DOCUMENT_BYTES - len(KEY.sign(with_titles()))) * 3 // 4
    count, rest = divmod(room, named + 1200)
    if rest < named:
        count, rest = count - 1, rest + named + 1200
    rest -= named
    return with_titles(*["ệ" * 400] * count, "ệ" * (rest // 3) + "x" * (rest % 3))


def unbounded(payload: bytes) -> bytes:
    """A token of ours, made by the library alone."""
    registry = jws.JWSRegistry(algorithms=["Ed25519"])
    header = {"alg": "Ed25519", "kid": KEY.kid}
    return jws.serialize_compact(header, payload, SECRET, registry=registry).encode()


@pytest.mark.parametrize("count", [1, 180, 250, MOST_ITEMS])
def test_what_is_signed_is_read(count: int) -> None:
    """Above 129,536 bytes the library would refuse to read what it has signed."""
    document = with_titles()
    document = structs.replace(document, items=document.items[:count])
    token = KEY.sign(document)
    assert (len(token) > 129_536) == (count > 250)
    assert PINNED.document(token) == read_own(token) == document
    assert kid_of(token) == KEY.kid


def test_what_is_longer_than_the_bound_is_neither_signed_nor_read() -> None:
    document = at_bound()
    assert DOCUMENT_BYTES - 2 <= len(KEY.sign(document)) <= DOCUMENT_BYTES
    longer = structs.replace(document, scope="area/51-longer")
    with pytest.raises(WireError, match=f"at most {DOCUMENT_BYTES}"):
        KEY.sign(longer)
    token = unbounded(b"x" * (DOCUMENT_BYTES * 3 // 4))
    for read in (PINNED.document, read_own, kid_of):
        with pytest.raises(WireError, match=f"at most {DOCUMENT_BYTES}"):
            read(token)
    with pytest.raises(WireError, match=f"at most {COMMAND_BYTES}"):
        PINNED.command(unbounded(b"x" * (COMMAND_BYTES * 3 // 4)))


def test_the_longest_document_goes_into_a_resend_and_that_through_every_broker_of_ours() -> None:
    token = KEY.sign(at_bound())
    command = Resend(command_id="c" * 64, scope="device/" + "d" * 64, not_after=NOW,
                     document=token.decode())  # fmt: skip
    sent = KEY.sign(command)
    assert PINNED.command(sent) == command
    assert len(sent) + 1024 < PACKET_BYTES < LONGEST
    shipped = (Path(__file__).parents[2] / "deploy" / "mosquitto.conf").read_text()
    for conf in (shipped, MOSQUITTO_CONF):
        assert re.findall(r"^max_packet_size (\d+)$", conf, re.MULTILINE) == [str(PACKET_BYTES)]


def test_what_is_no_token_is_a_wire_error() -> None:
    for token in (b"", b"x", b"a.b", b"a.b.c", b"\xff.\xff.\xff", b"..", b"e30.e30."):
        with pytest.raises(WireError):
            read_own(token)
        with pytest.raises(WireError):
            kid_of(token)
