"""What the province takes of whom: the file `BROADCAST_CAP__FILE`, in TOML.

Pure but for reading the files that it names.
"""

from __future__ import annotations

import tomllib
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, NamedTuple

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from broadcast.alerts.cap.message import Certainty, Info, Severity, Urgency
from broadcast.alerts.cap.places import OWN_CODES
from broadcast.alerts.cap.signature import Anchor
from broadcast.kit import outbound
from broadcast.kit.errors import InvalidInput
from broadcast.kit.outbound import Network


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Emergency(_Table):
    urgency: tuple[Urgency, ...] = (Urgency.IMMEDIATE,)
    severity: tuple[Severity, ...] = (Severity.EXTREME, Severity.SEVERE)
    certainty: tuple[Certainty, ...] = (Certainty.OBSERVED, Certainty.LIKELY)


class _Issuer(_Table):
    sender: str = Field(min_length=1)
    name: str = Field(min_length=1)
    certificates: Path | None = None


class _Feed(_Table):
    url: str = Field(min_length=1)
    name: str = Field(min_length=1, max_length=80)
    minutes: int = Field(2, ge=1, le=60)
    networks: tuple[str, ...] = ()


class _File(_Table):
    issuer: tuple[_Issuer, ...] = ()
    feed: Annotated[tuple[_Feed, ...], Field(max_length=20)] = ()
    emergency: _Emergency = _Emergency()
    languages: tuple[str, ...] = ("vi",)
    geocodes: Annotated[tuple[str, ...], Field(min_length=1)] = (OWN_CODES,)


class Issuer(NamedTuple):
    """An authority whose messages are taken."""

    sender: str
    """As `<sender>` has it."""
    name: str
    anchor: Anchor | None = None
    """What its signatures are held against; None: it does not sign."""


class Feed(NamedTuple):
    """An index of messages that is read again and again."""

    url: str
    name: str
    every: timedelta
    networks: tuple[Network, ...] = ()
    """Where it and its messages may lie besides the public Internet."""

    @property
    def account_name(self) -> str:
        """As the audit and lists call who has handed its messages in."""
        return f"Nguồn CAP {self.name}"


class Policy(NamedTuple):
    """Of whom, what and how."""

    issuers: tuple[Issuer, ...] = ()
    feeds: tuple[Feed, ...] = ()
    urgencies: frozenset[Urgency] = frozenset(_Emergency().urgency)
    severities: frozenset[Severity] = frozenset(_Emergency().severity)
    certainties: frozenset[Certainty] = frozenset(_Emergency().certainty)
    languages: tuple[str, ...] = ("vi",)
    """Wanted, best first; `vi` is met by `vi-VN` as well."""
    geocodes: tuple[str, ...] = (OWN_CODES,)

    def issuer(self, sender: str) -> Issuer | None:
        """Who sends under this name."""
        return next((each for each in self.issuers if each.sender == sender), None)

    def is_emergency(self, info: Info) -> bool:
        """Tell whether an info is one to interrupt everything for."""
        return (
            info.urgency in self.urgencies
            and info.severity in self.severities
            and info.certainty in self.certainties
        )


def load(path: Path | None) -> Policy:
    """Read the file; without one, nobody's messages are taken.

    Raises:
        InvalidInput: It is not as it has to be; names the key and the remedy.
        OSError: It cannot be read.
    """
    if path is None:
        return Policy()
    try:
        table = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise InvalidInput(
            path.name, "không phải TOML đọc được; xem mẫu trong operations.md"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise InvalidInput(
            key, f"sai trong tệp {path.name}; xem mẫu trong operations.md"
        ) from None
    issuers = tuple(_issuer(each, path.parent) for each in table.issuer)
    senders = [each.sender for each in issuers]
    for sender in senders:
        if senders.count(sender) > 1:
            raise InvalidInput("sender", f"“{sender}” có hai lần trong {path.name}; hãy gộp lại")
    feeds = tuple(_feed(each, path.name) for each in table.feed)
    if len({each.url for each in feeds}) < len(feeds):
        raise InvalidInput("url", f"một nguồn có hai lần trong {path.name}; hãy bỏ một")
    return Policy(
        issuers,
        feeds,
        frozenset(table.emergency.urgency),
        frozenset(table.emergency.severity),
        frozenset(table.emergency.certainty),
        table.languages,
        table.geocodes,
    )


def _feed(given: _Feed, file: str) -> Feed:
    try:
        aim = outbound.target(given.url)
        networks = tuple(map(ip_network, given.networks))
    except ValueError:
        raise InvalidInput(
            "feed",
            f"“{given.name}” trong tệp {file}: địa chỉ hoặc mạng viết sai; xem mẫu trong"
            " operations.md",
        ) from None
    return Feed(aim.url, given.name, timedelta(minutes=given.minutes), networks)


def _issuer(given: _Issuer, folder: Path) -> Issuer:
    anchor = None
    if given.certificates is not None:
        file = folder / given.certificates
        anchor = Anchor(file, file.read_bytes())
        try:
            x509.load_pem_x509_certificates(anchor.pem)
        except ValueError:
            raise InvalidInput(
                "certificates",
                f"tệp “{given.certificates}” không phải chứng chỉ dạng PEM; hãy đổi",
            ) from None
    return Issuer(given.sender, given.name, anchor)
