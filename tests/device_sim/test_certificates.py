"""When a box asks for its next certificate, and what it does with the answer."""

from __future__ import annotations

from datetime import timedelta

from broadcast.wire.commands import NewCertificate
from broadcast.wire.events import CertificateRequest
from device_sim.effects import KeepCertificate
from tests.device_sim.province import START, Province, at

DAY = timedelta(days=1)


def requests(province: Province) -> list[CertificateRequest]:
    return province.of(CertificateRequest)


def test_a_box_asks_from_the_day_on_that_it_was_told_once_an_hour() -> None:
    province = Province()
    device = province.device(csr="its request", renew_at=at(90))
    province.harness.advance(80 * 60)
    assert requests(province) == []
    province.harness.advance(60 * 60)
    assert requests(province) == [CertificateRequest(csr="its request")]
    province.harness.disconnect(device, 5)
    province.harness.advance(10)
    assert len(requests(province)) == 1, "not at every connection of a bad line"
    province.harness.advance(3 * 3600)
    assert len(requests(province)) == 4


def test_it_asks_no_more_when_it_has_its_certificate() -> None:
    province = Province()
    device = province.device(csr="its request", renew_at=START - DAY, watched=True)
    assert len(requests(province)) == 1
    province.command(
        NewCertificate, certificate="a certificate", renew_at=START + 60 * DAY,
        expires_at=START + 90 * DAY,
    )  # fmt: skip
    kept = [each for each in device.effects if isinstance(each, KeepCertificate)]
    assert kept == [KeepCertificate("a certificate", START + 60 * DAY, START + 90 * DAY)]
    assert device.player is not None
    device.player.renewed(kept[0].renew_at)
    province.harness.advance(5 * 3600)
    assert len(requests(province)) == 1


def test_a_box_without_a_certificate_neither_asks_nor_takes_one() -> None:
    province = Province()
    device = province.device(watched=True)
    province.command(
        NewCertificate, certificate="x", renew_at=START + DAY, expires_at=START + 2 * DAY
    )
    province.harness.advance(3 * 3600)
    assert requests(province) == []
    assert not any(isinstance(each, KeepCertificate) for each in device.effects)


def test_a_clock_that_is_not_trusted_asks_when_it_is_right_again() -> None:
    province = Province()
    province.answers_time = False
    device = province.device(
        csr="its request", renew_at=START - DAY, ntp=False, areas=(), skew=timedelta(days=-400)
    )
    province.harness.advance(30)
    assert requests(province) == []
    device.ntp = True
    province.harness.disconnect(device, 5)
    province.harness.advance(30)
    assert len(requests(province)) == 1
