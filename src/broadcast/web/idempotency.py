"""Creating a thing once, however often the request comes: `Idempotency-Key`."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.audit.recording import Record
from broadcast.kit import clock
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.web.idempotency_keys import IdempotencyKey
from broadcast.web.rest import as_json

KEEP = timedelta(days=2)
"""Time for which an answer is kept for a repeated request."""


class Created(NamedTuple):
    """Answer to a creation: address and representation of the new thing."""

    location: str
    representation: BaseModel
    status: int = 201
    """202 where work on the new thing goes on."""
    kept: BaseModel | None = None
    """What a repeated request is answered, where the first answer holds a secret."""


class Once:
    """Runs a creation at most once per `Idempotency-Key` and account.

    The key is written in the transaction of the creation itself: a second request with the same
    key waits for the first and gets its answer, also after a crash in between.
    """

    def __init__(self, request: Request) -> None:
        self._request = request

    async def run(
        self,
        session: AsyncSession,
        account_id: int,
        make: Callable[[], Awaitable[Created]],
        *,
        now: datetime | None = None,
        content: str | None = None,
    ) -> Response:
        """Answer from `make`, or the stored answer of the first request with this key.

        Args:
            session: Transaction of the creation.
            account_id: Whose key it is.
            make: Creates.
            now: Time of the request.
            content: What the request said, where its body was not kept: an upload.

        Raises:
            InvalidInput: The key is too long, or was used for a different request.
            Conflict: The first request with this key is still under way.
        """
        key = self._key()
        if key is None:
            return _created(await make())
        digest = await self._digest(content)
        inserted = await session.scalar(
            insert(IdempotencyKey)
            .values(
                key=key,
                account_id=account_id,
                request_sha256=digest,
                created_at=now or clock.now(),
            )
            .on_conflict_do_nothing()
            .returning(IdempotencyKey.key)
        )
        if inserted is None:
            return await self._earlier(session, key, account_id, digest)
        created = await make()
        response = _created(created)
        kept = response.body if created.kept is None else as_json(created.kept)
        await session.execute(
            sa.update(IdempotencyKey)
            .where(IdempotencyKey.key == key, IdempotencyKey.account_id == account_id)
            .values(status=created.status, location=created.location, body=bytes(kept))
        )
        return response

    async def earlier(
        self, session: AsyncSession, account_id: int, content: str | None = None
    ) -> Response | None:
        """Stored answer of the first request with this key, None when this is the first.

        For a creation whose work takes longer than a transaction may: ask before it, `run` after.
        """
        key = self._key()
        if key is None or await session.get(IdempotencyKey, (key, account_id)) is None:
            return None
        return await self._earlier(session, key, account_id, await self._digest(content))

    def _key(self) -> str | None:
        key = self._request.headers.get("idempotency-key")
        if key is not None and not 1 <= len(key) <= 200:
            raise InvalidInput("Idempotency-Key", "cần từ 1 đến 200 ký tự")
        return key

    async def _earlier(
        self, session: AsyncSession, key: str, account_id: int, digest: str
    ) -> Response:
        earlier = await session.get(IdempotencyKey, (key, account_id))
        if earlier is None or earlier.status is None or earlier.body is None:
            raise Conflict("Yêu cầu cùng khóa đang được xử lý; xin thử lại sau.")
        if earlier.request_sha256 != digest:
            raise InvalidInput("Idempotency-Key", "khóa đã dùng cho một yêu cầu khác")
        record: Record | None = getattr(self._request.state, "record", None)
        if record is not None:
            record.skip()  # the first request has its entry
        headers = {"Location": earlier.location or "", "Idempotency-Replayed": "true"}
        return Response(
            earlier.body, earlier.status, headers=headers, media_type="application/json"
        )

    async def _digest(self, content: str | None) -> str:
        request = self._request
        digest = hashlib.sha256(f"{request.method} {request.url.path}\n".encode())
        if content is not None:
            digest.update(content.encode())
        elif request.headers.get("content-type", "").startswith("multipart/"):
            digest.update(request.headers.get("content-length", "").encode())
        else:
            digest.update(await request.body())
        return digest.hexdigest()


def _created(created: Created) -> Response:
    return Response(
        as_json(created.representation),
        created.status,
        headers={"Location": created.location},
        media_type="application/json",
    )


async def forget_idempotency_keys(session: AsyncSession, now: datetime) -> None:
    """Drop the answers that nobody will ask for again."""
    await session.execute(sa.delete(IdempotencyKey).where(IdempotencyKey.created_at < now - KEEP))
