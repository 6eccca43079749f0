"""What is settled with a broker before the link: what it can do, and what it may forget."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import uuid4

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from broadcast.config import Mqtt
from broadcast.mqtt import log_in

ASK_SECONDS = 5.0
"""A broker of 3.1.1 may answer a question in MQTT 5 with silence."""


async def shares_subscriptions(settings: Mqtt) -> bool:
    """Ask the broker whether it speaks MQTT 5 and shares subscriptions among clients.

    Raises:
        OSError: It cannot be reached.
    """
    return await asyncio.to_thread(_shares_subscriptions, settings)


def _shares_subscriptions(settings: Mqtt) -> bool:
    answers: list[bool] = []

    def on_connect(_: Any, __: Any, ___: Any, reason: Any, properties: Any) -> None:
        shares = getattr(properties, "SharedSubscriptionAvailable", 1)
        answers.append(not reason.is_failure and bool(shares))

    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        f"{settings.client_id}-asks-{uuid4().hex[:8]}",
        protocol=paho.MQTTv5,
        reconnect_on_failure=False,
    )
    log_in(client, settings)
    client.on_connect = on_connect
    client.on_disconnect = lambda *_: answers.append(False)
    client.connect(settings.host, settings.port)
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
    log_in(client, settings)
    client.on_connect = lambda *_: answers.append(True)
    client.connect(settings.host, settings.port)
    until = time.monotonic() + ASK_SECONDS
    while not answers and time.monotonic() < until:
        client.loop(0.1)
    client.disconnect()
