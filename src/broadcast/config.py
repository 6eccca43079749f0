"""Settings: the only reader of the environment.

Every setting has a name `BROADCAST_<GROUP>__<FIELD>`, in the environment or, where it is not
there, in `ENVIRONMENT_FILE`, so that the services and the command line see the same. A secret
comes from the file that a `*_file` setting names, such as a credential of systemd.
`broadcast config` prints all of them with their defaults and meaning.
"""

from __future__ import annotations

import json
import os
from datetime import time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

ENVIRONMENT_FILE = Path("/etc/broadcast/broadcast.env")
"""Where an installation keeps its settings."""

ENVIRONMENT_FILE_NAME = "BROADCAST_ENV_FILE"
"""Names another file; empty: none is read."""

Port = Annotated[int, Field(ge=1, le=65535)]


class Group(BaseModel):
    """Settings that belong together; any other name is refused: it is a misspelling."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Postgres(Group):
    """PostgreSQL ≥ 15."""

    dsn: SecretStr = Field(
        SecretStr("postgresql://broadcast@localhost/broadcast"),
        description="postgresql://user@host[:port]/database, or a socket with ?host=",
    )
    password_file: Path | None = Field(None, description="password of the user in DSN")
    pool_size: int = Field(
        10, ge=3, description="connections the role web may hold, and any other but the next two"
    )
    ingest_pool: int = Field(6, ge=4, description="connections each ingest worker may hold")
    dispatch_pool: int = Field(
        5, ge=3, description="connections the role dispatch may hold, and one more for upkeep"
    )
    statement_timeout: PositiveFloat = Field(30.0, description="seconds")

    @model_validator(mode="after")
    def _read_password(self) -> Postgres:
        """Put the password into the address, where all who connect find it."""
        if self.password_file is None:
            return self
        address = urlsplit(self.dsn.get_secret_value())
        user, at, host = address.netloc.rpartition("@")
        if ":" in user or not user:
            raise ValueError(
                "BROADCAST_POSTGRES__PASSWORD_FILE cần tên người dùng trong"
                " BROADCAST_POSTGRES__DSN, và không có mật khẩu ở đó"
            )
        password = quote(self.password_file.read_text().strip(), safe="")
        with_password = address._replace(netloc=f"{user}:{password}{at}{host}")
        self.dsn = SecretStr(urlunsplit(with_password))
        return self


READINESS_POOL = 2
"""Connections by which `/readyz` looks, of each process that answers it."""

LIVE = 1
"""Connections by which a process that serves pages hears of changes."""

UPKEEP = 2
"""Connections of the leader's upkeep, which has no pool."""


SESSION = "{session}"
"""In settings of the broker: stands for the client id of each of the server's sessions."""


class Mqtt(Group):
    """The broker, as the server connects to it."""

    host: str = "localhost"
    port: Port = 1883
    username: str | None = Field(
        None, description="in this and in the names of files {session} stands for the client id"
    )
    password_file: Path | None = None
    tls_ca_file: Path | None = Field(None, description="set it to speak TLS")
    tls_server_name: str | None = Field(
        None, description="name in the broker's certificate, where it is not the host"
    )
    tls_cert_file: Path | None = Field(None, description="client certificate, with its chain")
    tls_key_file: Path | None = Field(None, description="its key, where the former lacks it")
    prefix: str = Field("ttn/v1", description="first levels of every topic; wire.md")
    client_id: str = Field(
        "broadcast", description="of the first session; the others append -dispatch, -2, -3 …"
    )
    inflight: PositiveInt = Field(1000, description="unacknowledged QoS 1 publishes at once")

    def session(self, name: str | None = None) -> str:
        """Client id of one of the server's sessions; without a name, of the first one."""
        return self.client_id if name is None else f"{self.client_id}-{name}"

    def worker_session(self, worker: int) -> str:
        """Client id of one of the workers of ingest."""
        return self.session(None if worker == 1 else str(worker))

    @model_validator(mode="after")
    def _tls_is_on(self) -> Mqtt:
        for name in ("tls_server_name", "tls_cert_file", "tls_key_file"):
            if getattr(self, name) is not None and self.tls_ca_file is None:
                raise ValueError(f"{name} cần cả BROADCAST_MQTT__TLS_CA_FILE")
        return self


