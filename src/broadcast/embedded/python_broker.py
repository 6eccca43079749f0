"""The broker of last resort: amqtt, run as `python -m broadcast.embedded.python_broker PORT`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from amqtt.broker import Broker
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session


class EveryoneByName(BaseAuthPlugin):  # type: ignore[misc]  # amqtt is read as untyped
    """Admits everyone, as the broker listens on loopback only.

    amqtt's own anonymous plugin marks its sessions, and the broker then forgets a marked session
    and what waits for it one second after its client has gone.
    """

    async def authenticate(self, *, session: Session) -> bool:
        """Admit, whatever the session says."""
        del session
        return True


class SubscribersOnly(Broker):  # type: ignore[misc]  # amqtt is read as untyped
    """amqtt, but retained messages go to those who subscribed to them.

    As released, every client that connects is sent, unasked, each retained message that anybody's
    subscription matches: all programmes and all audio of the province, to each loudspeaker.
    """

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        subscribers = self.subscriptions.get(subscription[0], ())
        if any(subscriber.client_id == session.client_id for subscriber, _ in subscribers):
            await super()._publish_retained_messages_for_subscription(subscription, session)


async def serve(port: int) -> None:
    """Serve MQTT 3.1.1 on a loopback port until cancelled."""
    broker = SubscribersOnly(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {f"{EveryoneByName.__module__}.{EveryoneByName.__qualname__}": {}},
        }
    )
    await broker.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    # What a shell begins in the background ignores interrupts, and so do all its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(serve(int(sys.argv[1])))
