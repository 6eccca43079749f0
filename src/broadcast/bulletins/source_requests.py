"""Requests that bring the sound of a revision: JSON with a text, or a form with a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from prometheus_client import Counter
from pydantic import BaseModel, ValidationError

from broadcast import config
from broadcast.bulletins.schemas import BulletinIn, RevisionIn
from broadcast.bulletins.upload import Upload, received
from broadcast.kit.errors import BroadcastError, InvalidInput, TooLarge
from broadcast.kit.validation import invalid
from broadcast.web.fields import NULL

REFUSED = Counter(
    "broadcast_bulletin_sources_refused", "Uploads and texts that became no revision", ["reason"]
)


JSON_BYTES = 256 * 1024
"""Largest body with text: the longest text in escapes, and room for the rest."""


def openapi_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI of a request that is either JSON with a text or a form with a file."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)  # the answers bring these schemas into the components
    fields, required = schema.pop("properties"), schema.pop("required", [])
    said = fields.pop("text")
    [given] = [each for each in said.pop("anyOf") if each != NULL]
    text = {"text": said | given}
    file = {"file": {"type": "string", "format": "binary", "description": "MP3, WAV, M4A …"}}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        **schema,
                        "properties": fields | text,
                        "required": [*required, "text"],
                    }
                },
                "multipart/form-data": {
                    "schema": {
                        **schema,
                        "properties": fields | file,
                        "required": [*required, "file"],
                    }
                },
            },
        }
    }


M = TypeVar("M", bound=RevisionIn)


@dataclass(frozen=True)
class Recording:
    """A file that was uploaded before, to a draft."""

    name: str


Sound = Upload | Recording | str
"""Source of a revision: a file, or a text to be read aloud."""


@asynccontextmanager
async def received_source(
    request: Request, settings: config.Settings, model: type[M]
) -> AsyncIterator[tuple[M, Upload | str]]:
    """Receive the body of a request and its sound; an uploaded file lives as long as the context.

    Whatever is refused in here is counted by its reason.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            limit_bytes = settings.web.upload_limit_bytes
            async with received(request, settings.content_dir, limit_bytes) as upload:
                body = model.model_validate(upload.fields)
                if body.text is not None:
                    raise InvalidInput("text", "hãy gửi tệp hoặc văn bản, không gửi cả hai")
                yield body, upload
        elif kind == "application/json":
            body = model.model_validate_json(await _short_body(request))
            if body.text is None:
                raise InvalidInput("text", "thiếu văn bản cần đọc")
            yield body, body.text
        else:
            raise InvalidInput(
                "Content-Type", "cần application/json (văn bản) hoặc multipart/form-data (tệp)"
            )
    except ValidationError as error:
        refused = invalid(error.errors())
        REFUSED.labels(_reason(refused)).inc()
        raise refused from None
    except BroadcastError as error:
        REFUSED.labels(_reason(error)).inc()
        raise


@asynccontextmanager
async def received_recording(request: Request, settings: config.Settings) -> AsyncIterator[Upload]:
    """Receive a form with nothing but a file; that lives as long as the context.

    Whatever is refused in here is counted by its reason.
    """
    try:
        limit_bytes = settings.web.upload_limit_bytes
        async with received(request, settings.content_dir, limit_bytes) as upload:
            for name in upload.fields:
                raise InvalidInput(name, "không có trường này; chỉ gửi một tệp âm thanh")
            yield upload
    except BroadcastError as error:
        REFUSED.labels(_reason(error)).inc()
        raise


_FIELDS = frozenset({"file", "original_revision", *BulletinIn.model_json_schema()["properties"]})


def _reason(error: BroadcastError) -> str:
    """Label of a counter: never a name that the sender chose."""
    field = getattr(error, "field", "")
    return field if field in _FIELDS else error.slug


async def _short_body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal():
        raise InvalidInput("Content-Length", "hãy gửi kèm độ dài của nội dung")
    if int(declared) > JSON_BYTES:
        raise TooLarge(f"Nội dung JSON dài hơn {JSON_BYTES // 1024} KB.", limit_bytes=JSON_BYTES)
    return await request.body()


def fingerprint(body: RevisionIn, sound: Upload | str) -> str:
    """Return all that a request contains, to tell its repetition from another request."""
    return body.model_dump_json() + (sound.sha256 if isinstance(sound, Upload) else "")
