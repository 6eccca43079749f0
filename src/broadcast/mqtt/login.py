"""Login of a session at the broker: user, password, TLS."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from broadcast.config import SESSION, Mqtt
from broadcast.kit.errors import Unavailable

_SETTING = "BROADCAST_MQTT__"


def log_in(client: paho.Client, settings: Mqtt, session: str) -> None:
    """Give a client its user and password, and TLS where that is set.

    Args:
        client: Not yet connected.
        settings: Address of the broker and login.
        session: Client id; what `{session}` in the settings stands for.

    Raises:
        Unavailable: A file of the settings cannot be used; says which setting, and what to do.
    """
    if settings.username is not None:
        secret = None
        if settings.password_file is not None:
            path = _path(settings.password_file, session)
            try:
                secret = path.read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise _unusable("PASSWORD_FILE", path, error) from None
        client.username_pw_set(settings.username.replace(SESSION, session), secret or None)
    if (context := _tls_context(settings, session)) is not None:
        client.tls_set_context(context)


def check(settings: Mqtt, session: str) -> None:
    """Make sure that the files with which a session logs in are there.

    Raises:
        Unavailable: A file of the settings cannot be used; says which setting, and what to do.
    """
    log_in(paho.Client(CallbackAPIVersion.VERSION2, session), settings, session)


def _tls_context(settings: Mqtt, session: str) -> ssl.SSLContext | None:
    """TLS context of a session; None where it uses no TLS.

    Raises:
        Unavailable: A file of the settings cannot be used; says which setting, and what to do.
    """
    if settings.tls_ca_file is None:
        return None
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.server_name = settings.tls_server_name
    try:
        context.load_verify_locations(settings.tls_ca_file)
    except OSError as error:
        raise _unusable("TLS_CA_FILE", settings.tls_ca_file, error) from None
    if settings.tls_cert_file is not None:
        certificate = _path(settings.tls_cert_file, session)
        key = _path(settings.tls_key_file, session) if settings.tls_key_file else None
        for name, path in (("TLS_CERT_FILE", certificate), ("TLS_KEY_FILE", key)):
            try:
                if path is not None:
                    path.read_bytes()
            except OSError as error:
                raise _unusable(name, path, error) from None
        try:
            # A password would be asked for on a terminal that a service does not have.
            context.load_cert_chain(certificate, key, password=lambda: "")
        except (OSError, ValueError) as error:
            raise _unusable(f"TLS_CERT_FILE, {_SETTING}TLS_KEY_FILE", certificate, error) from None
    return context


class _Context(ssl.SSLContext):
    """Expects a broker by its own name, whatever address it is reached by."""

    server_name: str | None = None

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """As its parent, with the name to be expected."""
        if self.server_name is not None:
            options["server_hostname"] = self.server_name
        return super().wrap_socket(*arguments, **options)


def _path(path: Path, session: str) -> Path:
    return Path(str(path).replace(SESSION, session))


def _unusable(name: str, path: Path | None, error: Exception) -> Unavailable:
    match error:
        case FileNotFoundError():
            said = "không có tệp này"
        case PermissionError():
            said = "người dùng chạy dịch vụ không được đọc"
        case _:
            said = "không phải tệp văn bản PEM đúng"
    return Unavailable(f"{_SETTING}{name}: không dùng được {path}: {said}; hãy sửa lại.")
