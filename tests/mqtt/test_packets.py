"""PUBLISH packets in bulk: whatever the cuts between reads, the same messages come out."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.mqtt import packets
from broadcast.mqtt.buffered_socket import READ_BYTES, BufferedSocket
from broadcast.mqtt.packets import Malformed, Message, Packets

ALL = 1_000_000


class Publish(NamedTuple):
    """What a broker says."""

    topic: str
    payload: bytes
    mid: int
    qos: int
    retain: bool
    dup: bool


def said_by(message: Message) -> tuple[object, ...]:
    return message.topic, message.payload, message.retain


def variable(value: int) -> bytes:
    out = bytearray()
    while True:
        value, byte = divmod(value, 128)
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def packet(message: Publish, properties: bytes | None = None) -> bytes:
    flags = message.dup << 3 | message.qos << 1 | message.retain
    topic = message.topic.encode()
    body = len(topic).to_bytes(2) + topic
    if message.qos:
        body += message.mid.to_bytes(2)
    if properties is not None:
        body += variable(len(properties)) + properties
    body += message.payload
    return bytes([0x30 | flags]) + variable(len(body)) + body


PINGRESP = b"\xd0\x00"

messages = st.builds(
    lambda topic, payload, mid, retain, dup: Publish(topic, payload, mid, bool(mid), retain, dup),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    st.binary(max_size=300),
    st.integers(0, 65_535),
    st.booleans(),
    st.booleans(),
)


class Peer:
    """Both ends of a socket pair."""

    def __init__(self) -> None:
        self.far, near = socket.socketpair()
        near.setblocking(False)
        self.packets = Packets()
        self.socket = BufferedSocket(near, self.packets)


def drain(packets: Packets) -> tuple[list[Message], bytes]:
    """Messages, and what paho would have read, until nothing is whole."""
    found: list[Message] = []
    shown = bytearray()
    while True:
        messages = packets.messages(3)
        found += messages
        if len(messages) == 3:
            continue
        if not packets.show():
            break
        shown += packets.read(1)
    return found, bytes(shown)


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.far.close()
    peer.socket.close()


@given(
    st.lists(st.one_of(messages, st.just(None)), max_size=12),
    st.lists(st.integers(1, 200), max_size=60),
    st.one_of(st.none(), st.binary(max_size=200)),
)
def test_any_cuts_between_reads_give_the_same_messages(
    said: list[Publish | None], cuts: list[int], properties: bytes | None
) -> None:
    packets = Packets(properties=properties is not None)
    data = b"".join(PINGRESP if each is None else packet(each, properties) for each in said)
    found: list[Message] = []
    shown = b""
    while data:
        size = cuts.pop() if cuts else len(data)
        packets.feed(data[:size])
        data = data[size:]
        more, for_paho = drain(packets)
        found += more
        shown += for_paho
    expected = [each for each in said if each is not None]
    assert [said_by(message) for message in found] == [
        (each.topic, each.payload, each.retain) for each in expected
    ]
    assert shown == PINGRESP * said.count(None)
    confirmed = [each.mid for each in expected if each.qos]
    assert packets.unacked == len(confirmed)
    for message in found:
        message.ack()
        message.ack()
    assert packets.unacked == 0
    assert packets.output == b"".join(b"\x40\x02" + mid.to_bytes(2) for mid in confirmed)


def test_paho_sees_its_own_packets_and_the_end(peer: Peer) -> None:
    peer.far.sendall(PINGRESP + b"\x30\x05\x00\x01txy")
    peer.far.close()
    peer.socket.fill()
    peer.socket.fill()
    assert not peer.packets.messages(ALL)
    assert peer.socket.has_for_paho()
    assert not peer.packets.messages(ALL)
    assert peer.socket.recv(9) == PINGRESP
    (message,) = peer.packets.messages(ALL)
    assert said_by(message) == ("t", b"xy", False)
    assert peer.socket.has_for_paho()
    assert peer.socket.recv(1) == b""


def test_a_topic_that_is_not_utf8_is_left_empty_and_can_be_acknowledged(peer: Peer) -> None:
    peer.far.sendall(b"\x32\x06\x00\x01\xff\x00\x07x")
    peer.socket.fill()
    (message,) = peer.packets.messages(ALL)
    assert said_by(message) == ("", b"x", False)
    message.ack()
    assert peer.socket.flush()
    assert peer.far.recv(100) == b"\x40\x02\x00\x07"


@pytest.mark.parametrize("beyond", [1, 300_000])
def test_too_long_a_message_is_cut_and_the_next_one_is_whole(
    peer: Peer, beyond: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packets, "LONGEST", 100_000)
    long = Publish("t", b"y" * (100_000 + beyond), 3, 1, retain=False, dup=False)
    data = packet(long) + packet(long._replace(payload=b"x", mid=4)) + PINGRESP
    found: list[Message] = []
    shown = b""
    for at in range(0, len(data), 50_000):
        peer.far.sendall(data[at : at + 50_000])
        peer.socket.fill()
        more, for_paho = drain(peer.packets)
        found += more
        shown += for_paho
    cut, whole = found
    assert 100_000 <= len(cut.payload) <= 100_000 + beyond
    assert whole.payload == b"x"
    assert shown == PINGRESP
    for message in found:
        message.ack()
    assert peer.socket.flush()
    assert peer.far.recv(100) == b"\x40\x02\x00\x03\x40\x02\x00\x04"


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\xff\xff\xff\xff\x01", b"\x90\xff\xff\xff\x7f", b"\x32\x04\x00\x09tt", b"\x30\x00",
        b"\x32\x01\x00",
    ],
    ids=[
        "length without end", "longer than any", "topic beyond its packet", "empty",
        "half a length of a topic",
    ],
)  # fmt: skip
def test_what_is_no_mqtt_is_refused(peer: Peer, data: bytes) -> None:
    peer.far.sendall(data)
    peer.socket.fill()
    with pytest.raises(Malformed):
        peer.packets.messages(ALL) or peer.socket.has_for_paho()


def test_paho_is_shown_nothing_before_its_packet_is_whole(peer: Peer) -> None:
    peer.far.sendall(PINGRESP[:1])
    peer.socket.fill()
    assert not peer.packets.messages(ALL)
    assert not peer.socket.has_for_paho()
    with pytest.raises(BlockingIOError):
        peer.socket.recv(1)


def test_acknowledgements_go_in_one_piece_when_the_peer_takes_them(peer: Peer) -> None:
    for mid in (1, 258):
        peer.packets.acknowledge(mid)
    assert peer.socket.flush()
    assert peer.far.recv(100) == b"\x40\x02\x00\x01\x40\x02\x01\x02"


def test_what_the_peer_does_not_take_waits(peer: Peer) -> None:
    peer.socket.send(bytes(20_000_000))
    assert not peer.socket.flush()
    taken = 0
    while taken < 20_000_000:
        taken += len(peer.far.recv(2**20))
        peer.socket.flush()
    assert peer.socket.flush()


def test_a_broken_line_is_told_to_paho(peer: Peer) -> None:
    peer.far.close()
    peer.socket.send(bytes(READ_BYTES))
    assert peer.socket.flush()
    peer.socket.send(b"x")
    assert peer.socket.flush()
    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        peer.socket.recv(1)
