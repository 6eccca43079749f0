"""PUBLISH packets in bulk: whatever the cuts between reads, the same messages come out."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast import mqtt_packets
from broadcast.mqtt_packets import Malformed, Publish, Stream


def variable(value: int) -> bytes:
    out = bytearray()
    while True:
        value, byte = divmod(value, 128)
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def packet(message: Publish, properties: bytes | None = None) -> bytes:
    flags = message.dup << 3 | message.qos << 1 | message.retain
    body = len(message.topic).to_bytes(2) + message.topic
    if message.qos:
        body += message.mid.to_bytes(2)
    if properties is not None:
        body += variable(len(properties)) + properties
    body += message.payload
    return bytes([0x30 | flags]) + variable(len(body)) + body


PINGRESP = b"\xd0\x00"

messages = st.builds(
    lambda topic, payload, mid, retain, dup: Publish(topic, payload, mid, bool(mid), retain, dup),
    st.binary(min_size=1, max_size=40),
    st.binary(max_size=300),
    st.integers(0, 65_535),
    st.booleans(),
    st.booleans(),
)


class Peer:
    """Both ends of a socket pair."""

    def __init__(self, *, properties: bool = False) -> None:
        self.far, near = socket.socketpair()
        near.setblocking(False)
        self.stream = Stream(near, properties=properties)

    def drain(self) -> tuple[list[Publish], bytes]:
        """Messages, and what paho would have read, until nothing is whole."""
        found: list[Publish] = []
        shown = bytearray()
        while (item := self.stream.next()) is not False:
            if item is True:
                data = self.stream.recv(1)
                if not data:
                    break
                shown += data
            else:
                found.append(item)
        return found, bytes(shown)


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.far.close()
    peer.stream.close()


@given(
    st.lists(st.one_of(messages, st.just(None)), max_size=12),
    st.lists(st.integers(1, 200), max_size=60),
    st.one_of(st.none(), st.binary(max_size=200)),
)
def test_any_cuts_between_reads_give_the_same_messages(
    said: list[Publish | None], cuts: list[int], properties: bytes | None
) -> None:
    peer = Peer(properties=properties is not None)
    data = b"".join(PINGRESP if each is None else packet(each, properties) for each in said)
    found: list[Publish] = []
    shown = b""
    while data:
        size = cuts.pop() if cuts else len(data)
        peer.far.sendall(data[:size])
        data = data[size:]
        peer.stream.fill()
        more, for_paho = peer.drain()
        found += more
        shown += for_paho
    peer.far.close()
    peer.stream.close()
    assert found == [each for each in said if each is not None]
    assert shown == PINGRESP * said.count(None)


def test_paho_sees_its_own_packets_and_the_end(peer: Peer) -> None:
    peer.far.sendall(PINGRESP + b"\x30\x05\x00\x01txy")
    peer.far.close()
    peer.stream.fill()
    peer.stream.fill()
    assert peer.stream.next() is True
    assert peer.stream.recv(9) == PINGRESP
    assert peer.stream.next() == Publish(b"t", b"xy", 0, 0, retain=False, dup=False)
    assert peer.stream.next() is True
    assert peer.stream.recv(1) == b""


@pytest.mark.parametrize(
    "data",
    [b"\x30\xff\xff\xff\xff\x01", b"\x30\xff\xff\xff\x7f", b"\x32\x04\x00\x09tt"],
    ids=["length without end", "longer than any", "topic beyond its packet"],
)
def test_what_is_no_mqtt_is_refused(peer: Peer, data: bytes) -> None:
    peer.far.sendall(data)
    peer.stream.fill()
    with pytest.raises(Malformed):
        peer.stream.next()


def test_paho_is_shown_nothing_before_its_packet_is_whole(peer: Peer) -> None:
    peer.far.sendall(PINGRESP[:1])
    peer.stream.fill()
    assert peer.stream.next() is False
    with pytest.raises(BlockingIOError):
        peer.stream.recv(1)


def test_acknowledgements_go_in_one_piece_when_the_peer_takes_them(peer: Peer) -> None:
    for mid in (1, 258):
        peer.stream.acknowledge(mid)
    assert peer.stream.flush()
    assert peer.far.recv(100) == b"\x40\x02\x00\x01\x40\x02\x01\x02"


def test_what_the_peer_does_not_take_waits(peer: Peer) -> None:
    peer.stream.send(bytes(20_000_000))
    assert not peer.stream.flush()
    taken = 0
    while taken < 20_000_000:
        taken += len(peer.far.recv(2**20))
        peer.stream.flush()
    assert peer.stream.flush()


def test_a_broken_line_is_told_to_paho(peer: Peer) -> None:
    peer.far.close()
    peer.stream.send(bytes(mqtt_packets.READ_BYTES))
    assert peer.stream.flush()
    peer.stream.send(b"x")
    assert peer.stream.flush()
    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        peer.stream.recv(1)
