"""Filters by what there is not: never an empty list, which would say that all is well there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple, get_args

import httpx2 as httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.api import create_app
from broadcast.auth.permissions import Role
from broadcast.kit.times import DAY_PATTERN, MOMENT_PATTERN
from broadcast.plays import texts as words
from broadcast.telemetry.routes import AnyFault
from tests.callers import caller
from tests.web.calling import called_by
from tests.web.routes import application, worked_out

UUID = "e3e70682-c209-4cac-a29f-6fbed82c07cd"

NOT_OF_OURS = {
    ("/api/v1/bulletin-drafts/{page}/sound/audio", "sha256"): "the hash of bytes, no name",
    ("/api/v1/dead-letters", "device"): "what came from a device that nobody has enrolled",
    **{
        (path, name): "a part of a name, or what devices say of themselves"
        for path in ("/api/v1/fleet", "/api/v1/fleet/summary")
        for name in ("text", "firmware")
    },
    ("/api/v1/bulletins", "q"): "words that somebody looks for",
    ("/api/v1/bulletins", "tag"): "a word that somebody looks for",
    ("/api/v1/audit", "name"): "who did it, as they were called then",
    ("/api/v1/audit", "action"): "a part of an address or a command",
    ("/api/v1/audit", "object"): "an address, or what may have been deleted since",
    **{
        ("/api/v1/sign-in/openid/callback", name): "what an identity provider says"
        for name in (
            "state",
            "session_state",
            "code",
            "iss",
            "error",
            "error_description",
            "error_uri",
        )
    },
}
"""Text that a query may say and that names nothing of ours; why."""

PLACES = {
    "{code}/{variant}": "1.1/TH",
    "{code}/compare": "1.1/compare", "{bulletin_id}": UUID, "{number}": "1", "{page}": "new",
}  # fmt: skip


class Filter(NamedTuple):
    """A query parameter of the description."""

    method: str
    path: str
    name: str
    allowed: tuple[str, ...]
    """Empty where it names something."""
    value: str
    """Well written, and there is no such thing."""

    @property
    def url(self) -> str:
        url = self.path
        for name, value in PLACES.items():
            url = url.replace(name, value)
        return url.replace("{", "").replace("}", "")


def filters() -> Iterator[Filter]:
    """Every query parameter but times, numbers, and yes or no."""
    described = application().openapi()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            for given in operation.get("parameters", []):
                kinds = list(_kinds(given["schema"], described))
                enumerated = [value for kind in kinds for value in _values(kind)]
                texts = [kind for kind in kinds if kind["type"] == "string"]
                if given["in"] != "query" or not texts or given["name"] == "cursor":
                    continue
                if any(kind.get("pattern") in {DAY_PATTERN, MOMENT_PATTERN} for kind in texts):
                    continue
                value = UUID if any(kind.get("format") == "uuid" for kind in texts) else "99999"
                value = "99" if given["name"] == "province" else value
                yield Filter(method, path, given["name"], tuple(enumerated), value)


def _kinds(schema: dict[str, Any], described: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from _kinds(described["components"]["schemas"][name], described)
    elif "anyOf" in schema:
        for each in schema["anyOf"]:
            yield from _kinds(each, described)
    elif schema["type"] == "array":
        yield from _kinds(schema["items"], described)
    else:
        yield schema


def _values(kind: dict[str, Any]) -> list[str]:
    return kind.get("enum", [kind["const"]] if "const" in kind else [])


FILTERS = list(filters())
ENUMERATIONS = [each for each in FILTERS if each.allowed]
NAMES = [each for each in FILTERS if not each.allowed]


@pytest.fixture
async def whole(engine: AsyncEngine, postgres_dsn: str) -> AsyncIterator[httpx.AsyncClient]:
    app = worked_out(
        create_app(config.Settings(postgres=config.Postgres(dsn=SecretStr(postgres_dsn))), engine)
    )
    called_by(app, caller("Tâm", Role.PROVINCE_ADMIN))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        yield client


async def test_a_value_that_is_none_of_an_enumeration_is_refused(
    whole: httpx.AsyncClient,
) -> None:
    """A walk over the description: the answer names the field and what it may be."""
    assert len(ENUMERATIONS) > 14
    for each in ENUMERATIONS:
        answer = await whole.request(each.method, each.url, params={each.name: "nope"})
        assert answer.status_code == 422, (each, answer.text)
        problem = answer.json()
        assert problem["field"] == each.name, (each, problem)
        for value in each.allowed:
            assert value in problem["detail"], (each, problem)
        assert problem["detail"].startswith(f"{each.name}: phải là một trong: "), problem


async def test_a_filter_by_what_there_is_not_is_refused(whole: httpx.AsyncClient) -> None:
    """A walk over the description: a new parameter that names a thing is among them."""
    assert len(NAMES) > 17
    for each in NAMES:
        if (each.path, each.name) in NOT_OF_OURS:
            continue
        answer = await whole.request(each.method, each.url, params={each.name: each.value})
        assert answer.status_code in {404, 422}, (each, answer.text)
        problem = answer.json()
        assert problem["field"] == each.name, (each, problem)
        assert each.value in problem["detail"], (each, problem)
    assert NOT_OF_OURS.keys() <= {(each.path, each.name) for each in NAMES}


def test_every_kind_of_fault_has_its_words() -> None:
    assert set(get_args(AnyFault)) == words.FAULTS.keys()
