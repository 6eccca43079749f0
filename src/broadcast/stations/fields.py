"""What the REST bodies of this feature are made of."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from pydantic import ConfigDict, Field
from pydantic.config import JsonValue

from broadcast.accounts.auth import Caller, require
from broadcast.accounts.model import Role
from broadcast.text import FilledLine, Line
from broadcast.wire.topics import CODE

Technician = Annotated[Caller, Depends(require(Role.TECHNICIAN))]
Code = Annotated[str, Field(pattern=f"^{CODE}$")]
Name = FilledLine
Text = Line


def example(**values: JsonValue) -> ConfigDict:
    """Model configuration with an example for the documentation."""
    return ConfigDict(json_schema_extra={"example": values})
