"""Whose a message is, and whether it is unaltered."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from broadcast.alerts.cap.judge import Action, Verdict, judge
from broadcast.alerts.cap.signature import Anchor
from tests.alerts.cap.messages import NOW, Authority, alert, here, policy, sign


def verdict_on(data: bytes, anchor: Anchor) -> Verdict:
    return judge(data, policy(anchor), here(), NOW).verdict


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_signed_message_is_taken(authority: Authority) -> None:
    data = sign(alert(), authority.signer())
    assert verdict_on(data, authority.anchor).action is Action.PROPOSE


def test_a_certificate_itself_can_be_known(authority: Authority, tmp_path: Path) -> None:
    signer = authority.signer()
    path = tmp_path / "own.pem"
    path.write_bytes(signer.certificate)
    anchor = Anchor(path, signer.certificate)
    assert verdict_on(sign(alert(), signer), anchor).is_taken
    assert not verdict_on(sign(alert(), authority.signer()), anchor).is_taken


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"0000a", b"0000b"),
        (b"108.1", b"108.2"),
        ("Lũ quét".encode(), "Diễn tập".encode()),
        (b"<status>Actual", b"<status>Exercise"),
    ],
)
def test_what_was_changed_after_signing_is_refused(
    authority: Authority, old: bytes, new: bytes
) -> None:
    data = sign(alert(begin="<!-- 0000a -->"), authority.signer())
    changed = data.replace(old, new)
    verdict = verdict_on(changed, authority.anchor)
    comment_only = old == b"0000a"
    assert verdict.is_taken is comment_only  # comments are outside what is signed and what is read
    assert comment_only or "bị sửa sau khi ký" in verdict.reasons[0]


def test_without_a_signature_it_is_not_believed(authority: Authority) -> None:
    assert "thiếu chữ ký" in verdict_on(alert(), authority.anchor).reasons[0]


def test_the_signature_of_another_is_refused(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "Stranger")
    verdict = verdict_on(sign(alert(), stranger.signer()), authority.anchor)
    assert "không thuộc nơi phát này" in verdict.reasons[0]


def test_a_certificate_counts_as_of_the_sending(authority: Authority) -> None:
    day = timedelta(days=1)
    run_out = sign(
        alert(),
        authority.signer(begins=NOW - day, ends=NOW - timedelta(minutes=1)),
    )
    over = sign(alert(), authority.signer(begins=NOW - 2 * day, ends=NOW - day))
    coming = sign(alert(), authority.signer(begins=NOW + day, ends=NOW + 2 * day))
    taken = [verdict_on(data, authority.anchor).is_taken for data in (run_out, over, coming)]
    assert taken == [True, False, False]


def test_two_signatures_are_refused(authority: Authority) -> None:
    once = sign(alert(), authority.signer())
    begin, end = once.index(b"<ds:Signature"), once.index(b"</ds:Signature>") + 15
    twice = once.replace(b"</alert>", once[begin:end] + b"</alert>")
    assert "nhiều chữ ký" in verdict_on(twice, authority.anchor).reasons[0]


def test_what_lies_around_what_was_signed_is_not_taken(authority: Authority) -> None:
    """Signature wrapping: the signed message inside another, whose words are others."""
    inner = sign(alert(), authority.signer())
    inner = inner[inner.index(b"<alert") :]
    begin, end = inner.index(b"<ds:Signature"), inner.index(b"</ds:Signature>") + 15
    signature = inner[begin:end].replace(
        b"</ds:Signature>", b"<ds:Object>" + inner + b"</ds:Object></ds:Signature>"
    )
    verdict = verdict_on(alert(end=signature.decode()), authority.anchor)
    assert verdict.action is Action.REFUSE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<ds:SignatureValue>", b"<ds:SignatureValue>AAAA"),
        (b"<ds:X509Certificate>", b"<ds:X509Certificate>!!"),
        (b"ecdsa-sha256", b"ecdsa-sha1"),
        (b"ecdsa-sha256", b"hmac-sha256"),
        (b"<ds:KeyInfo>", b"<ds:KeyInfo><ds:KeyName>a</ds:KeyName>"),
        (b'URI=""', b'URI="#other"'),
        (b'URI=""', b'URI="http://169.254.169.254/"'),
    ],
)
def test_a_signature_that_is_broken_is_refused_and_is_no_error(
    authority: Authority, old: bytes, new: bytes
) -> None:
    data = sign(alert(), authority.signer()).replace(old, new)
    verdict = verdict_on(data, authority.anchor)
    harmless = b"KeyName" in new
    assert verdict.is_taken is harmless