class Ingest(Group):
    """The inbound path."""

    workers: PositiveInt = Field(1, description="processes that share it, the same for all")
    sharing: Literal["auto", "shared", "shards"] = Field(
        "auto", description="shared: by the broker (MQTT 5); shards: each takes its devices"
    )


class Web(Group):
    """The REST interface."""

    host: str = Field(
        "127.0.0.1", description="loopback unless told otherwise; a token is needed either way"
    )
    port: Port = 8080
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#@]+$",
        description="as people and devices reach it: https://name, no path; for links, QR codes…",
    )
    upload_limit_bytes: PositiveInt = Field(200 * 2**20, description="largest accepted upload")
    connections: PositiveInt = Field(
        512, description="open at once; idle ones give way, then 503; half the file limit at most"
    )


class SignIn(Group):
    """Signing in of people."""

    session_idle: timedelta = Field(
        timedelta(hours=2), description="a session ends when it has not been used for so long"
    )
    session_longest: timedelta = Field(
        timedelta(hours=12), description="a session ends so long after the sign-in"
    )
    screen_idle: timedelta = Field(
        timedelta(days=14), description="the same, of a screen that only shows the wall"
    )
    screen_longest: timedelta = Field(
        timedelta(days=180), description="the same, of a screen that only shows the wall"
    )
    second_factor_fresh: timedelta = Field(
        timedelta(hours=12), description="a second factor counts for so long, for approving"
    )
    link_valid: timedelta = Field(
        timedelta(days=3),
        description="one-time links: invitations, `broadcast accounts reset`",
    )
    secret_key_file: Path | None = Field(
        None, description="encrypts TOTP secrets; made by `broadcast accounts create-key`"
    )
    demo: tuple[str, ...] = Field(
        (),
        description="logins that anybody signs in as by one click, with a second factor: for a"
        " demonstration on this machine; refused where BROADCAST_WEB__HOST is not loopback",
    )


class OpenId(Group):
    """Signing in at an identity provider, such as the province's (OpenID Connect)."""

    issuer: str | None = Field(
        None,
        pattern=r"^https?://[^?#]+$",
        description="as its discovery document says it; none: people sign in here alone",
    )
    client_id: str = Field("broadcast", description="by which it knows us")
    client_secret_file: Path | None = Field(
        None, description="secret that goes with it; none: PKCE alone"
    )


class Metrics(Group):
    """Monitoring of a process without a token: /metrics and /healthz, on loopback."""

    port: Port | None = Field(None, description="of this process alone; none: it is not watched")


class Keys(Group):
    """The province's signing keys (Ed25519), made at the first start."""

    dir: Path = Field(Path("var/keys"), description="the private keys, a file each, encrypted")
    passphrase_file: Path = Field(
        Path("var/keys.passphrase"), description="what they are encrypted with; keep copies apart"
    )
    pkcs11_module: Path | None = Field(
        None, description="library of a device that keeps the keys instead of files (extra pkcs11)"
    )
    pkcs11_token: str = Field("broadcast", description="label of its token")
    pkcs11_pin_file: Path | None = None

    @model_validator(mode="after")
    def _pin_is_there(self) -> Keys:
        if self.pkcs11_module is not None and self.pkcs11_pin_file is None:
            raise ValueError("pkcs11_module cần cả BROADCAST_KEYS__PKCS11_PIN_FILE")
        return self


class Enrolment(Group):
    """What devices are given at enrolment."""

    broker_host: str | None = Field(
        None, description="as devices reach it; by default BROADCAST_MQTT__HOST"
    )
    broker_port: Port = Field(8883, description="for devices with a certificate")
    password_port: Port = Field(8885, description="for devices with a password")
    authority_dir: Path = Field(
        Path("var/keys"), description="files made by `broadcast authority create`"
    )
    broker_dir: Path = Field(
        Path("var/broker"), description="who may connect, for the broker; it reads this folder"
    )
    claim_minutes: int = Field(60, ge=1, le=7 * 1440, description="a claim code holds")
    certificate_days: int = Field(
        90, ge=3, le=397, description="a device's certificate holds; it renews in the last third"
    )


