"""paho's client as the links use it: over a buffered socket, with a session that persists."""

from __future__ import annotations

from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broadcast.config import Mqtt
from broadcast.mqtt.buffered_socket import BufferedSocket
from broadcast.mqtt.login import log_in
from broadcast.mqtt.packets import Packets

KEEPALIVE = 30
"""Seconds; a dead line is noticed within twice this. Shorter costs pings, longer lost orders."""

SESSION_SECONDS = 7 * 24 * 3600
"""Time that an MQTT 5 broker keeps the session of an absent worker; one of 3.1.1 has a setting
of its own."""


class _Client(paho.Client):
    """paho over a socket with buffers."""

    def _create_socket(self) -> Any:
        sock: Any = super()._create_socket()
        return BufferedSocket(sock, Packets(properties=self._protocol == paho.MQTTv5))


def make_client(settings: Mqtt, client_id: str, *, mqtt5: bool) -> paho.Client:
    """Make a client that is not yet connected, for an event loop of its caller.

    Args:
        settings: Address of the broker and login.
        client_id: Of its session.
        mqtt5: Speak MQTT 5 instead of 3.1.1.

    Raises:
        Unavailable: A file of the settings cannot be used; says which setting, and what to do.
    """
    client = _Client(
        CallbackAPIVersion.VERSION2,
        client_id,
        clean_session=None if mqtt5 else False,
        protocol=paho.MQTTv5 if mqtt5 else paho.MQTTv311,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    client.max_inflight_messages_set(0)  # `Confirmations` is the limit
    log_in(client, settings, client_id)
    if mqtt5:
        client.connect_async(
            settings.host, settings.port, KEEPALIVE, clean_start=False, properties=lasting()
        )
    else:
        client.connect_async(settings.host, settings.port, KEEPALIVE)
    return client


def lasting() -> Properties:
    """Properties of an MQTT 5 client whose session persists."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = SESSION_SECONDS
    return properties
