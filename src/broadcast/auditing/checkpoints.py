"""Checkpoints: the newest hash of the chain, signed with a key that the database does not have.

Who owns the database can write the whole chain anew, and cut it off at the end; he cannot sign it.
A checkpoint is a JWS (RFC 7515) of a type of its own, so that no device takes it for a document.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.audit.chain import Anchor
from broadcast.audit.model import AuditCheckpoint
from broadcast.wire.documents import PublicKey
from broadcast.wire.envelope import ALGORITHM, SigningKey

TYPE = "audit-checkpoint+jws"

_REGISTRY = jws.JWSRegistry(algorithms=[ALGORITHM])


class Checkpoint(msgspec.Struct, frozen=True):
    """What is signed.

    Attributes:
        number: From 1, without gaps.
        seq: Number of the newest entry.
        hash: Its hash.
        is_cut: Entries up to here have had their time and are deleted.
        at: When it was signed.
    """

    number: int
    seq: int
    hash: str
    is_cut: bool
    at: datetime

    @property
    def anchor(self) -> Anchor:
        """The entry that it tells of."""
        return Anchor(self.seq, self.hash)


class Untrusted(Exception):
    """A checkpoint that is not signed by a key of ours; the text says why, for a person."""


def sign(checkpoint: Checkpoint, key: SigningKey) -> str:
    """JWS compact of a checkpoint."""
    header = json.dumps({"alg": ALGORITHM, "kid": key.kid, "typ": TYPE}, separators=(",", ":"))
    signed = f"{_encoded(header.encode())}.{_encoded(msgspec.json.encode(checkpoint))}"
    return f"{signed}.{_encoded(key.sign_bytes(signed.encode()))}"


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class Verifier:
    """The public keys that checkpoints may be signed with."""

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        self._keys: Mapping[str, OKPKey] = {
            key.kid: OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": key.x})
            for key in keys
        }

    def read(self, signature: str) -> Checkpoint:
        """What was signed.

        Raises:
            Untrusted: Not by us, or no checkpoint.
        """
        try:
            if any(_encoded(_decoded(part)) != part for part in signature.split(".")):
                raise Untrusted("chữ ký không viết theo chuẩn base64url")
            header = jws.extract_compact(signature.encode(), registry=_REGISTRY).headers()
            key = self._keys.get(str(header.get("kid")))
            if key is None:
                raise Untrusted(f"ký bằng khóa lạ {str(header.get('kid'))[:50]}")
            verified = jws.deserialize_compact(signature, key, registry=_REGISTRY)
            if header.get("typ") != TYPE:
                raise Untrusted("không phải chữ ký của nhật ký")
            return msgspec.json.decode(verified.payload, type=Checkpoint)
        except (JoseError, ValueError) as error:
            raise Untrusted(f"chữ ký sai ({type(error).__name__})") from None


async def newest(session: AsyncSession) -> AuditCheckpoint | None:
    """The checkpoint that was signed last."""
    rows = sa.select(AuditCheckpoint).order_by(AuditCheckpoint.number.desc()).limit(1)
    return await session.scalar(rows)


async def store(
    session: AsyncSession, anchor: Anchor, key: SigningKey, now: datetime, *, is_cut: bool = False
) -> Checkpoint:
    """Sign an entry of the chain, and keep that."""
    before = await newest(session)
    number = 1 if before is None else before.number + 1
    checkpoint = Checkpoint(number, anchor.seq, anchor.hash, is_cut, now)
    session.add(
        AuditCheckpoint(
            number=number, seq=anchor.seq, hash=anchor.hash, is_cut=is_cut, at=now,
            signature=sign(checkpoint, key),
        )
    )  # fmt: skip
    await session.flush()
    return checkpoint


def differing(row: AuditCheckpoint, checkpoint: Checkpoint) -> bool:
    """Tell whether a stored checkpoint says another thing than was signed."""
    return (row.number, row.seq, row.hash, row.is_cut, row.at) != (
        checkpoint.number, checkpoint.seq, checkpoint.hash, checkpoint.is_cut, checkpoint.at,
    )  # fmt: skip


async def load(
    session: AsyncSession, first_seq: int = 0, last_seq: int | None = None
) -> Sequence[AuditCheckpoint]:
    """The checkpoints of some entries, by default of all, in their order."""
    rows = sa.select(AuditCheckpoint).where(AuditCheckpoint.seq >= first_seq)
    if last_seq is not None:
        rows = rows.where(AuditCheckpoint.seq <= last_seq)
    return (await session.scalars(rows.order_by(AuditCheckpoint.number))).all()
