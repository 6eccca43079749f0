"""Files in requests."""

from __future__ import annotations

from fastapi import UploadFile

from broadcast.kit import sheets


async def received(upload: UploadFile) -> sheets.File:
    """An uploaded CSV file, read no further than an import would accept."""
    data = await upload.read(sheets.MAX_BYTES + 1)
    return sheets.File(upload.filename or "tệp", data)
