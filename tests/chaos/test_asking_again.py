"""People who ask again, while the server is away, ask for the same thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest

from broadcast.demo import api as asking
from broadcast.demo.api import Api, Refused

Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "RETRY_SECONDS", 0.0)


class Server:
    """Answers in turn; an exception is a connection that broke."""

    def __init__(self, *answers: tuple[int, dict[str, Any]] | Exception) -> None:
        self.asked: list[httpx.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer[0], json=answer[1])

    def api(self, patience: float) -> Api:
        api = Api("http://server", "b", "a", patience)
        api._client = httpx.AsyncClient(
            base_url="http://server/api/v1", transport=httpx.MockTransport(self)
        )
        return api


async def ask(server: Server, patience: float = 60, reached: str | None = None) -> dict[str, Any]:
    async with server.api(patience) as api:
        return await api._post("/schedules", {"n": 1}, {}, reached)


async def test_they_ask_again_with_the_same_key_until_they_are_answered() -> None:
    server = Server(httpx.ReadError("broken"), (503, {}), (201, {"id": "s1"}))
    assert await ask(server) == {"id": "s1"}
    assert len(server.asked) == 3
    assert len({(r.headers["idempotency-key"], r.content) for r in server.asked}) == 1


async def test_a_no_is_an_answer() -> None:
    server = Server((503, {}), (422, {"detail": "starts_at: đã qua"}))
    with pytest.raises(Refused, match="đã qua"):
        await ask(server)


async def test_without_patience_they_ask_once() -> None:
    server = Server(httpx.ConnectError("nobody there"))
    with pytest.raises(Refused, match="nobody there"):
        await ask(server, patience=0)


async def test_a_step_that_was_taken_before_the_answer_was_lost_is_taken() -> None:
    server = Server(httpx.ReadError("broken"), (409, {"state": "submitted"}))
    assert await ask(server, reached="submitted") == {}


@pytest.mark.parametrize(
    "answers",
    [
        [(409, {"state": "submitted"})],
        [httpx.ReadError("broken"), (409, {"state": "withdrawn"})],
    ],
)
async def test_a_step_that_somebody_else_has_taken_is_refused(answers: list[Any]) -> None:
    with pytest.raises(Refused):
        await ask(Server(*answers), reached="submitted")
