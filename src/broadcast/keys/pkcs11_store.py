"""Private keys in a device of its own (HSM, smart card, SoftHSM) that never gives them away.

Tried with SoftHSM 2.6.1; others differ in what they know of Ed25519, so try yours before relying
on it (docs/operations.md, "Keys"). A signature takes about half a millisecond there, which is why
whoever signs many does so in a thread.
"""

from __future__ import annotations

import secrets
import threading
from typing import Any

from broadcast import config
from broadcast.keys.stores import UnusableKey
from broadcast.kit.errors import Unavailable, because
from broadcast.wire.envelope import SigningKey, Use

try:
    import pkcs11
    from pkcs11.util.ec import encode_named_curve_parameters
except ImportError:  # the optional extra
    pkcs11 = None  # type: ignore[assignment]

LABEL = "broadcast-"
"""Begins the label of each key; its use follows."""

ED25519 = "1.3.101.112"
"""Object identifier of the curve (RFC 8410)."""

_OCTETS = b"\x04\x20"
"""What stands before the 32 bytes of a public key: they come as an OCTET STRING."""

MODULE, TOKEN, PIN_FILE = (
    "BROADCAST_KEYS__PKCS11_MODULE",
    "BROADCAST_KEYS__PKCS11_TOKEN",
    "BROADCAST_KEYS__PKCS11_PIN_FILE",
)


class Pkcs11Store:
    """The keys of one token whose label begins with `LABEL`."""

    def __init__(self, settings: config.Keys) -> None:
        if pkcs11 is None:
            raise Unavailable(
                f"{MODULE} cần phần mở rộng pkcs11: hãy cài `broadcast[pkcs11]`, hoặc bỏ thiết"
                " lập này."
            )
        self._settings = settings
        self._lock = threading.Lock()
        self._session: Any = None

    @property
    def place(self) -> str:
        """The token and the library."""
        return f"{self._settings.pkcs11_token} ({TOKEN}, {self._settings.pkcs11_module})"

    def load(self) -> list[SigningKey]:
        """All keys of the token."""
        with self._lock:
            try:
                session = self._open()
                return [
                    self._key(session, public)
                    for use in ("programme", "alert")
                    for public in session.get_objects(
                        {
                            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY,
                            pkcs11.Attribute.LABEL: LABEL + use,
                        }
                    )
                ]
            except pkcs11.PKCS11Error as error:
                raise self._failed(error) from None

    def create(self, use: Use) -> SigningKey:
        """Have the token make a key, which cannot be taken out of it."""
        with self._lock:
            try:
                session = self._open(write=True)
                parameters = session.create_domain_parameters(
                    pkcs11.KeyType.EC_EDWARDS,
                    {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(ED25519)},
                    local=True,
                )
                public, _ = parameters.generate_keypair(
                    mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                    store=True,
                    label=LABEL + use,
                    id=secrets.token_bytes(16),
                )
                return self._key(session, public)
            except pkcs11.PKCS11Error as error:
                raise self._failed(error) from None

    def _open(self, *, write: bool = False) -> Any:
        """The session; one to write with ends the one before, since a token has one login."""
        if self._session is not None and not write:
            return self._session
        self._close()
        library = pkcs11.lib(str(self._settings.pkcs11_module))
        label, pin = self._settings.pkcs11_token, self._pin()
        try:
            token = library.get_token(token_label=label)
        except pkcs11.NoSuchToken:
            library.reinitialize()  # it lists the tokens once; this one may have come since
            token = library.get_token(token_label=label)
        try:
            self._session = token.open(rw=write, user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:  # the process is, not the session
            self._session = token.open(rw=write)
        return self._session

    def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _pin(self) -> str:
        path = self._settings.pkcs11_pin_file
        assert path is not None, "config.Keys asks for it"
        try:
            return path.read_text().strip()
        except OSError as error:
            raise UnusableKey(
                f"Không đọc được mã PIN {path} ({PIN_FILE}): {because(error)}."
            ) from None

    def _key(self, session: Any, public: Any) -> SigningKey:
        use: Use = "alert" if public.label == LABEL + "alert" else "programme"
        point = bytes(public[pkcs11.Attribute.EC_POINT])
        raw = point.removeprefix(_OCTETS) if len(point) == 34 else point
        identity = bytes(public.id)
        del session

        def sign_bytes(text: bytes) -> bytes:
            with self._lock:
                try:
                    return self._sign(identity, text)
                except pkcs11.PKCS11Error:
                    # The token was taken out and put back: the session is of the time before.
                    try:
                        self._close_quietly()
                        return self._sign(identity, text)
                    except pkcs11.PKCS11Error as error:
                        raise self._failed(error) from None

        return SigningKey.of(use, raw, sign_bytes)

    def _sign(self, identity: bytes, text: bytes) -> bytes:
        private = self._open().get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, id=identity)
        return bytes(private.sign(text, mechanism=pkcs11.Mechanism.EDDSA))

    def _close_quietly(self) -> None:
        try:
            self._close()
        except pkcs11.PKCS11Error:
            self._session = None

    def _failed(self, error: Exception) -> Unavailable:
        said = str(error) or type(error).__name__
        return Unavailable(
            f"Thiết bị giữ khóa {self.place} không dùng được ({said}); kiểm tra {MODULE}, {TOKEN},"
            f" {PIN_FILE}, và thiết bị còn cắm."
        )