class Audio(Group):
    """Preparation of bulletins: EBU R 128 loudness and the renditions."""

    loudness_lufs: float = Field(-16.0, ge=-30, le=-8, description="integrated target")
    true_peak_dbtp: float = Field(-1.5, ge=-9, le=0, description="upper limit")
    opus_bitrate: PositiveInt = Field(32_000, description="bit/s, mono")
    mp3_bitrate: PositiveInt = Field(64_000, description="bit/s, mono")
    longest_seconds: PositiveInt = Field(3600, description="a longer source is refused")
    chime: bool = Field(True, description="attention chime before and after the bulletin")
    piper_voice: Path | None = Field(None, description="Piper voice (.onnx); espeak-ng otherwise")
    at_once: PositiveInt = Field(
        2, description="preparations at the same time; an emergency waits for none of them"
    )
    work_seconds: PositiveInt = Field(600, description="CPU time one preparation may take")
    work_bytes: PositiveInt = Field(2 * 2**30, description="memory one preparation may take")


QuietHours = tuple[time, time]
"""Local times from (inclusive) – to (exclusive); may pass midnight."""


class Rules(Group):
    """Limits that decisions are made with; docs/decisions holds why each has its value."""

    quiet_hours: Annotated[
        tuple[QuietHours, ...], Field(description="local windows in which only emergencies sound")
    ] = ((time(22, 0), time(5, 0)),)
    heartbeat_seconds: PositiveInt = 60
    silent_after_intervals: PositiveFloat = 2.5
    offline_after: timedelta = timedelta(minutes=10)
    return_within: timedelta = Field(
        timedelta(seconds=330),
        description="devices connect again after the server or the broker was away; wire.md §12",
    )
    horizon: timedelta = Field(timedelta(days=8), description="occurrences kept as rows ahead")
    programme_span: timedelta = Field(timedelta(days=7), description="what a device holds")
    settle_after: timedelta = Field(
        timedelta(minutes=15), description="wait for late journals before a play is settled missed"
    )
    incident_window: timedelta = Field(
        timedelta(minutes=5), description="devices that fall within it fell together"
    )
    incident_devices: PositiveInt = Field(3, description="fewer are no incident of a group")
    incident_share: float = Field(
        0.5, gt=0, le=1, description="part of a group that fell, for one incident of the group"
    )
    earshot_metres: PositiveInt = Field(
        600, description="clusters that stand nearer to each other are heard at one place"
    )
    incident_calm: timedelta = Field(
        timedelta(minutes=15), description="all are back for so long: the incident is over"
    )


class Cap(Group):
    """Warnings of other authorities, and ours to them (CAP 1.2)."""

    file: Path | None = Field(
        None, description="whose warnings are taken, TOML; none: nobody's (docs/operations.md)"
    )
    sender: str | None = Field(
        None,
        pattern=r"^[^\s,<&]+$",
        description="as whom ours are published, such as canhbao@tinh.gov.vn; none: they are not",
    )
    certificate_file: Path | None = Field(
        None, description="what ours are signed with, PEM with its chain; none: unsigned"
    )
    key_file: Path | None = Field(None, description="key of that certificate, PEM")

    @model_validator(mode="after")
    def _key_is_there(self) -> Cap:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file và key_file của BROADCAST_CAP cần có cả hai")
        return self


class Streams(Group):
    """Radio streams that loudspeakers relay."""

    probe_every: timedelta = Field(
        timedelta(minutes=15), ge=timedelta(minutes=1), description="each source is looked at"
    )
    private_networks: tuple[IPvAnyNetwork, ...] = Field(
        (), description='connected to though not public, such as ["10.20.0.0/16"]; else none'
    )


class Portals(Group):
    """Portals of communes, whose news are counted."""

    check_every: timedelta = Field(
        timedelta(hours=6), ge=timedelta(minutes=10), description="each portal is looked at"
    )
    pause: timedelta = Field(
        timedelta(seconds=1), ge=timedelta(), description="between two requests to one host"
    )
    private_networks: tuple[IPvAnyNetwork, ...] = Field(
        (), description='connected to though not public, such as ["10.20.0.0/16"]; else none'
    )


