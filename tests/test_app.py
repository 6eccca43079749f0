"""The process as it is put together."""

from __future__ import annotations

import socket

from broadcast import config
from broadcast.app import _bind
from broadcast.demo.world import _free_port


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_header() -> None:
    with (
        _bind(config.Web(port=_free_port())) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
