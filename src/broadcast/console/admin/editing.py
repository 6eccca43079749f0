"""What the pages that change the register have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from datetime import date
from typing import Annotated, Any, TypeVar

from fastapi import Form, Request
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit import cells
from broadcast.kit.errors import InvalidInput
from broadcast.kit.locks import Lock, lock
from broadcast.web.fields import Code
from broadcast.web.rest import Body, as_json, etag, if_match

T = TypeVar("T", bound=BaseModel)

Line = Annotated[str, Form(max_length=300)]
"""A field as it was typed; empty where it was left out."""


class CodeIn(Body):
    """A code that is given to something new."""

    code: Code


def filled(model: type[T], texts: Mapping[str, str]) -> T:
    """The body of the REST request that a form stands for.

    Raises:
        InvalidInput: A field cannot be read or lacks; the first of them, in the order of the form.
    """
    value, wrong = cells.checked(
        model, cells.columns_of(model), texts, "chưa điền; mục này bắt buộc"
    )
    for name in texts:
        if name in wrong:
            raise InvalidInput(name, wrong[name])
    for name, reason in wrong.items():
        raise InvalidInput(name, reason)
    assert value is not None
    return value


def day(field: str, text: str) -> date:
    """The day that a field was filled with.

    Raises:
        InvalidInput: None, or no day.
    """
    if not text:
        raise InvalidInput(field, "chưa chọn ngày")
    try:
        return cells.day(text)
    except ValueError as error:
        raise InvalidInput(field, str(error)) from None


def version(representation: BaseModel) -> dict[str, str]:
    """`ETag` of what a page shows, the same as over REST: its forms send it as `If-Match`."""
    return {"ETag": etag(as_json(representation))}


async def hold(request: Request, session: AsyncSession, path: str, shown: Awaitable[T]) -> T:
    """What a page is about to change, as it is now: one change at a time, here or over REST.

    Args:
        request: The change.
        session: Its transaction, in which nothing has been changed yet.
        path: Of the thing over REST.
        shown: Loads what REST answers of it; asked once nobody else can change it.

    Raises:
        PreconditionFailed: It is not what the page showed.
    """
    await lock(session, Lock.RESOURCE, path)
    found = await shown
    if_match(request, found)
    session.expunge_all()  # the rules read anew, behind locks of their own
    return found


def written(model: type[BaseModel], value: BaseModel) -> dict[str, Any]:
    """Facts as a form writes them, so that what was can be put back; none are left out."""
    return {
        name: "" if (given := getattr(value, name)) is None else given
        for name in model.model_fields
    }