class Upkeep(Group):
    """Retention of what grows, and the limits that raise an alarm."""

    raw_days: Annotated[int, Field(ge=8, description="raw heartbeats, in daily partitions")] = 30
    health_days: Annotated[int, Field(ge=31, description="hourly health of devices")] = 400
    dead_letter_days: PositiveInt = Field(30, description="messages that could not be taken")
    readiness_days: PositiveInt = Field(90, description="whether devices could sound an item")
    receipt_days: PositiveInt = Field(
        90, description="receipts of documents; the newest of each device and document stays"
    )
    refusal_days: PositiveInt = Field(180, description="documents that devices refused")
    command_result_days: PositiveInt = Field(180, description="commands, and what came of them")
    session_days: int = Field(
        90, ge=90, description="sessions and one-time links that are over: who came from where"
    )
    draft_days: PositiveInt = Field(
        14, description="forms that nobody went on with, and their recordings"
    )
    audit_days: PositiveInt = Field(1826, description="entries of the audit: names, addresses")
    cap_message_days: int = Field(
        1826, ge=31, description="warnings of other authorities as they came"
    )
    boot_days: PositiveInt = Field(400, description="connections of devices; the newest stays")
    partition_days_ahead: Annotated[int, Field(ge=2, description="partitions made ahead")] = 14
    disk_free_bytes: PositiveInt = Field(2 * 2**30, description="less free disk is an alarm")
    database_capacity_bytes: PositiveInt | None = Field(
        None, description="room for the database where its disk cannot be seen from here"
    )
    outbox_stuck_after: timedelta = Field(
        timedelta(minutes=10), description="older unpublished documents are an alarm"
    )
    silence_after: timedelta = Field(
        timedelta(minutes=15), description="no message of any device for longer is an alarm"
    )


class Role(StrEnum):
    """Roles of a process; all of them by default."""

    WEB = "web"
    INGEST = "ingest"
    DISPATCH = "dispatch"
    PREPARE = "prepare"

    def process(self, worker: int = 1) -> str:
        """Name of the process that does it, such as `dispatch` or `ingest-1`."""
        return f"{self}-{worker}" if self is Role.INGEST else self.value


class Settings(BaseSettings):
    """All settings of one process."""

    model_config = SettingsConfigDict(
        env_prefix="BROADCAST_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        file = DotEnvSettingsSource(settings_cls, env_file=environment_file())
        return init_settings, env_settings, file

    postgres: Postgres = Postgres()
    mqtt: Mqtt = Mqtt()
    ingest: Ingest = Ingest()
    web: Web = Web()
    sign_in: SignIn = SignIn()
    openid: OpenId = OpenId()
    metrics: Metrics = Metrics()
    keys: Keys = Keys()
    enrolment: Enrolment = Enrolment()
    audio: Audio = Audio()
    rules: Rules = Rules()
    cap: Cap = Cap()
    streams: Streams = Streams()
    portals: Portals = Portals()
    upkeep: Upkeep = Upkeep()
    province: str = Field("51", pattern=r"^\d{2}$", description="statistics-office code")
    content_dir: Path = Field(Path("var/content"), description="audio, content-addressed")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def connections(self) -> int:
        """Connections that PostgreSQL must allow: all roles at the most, and a person."""
        postgres = self.postgres
        return (
            len(set(Role) - {Role.INGEST, Role.DISPATCH}) * postgres.pool_size
            + READINESS_POOL
            + LIVE
            + self.ingest.workers * postgres.ingest_pool
            + postgres.dispatch_pool
            + UPKEEP
            + 3
        )


def environment_file() -> Path | None:
    """The file that settings are read from, if any."""
    named = os.environ.get(ENVIRONMENT_FILE_NAME)
    return ENVIRONMENT_FILE if named is None else Path(named) if named else None


def example() -> str:
    """Every setting as a commented environment file, with its default and meaning."""
    lines = [
        "# Settings of the broadcast controller. Printed by `broadcast config`.",
        f"# {ENVIRONMENT_FILE} is read by the services and by the command line.",
    ]

    def group(model: type[BaseModel], prefix: str) -> None:
        for name, field in model.model_fields.items():
            default = field.default
            key = f"{prefix}{name}".upper()
            if isinstance(default, BaseModel):
                doc = (type(default).__doc__ or "").splitlines()[0]
                lines.extend(["", f"# --- {doc}"])
                group(type(default), f"{key}__")
                continue
            if field.description:
                lines.append(f"# {field.description}")
            if isinstance(default, SecretStr):
                default = default.get_secret_value()
            if isinstance(default, tuple | list):
                default = json.dumps(
                    [[str(step) for step in window] for window in default], ensure_ascii=False
                )
            lines.append(f"#{key}={'' if default is None else default}")

    group(Settings, "BROADCAST_")
    return "\n".join(lines) + "\n"
