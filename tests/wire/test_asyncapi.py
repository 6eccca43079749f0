"""The published document: what the code says, whole, and sound as AsyncAPI 3.0."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast import config
from broadcast.wire import asyncapi
from broadcast.wire.asyncapi import PREFIX, PUBLISHED, document, flows
from tests.examples import examples
from tests.wire.payloads import TYPES

DOCUMENT: dict[str, Any] = yaml.safe_load(PUBLISHED.read_text())


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from nodes(inner)


def resolve(reference: str) -> Any:
    assert reference.startswith("#/")
    found: Any = DOCUMENT
    for step in reference[2:].split("/"):
        found = found[step]
    return found


def test_the_published_document_is_what_the_code_says() -> None:
    check = [sys.executable, "-m", "broadcast.wire.asyncapi", "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert document() == DOCUMENT


def test_a_stale_document_is_noticed(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(asyncapi, "PUBLISHED", tmp_path / "asyncapi.yaml")
    monkeypatch.setattr(sys, "argv", ["asyncapi", "--check"])
    assert asyncapi.main() == 1
    assert "--write" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["asyncapi", "--write"])
    assert asyncapi.main() == 0
    monkeypatch.setattr(sys, "argv", ["asyncapi", "--check"])
    assert asyncapi.main() == 0


def test_every_reference_resolves() -> None:
    references = [node["$ref"] for node in nodes(DOCUMENT) if "$ref" in node]
    assert len(references) > 60
    for reference in references:
        assert isinstance(resolve(reference), dict)


def test_nothing_stands_beside_a_reference() -> None:
    assert [node for node in nodes(DOCUMENT) if "$ref" in node and len(node) > 1] == []


def test_every_message_of_the_contract_is_there_once() -> None:
    named = {t.__name__ for t in TYPES.values()} | {"Block", "LivePacket"}
    assert DOCUMENT["components"]["messages"].keys() == named
    assert len({flow.topic for flow in flows()}) == len(DOCUMENT["channels"])


def test_channels_have_the_parameters_of_their_address_and_messages_that_exist() -> None:
    for channel in DOCUMENT["channels"].values():
        assert set(re.findall(r"\{(\w+)\}", channel["address"])) == channel["parameters"].keys()
        for name, reference in channel["messages"].items():
            assert reference == {"$ref": f"#/components/messages/{name}"}


def test_every_channel_has_one_operation_seen_from_the_device() -> None:
    operated = [o["channel"]["$ref"].rpartition("/")[2] for o in DOCUMENT["operations"].values()]
    assert sorted(operated) == sorted(DOCUMENT["channels"])
    for operation in DOCUMENT["operations"].values():
        address = resolve(operation["channel"]["$ref"])["address"]
        assert operation["action"] == ("send" if "/event/" in address else "receive")


def test_state_is_retained_and_verbs_are_not() -> None:
    for operation in DOCUMENT["operations"].values():
        address = resolve(operation["channel"]["$ref"])["address"]
        retained = operation["bindings"]["mqtt"]["retain"]
        is_state = any(level in address for level in ("/state/", "/live/sessions", "/content/"))
        assert retained == is_state


def test_addresses_have_the_prefix_that_the_server_is_configured_with() -> None:
    assert config.Mqtt().prefix == PREFIX
    assert all(c["address"].startswith(f"{PREFIX}/") for c in DOCUMENT["channels"].values())


def test_every_message_and_every_schema_says_what_it_is() -> None:
    for message in DOCUMENT["components"]["messages"].values():
        assert message["summary"]
    undescribed = {
        n for n, s in DOCUMENT["components"]["schemas"].items() if "description" not in s
    }
    assert undescribed == set()


def test_strings_below_fields_are_their_descriptions() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert "a gap tells" in schemas["Heartbeat"]["properties"]["seq"]["description"]
    assert schemas["Item"]["properties"]["audio"]["description"].startswith("Renditions of")


text = st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" \n\n:-#|>'\"{}[]"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
    max_leaves=12,
)


@settings(max_examples=examples(50))
@given(
    st.dictionaries(
        text | st.sampled_from(["yes", "$ref", "a/{b}", "~", "1e3"]), values, min_size=1
    )
)
def test_yaml_is_read_back_as_it_was_meant(value: dict[str, Any]) -> None:
    assert yaml.safe_load(asyncapi.yaml(value)) == value
