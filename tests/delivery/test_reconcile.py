"""Who is behind, and what the broker holds that it should not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from broadcast.delivery.reconcile import Kept, behind, compare, resend_command
from broadcast.wire.commands import NEVER_LATE, Resend
from broadcast.wire.documents import Alerts, Programme
from broadcast.wire.envelope import SigningKey, Verifier

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
KEY, ALERTS, STRANGER = (SigningKey.generate(use) for use in ("programme", "alert", "programme"))
OURS = Verifier([KEY.public(), ALERTS.public()])
TOPICS = ["area/1/state/programme", "area/2/state/programme", "area/3/state/programme"]


def token(revision: int, key: SigningKey = KEY) -> bytes:
    return key.sign(
        Programme(
            scope="area/1", revision=revision, issued_at=NOW,
            not_after=NOW + timedelta(days=8), items=[],
        )
    )  # fmt: skip


def kept(revision: int) -> Kept:
    return Kept(revision, token(revision))


revisions = st.dictionaries(
    st.sampled_from(["a/1/p", "a/2/p", "device/x/config"]), st.integers(1, 9)
)


@given(revisions, revisions)
def test_a_device_is_behind_on_what_it_holds_in_an_older_revision_or_not_at_all(
    held: dict[str, int], wanted: dict[str, int]
) -> None:
    late = behind(held, wanted)
    assert set(late) == {key for key in wanted if key not in held or held[key] < wanted[key]}
    assert "device/x/config" not in late[1:]


def test_a_resend_is_for_one_device_and_for_a_while() -> None:
    command = resend_command(token(7), "QN-1", NOW)
    assert isinstance(command, Resend)
    assert (command.scope, command.not_after) == ("device/QN-1", NOW + NEVER_LATE)
    assert command.document.encode() == token(7)


def test_what_the_broker_has_as_we_do_is_left_alone() -> None:
    outbox = {topic: kept(revision) for revision, topic in enumerate(TOPICS, 1)}
    retained = {topic: token(revision) for revision, topic in enumerate(TOPICS, 1)}
    assert compare(outbox, retained, OURS) == ([], {}, {})


def test_what_it_lost_or_has_in_an_older_revision_is_missing() -> None:
    outbox = {TOPICS[0]: kept(5), TOPICS[1]: kept(5)}
    assert compare(outbox, {TOPICS[1]: token(4)}, OURS) == (TOPICS[:2], {}, {})


def test_what_it_has_newer_than_we_must_be_overtaken() -> None:
    outbox = {TOPICS[0]: kept(5), TOPICS[1]: kept(5)}
    other_five = KEY.sign(
        Programme(scope="area/2", revision=5, issued_at=NOW, not_after=NOW, items=[])
    )
    retained = {TOPICS[0]: token(9), TOPICS[1]: other_five, TOPICS[2]: token(3)}
    found = compare(outbox, retained, OURS)
    assert found == ([], {TOPICS[0]: 9, TOPICS[1]: 5, TOPICS[2]: 3}, {})


def test_a_row_that_is_spoilt_is_no_older_database() -> None:
    outbox = {TOPICS[0]: Kept(5, b"x"), TOPICS[1]: Kept(5, token(5, STRANGER))}
    retained = {TOPICS[0]: token(5), TOPICS[1]: token(6)}
    assert compare(outbox, retained, OURS) == ([], {TOPICS[1]: 6}, {TOPICS[0]: 5})


def test_what_we_did_not_sign_counts_as_nothing() -> None:
    outbox = {TOPICS[0]: kept(5), TOPICS[1]: kept(5), TOPICS[2]: kept(5)}
    alerts_by_wrong_key = KEY.sign(
        Alerts(scope="area/1", revision=99, issued_at=NOW, not_after=NOW, alerts=[])
    )
    retained = {
        TOPICS[0]: token(9, STRANGER),
        TOPICS[1]: b"\xff",
        TOPICS[2]: alerts_by_wrong_key,
        "area/9/state/programme": token(9, STRANGER),
    }
    assert compare(outbox, retained, OURS) == (TOPICS, {}, {})
