"""The grid on the sample province of the inboxes."""

from __future__ import annotations

from tests.inbox.conftest import world as world  # noqa: PLC0414  a fixture
