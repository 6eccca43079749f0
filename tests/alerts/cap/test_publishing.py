"""Alerts of ours as CAP 1.2: valid, and with the same meaning when they are read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.alerts.cap import publishing, reading, signature, writing
from broadcast.alerts.cap.judge import Action, judge
from broadcast.alerts.cap.message import MsgType, Status
from broadcast.alerts.cap.policy import Issuer, Policy
from broadcast.alerts.cap.publishing import Known
from broadcast.alerts.model import Alert, AlertEvent
from broadcast.alerts.state import AlertKind, AlertState
from broadcast.api import create_app
from broadcast.kit import db
from broadcast.wire.fields import AlertMode
from tests.alerts.cap.messages import NOW, Authority, here
from tests.alerts.world import AlertWorld
from tests.examples import examples
from tests.web.routes import worked_out

SENDER = "canhbao@quangngai.gov.vn"
POLICY = Policy((Issuer(SENDER, "Tỉnh"),), languages=("vi", "hre"))


def an_alert(number: int = 1, **changes: Any) -> Alert:
    columns = {
        "id": UUID(int=number), "kind": AlertKind.ALERT, "mode": AlertMode.ACTUAL,
        "event": AlertEvent.FLOOD, "headline": "Lũ lên nhanh", "texts": {"vi": "Lên chỗ cao."},
        "area_code": "0000a", "targets": [{"area": "0000a"}], "targets_on": NOW.date(),
        "starts_at": NOW, "ends_by": NOW + timedelta(hours=1), "state": AlertState.AUTHORISED,
        "created_at": NOW, "proposed_at": NOW, "authorised_at": NOW,
    }  # fmt: skip
    return Alert(**columns | changes)


known = Known(SENDER, here().lineage, {"C-1": ["b1"]})

words = st.sampled_from(("Lũ lên", "a < b & c", "Sóng cao 5 m\nchạy lên đồi", "\x07Bão", "𝄞"))
seconds = st.integers(-3600, 3600).map(lambda n: timedelta(seconds=n, microseconds=n % 999))
alerts = st.builds(
    lambda mode, event, headline, texts, targets, begins: an_alert(
        mode=mode, event=event, headline=headline, texts=texts, targets=targets,
        authorised_at=NOW + min(begins, timedelta(0)), starts_at=NOW + begins,
        ends_by=NOW + begins + timedelta(hours=2),
    ),
    st.sampled_from(AlertMode),
    st.sampled_from(AlertEvent),
    words,
    st.dictionaries(st.sampled_from(("vi", "hre")), words, min_size=1),
    st.lists(
        st.sampled_from(({"area": "0000a"}, {"area": "b2"}, {"area": "51"}, {"cluster": "C-1"})),
        min_size=1, unique_by=str,
    ),
    seconds,
)  # fmt: skip


def villages(codes: Iterable[str]) -> set[str]:
    tree = here().lineage.tree_on(NOW.date())
    return {village for code in codes for village in tree.villages(code)}


@settings(max_examples=examples(60))
@given(alerts)
def test_any_alert_of_ours_is_valid_and_means_the_same_when_read(alert: Alert) -> None:
    document = writing.write(writing.element(publishing.message_of(alert, known)))
    message, verdict = judge(document, POLICY, here(), NOW)
    assert message is not None, verdict.reasons
    expected = {
        AlertMode.ACTUAL: Action.PROPOSE,
        AlertMode.EXERCISE: Action.DRILL,
        AlertMode.TEST: Action.RECORD,
    }
    assert verdict.action is expected[alert.mode], verdict.reasons
    if alert.mode is AlertMode.TEST:
        return
    targets = {target.get("area") or "b1" for target in alert.targets}
    assert villages(verdict.codes) == villages(targets)
    assert {text.language for text in verdict.texts} == set(alert.texts)
    assert alert.starts_at is not None
    assert {each.onset for each in message.infos} == {alert.starts_at.replace(microsecond=0)}
    assert verdict.starts_at == alert.starts_at.replace(microsecond=0)


def test_an_update_an_all_clear_and_a_cancellation_name_what_they_end() -> None:
    first = an_alert(1, state=AlertState.CANCELLED, ended_at=NOW)
    update = publishing.message_of(
        an_alert(2, kind=AlertKind.UPDATE), known._replace(replaced=first)
    )
    clear = publishing.message_of(
        an_alert(3, kind=AlertKind.ALL_CLEAR), known._replace(replaced=first)
    )
    cancel = publishing.cancellation_of(first, known)
    messages = [
        reading.read(reading.parse(writing.write(writing.element(each))))
        for each in (update, clear, cancel)
    ]
    assert [each.msg_type for each in messages] == [MsgType.UPDATE, MsgType.UPDATE, MsgType.CANCEL]
    assert {each.references[0].identifier for each in messages} == {str(first.id)}
    assert messages[1].infos[0].urgency == "Past"
    assert messages[2].infos == ()


def test_a_drill_is_an_exercise_and_never_actual() -> None:
    message = publishing.message_of(an_alert(mode=AlertMode.EXERCISE), known)
    assert message.status is Status.EXERCISE


# --- over HTTP -----------------------------------------------------------------------------------


async def ask(engine: AsyncEngine, settings: config.Settings, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(worked_out(create_app(settings, engine)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path)


async def test_the_feed_is_there_for_everybody_where_the_province_has_a_name(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    named = config.Settings(cap=config.Cap(sender=SENDER))
    feed = await ask(engine, named, "/cap/feed.atom")
    assert feed.status_code == 200, feed.text
    assert feed.headers["content-type"].startswith("application/atom+xml")
    root = reading.parse(feed.content)
    assert root.findtext("{http://www.w3.org/2005/Atom}id") == "http://test/cap/feed.atom"
    assert (await ask(engine, config.Settings(), "/cap/feed.atom")).status_code == 404
    for name in ("none", str(UUID(int=1))):
        assert (await ask(engine, named, f"/cap/{name}.xml")).status_code == 404


async def test_what_took_the_place_of_something_that_never_sounded_is_an_alert(
    world: AlertWorld,
) -> None:
    first, second = await world.prepared(), await world.issued()
    named = world.settings.model_copy(update={"cap": config.Cap(sender=SENDER)})
    async with db.transaction(world.engine) as session:
        await session.execute(
            sa.update(Alert)
            .where(Alert.id == second)
            .values(replaces_id=first, kind=AlertKind.ALL_CLEAR)
        )
        feed = await publishing.feed(session, named, "http://test", world.now)
        document = await publishing.document(session, str(second), named, world.now)
    assert str(second).encode() in feed
    message = reading.read(reading.parse(document))
    assert (message.msg_type, message.references) == (MsgType.ALERT, ())


def test_the_entries_of_the_feed_lead_to_the_messages() -> None:
    entries = [
        (publishing.message_of(an_alert(1), known), "Lũ"),
        (publishing.message_of(an_alert(2, mode=AlertMode.EXERCISE), known), "Lũ"),
    ]
    atom = "{http://www.w3.org/2005/Atom}"
    root = reading.parse(publishing._atom(entries, SENDER, "https://a.vn", NOW))
    titles = [entry.findtext(f"{atom}title") for entry in root.iter(f"{atom}entry")]
    links = [entry.find(f"{atom}link").get("href") for entry in root.iter(f"{atom}entry")]
    assert titles == ["Lũ", "[Exercise] Lũ"]
    assert links[0] == f"https://a.vn/cap/{UUID(int=1)}.xml"


def test_what_is_published_is_signed_where_there_is_a_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    signer = authority.signer()
    (tmp_path / "key.pem").write_bytes(signer.key)
    (tmp_path / "own.pem").write_bytes(signer.certificate)
    read = publishing.signer_of(
        config.Cap(key_file=tmp_path / "key.pem", certificate_file=tmp_path / "own.pem")
    )
    assert read == signer
    root = writing.element(publishing.message_of(an_alert(), known))
    document = writing.write(signature.signed(root, signer))
    issuers = Policy((Issuer(SENDER, "Tỉnh", authority.anchor),))
    verdict = judge(document, issuers, here(), datetime(2026, 11, 29, 5, 1, tzinfo=UTC)).verdict
    assert verdict.action is Action.PROPOSE, verdict.reasons


@pytest.mark.parametrize("given_file", ["key_file", "certificate_file"])
def test_half_a_certificate_is_refused_by_the_settings(given_file: str) -> None:
    with pytest.raises(ValueError, match="key_file"):
        config.Cap.model_validate({given_file: "x.pem"})
