"""Questions and orders to a broker before the link: its features, and sessions to be ended."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from broadcast.config import Mqtt
from broadcast.mqtt.client import lasting
from broadcast.mqtt.login import log_in

ASK_SECONDS = 5.0
"""A broker of 3.1.1 may answer a question in MQTT 5 with silence."""


async def shares_subscriptions(settings: Mqtt, session: str) -> bool:
    """Ask the broker whether it speaks MQTT 5 and shares subscriptions among clients.

    Args:
        settings: Address of the broker and login.
        session: Client id to ask under, which may be the only one that the broker lets us have.
            What it keeps for that session stays.

    Raises:
        OSError: It cannot be reached.
    """
    return await asyncio.to_thread(_shares_subscriptions, settings, session)


def _shares_subscriptions(settings: Mqtt, session: str) -> bool:
    answers: list[bool] = []

    def on_connect(_: Any, __: Any, ___: Any, reason: Any, properties: Any) -> None:
        shares = getattr(properties, "SharedSubscriptionAvailable", 1)
        answers.append(not reason.is_failure and bool(shares))

    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        session,
        protocol=paho.MQTTv5,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    log_in(client, settings, session)
    client.on_connect = on_connect
    client.on_disconnect = lambda *_: answers.append(False)
    client.connect(settings.host, settings.port, clean_start=False, properties=lasting())
    until = time.monotonic() + ASK_SECONDS
    while not answers and time.monotonic() < until:
        client.loop(0.1)
    client.disconnect()
    return bool(answers) and answers[0]


async def end_session(settings: Mqtt, client_id: str) -> None:
    """Have the broker forget the session of a client that will not come back.

    Raises:
        OSError: It cannot be reached.
    """
    await asyncio.to_thread(_end_session, settings, client_id)


def _end_session(settings: Mqtt, client_id: str) -> None:
    answers: list[bool] = []
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id, clean_session=True, reconnect_on_failure=False
    )
    log_in(client, settings, client_id)
    client.on_connect = lambda *_: answers.append(True)
    client.connect(settings.host, settings.port)
    until = time.monotonic() + ASK_SECONDS
    while not answers and time.monotonic() < until:
        client.loop(0.1)
    client.disconnect()
