"""Messages that authorities have published (`published/README.md`), each for the right reason."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from broadcast.alerts.cap import reading
from broadcast.alerts.cap.judge import Action, judge
from broadcast.alerts.cap.policy import Issuer, Policy
from broadcast.alerts.cap.signature import SIGNATURE, Anchor
from tests.alerts.cap.messages import here

PUBLISHED = Path(__file__).parent / "published"
SEYCHELLES = "info@meteo.gov.sc"
SIGNED_AT = "2024-07-02T12:00:00+00:00"
"""The Seychelles' messages of May were signed for the tests of WMO, in July."""


class Case(NamedTuple):
    at: str
    action: Action
    reason: str


NOWHERE, OVER = "không có thôn nào", "hết hiệu lực"
R = Action.REFUSE

CASES = {
    "canada.cap": Case("2012-05-02T23:30:00+00:00", Action.CANCEL, NOWHERE),  # an Update
    "earthquake-iso8859-1.cap": Case("2012-10-15T00:00:00+00:00", R, NOWHERE),
    "earthquake.cap": Case("2010-08-31T06:00:00+00:00", R, "CAP 1.1"),
    "empty_weather_index.atom": Case("2010-08-31T06:00:00+00:00", R, "danh mục"),
    "invalid.cap": Case("2010-08-31T06:00:00+00:00", R, "<scope>"),
    "no_optional_fields.cap": Case("2010-08-31T06:00:00+00:00", R, "CAP 1.1"),
    "noaa_errors.cap": Case("2011-07-10T06:00:00+00:00", R, "CAP 1.1"),
    "wcatwc-warning.cap": Case("2011-09-02T11:40:00+00:00", R, "của nơi phát khác"),
    "weather.cap": Case("2010-08-30T12:00:00+00:00", R, "CAP 1.1"),
    "weather_index.atom": Case("2010-08-31T06:00:00+00:00", R, "danh mục"),
    "wmo-sc-invalid_digest.xml": Case(SIGNED_AT, R, "chữ ký không khớp"),
    "wmo-sc-invalid_schema.xml": Case(SIGNED_AT, R, "lược đồ"),
    "wmo-sc-no_signature.xml": Case(SIGNED_AT, R, "thiếu chữ ký"),
    "wmo-sc-valid.xml": Case(SIGNED_AT, R, OVER),
}


def _policy(folder: Path) -> Policy:
    root = reading.parse((PUBLISHED / "wmo-sc-valid.xml").read_bytes())
    text = root.findtext(f".//{SIGNATURE[:-9]}X509Certificate").strip()
    path = folder / "meteo.sc.pem"
    path.write_text(f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    others = (
        "cap@ec.gc.ca",
        "http://earthquake.usgs.gov/research/monitoring/anss/neic/",
        "http://newwcatwc.arh.noaa.gov/tsuPortal/",
    )
    return Policy((
        Issuer(SEYCHELLES, "Seychelles", Anchor(path, path.read_bytes())),
        *(Issuer(sender, sender) for sender in others),
    ))  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_published_message_is_refused_for_the_right_reason(name: str, tmp_path: Path) -> None:
    data = (PUBLISHED / name).read_bytes()
    at, action, reason = CASES[name]
    verdict = judge(data, _policy(tmp_path), here(), datetime.fromisoformat(at)).verdict
    assert verdict.action is action
    assert reason in " | ".join(verdict.reasons)


def test_every_published_message_is_tried() -> None:
    assert {path.name for path in PUBLISHED.iterdir()} - {"README.md"} == set(CASES)


def test_where_nobody_is_known_all_are_refused() -> None:
    now = datetime.fromisoformat("2012-05-02T23:30:00+00:00")
    verdict = judge((PUBLISHED / "canada.cap").read_bytes(), Policy(), here(), now).verdict
    assert "cap@ec.gc.ca" in verdict.reasons[0]
    assert not verdict.is_taken
