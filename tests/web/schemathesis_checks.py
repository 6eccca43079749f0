"""A check of ours beside those of schemathesis, which loads this module (schemathesis.toml)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import schemathesis

if TYPE_CHECKING:
    from schemathesis import Case, CheckContext, Response


@schemathesis.check
def allowed_by_the_description(_: CheckContext, response: Response, case: Case) -> None:
    """What the description allows is refused by a rule, or not at all."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive or response.status_code != 422:
        return
    problem = response.json()
    assert problem["type"] != "urn:broadcast:problem:malformed-input", (
        f"allowed by the description, and refused as malformed: {problem['detail']}"
    )
