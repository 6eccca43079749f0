"""The description of the interface (OpenAPI), where FastAPI's says less than what is true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from broadcast.web.problems import Problem

FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


def described(app: FastAPI) -> FastAPI:
    """Have an application describe itself in full."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(
                get_openapi(
                    title=app.title,
                    summary=app.summary,
                    description=app.description,
                    version=app.version,
                    license_info=app.license_info,
                    routes=app.routes,
                )
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def describe(document: dict[str, Any]) -> dict[str, Any]:
    """Add what is true of every route: the form of its errors, and forms without other fields."""
    schemas = document["components"]["schemas"]
    schemas["Problem"] = Problem.model_json_schema()
    for form in _forms(document):
        _close(schemas[form["$ref"].rpartition("/")[2]] if "$ref" in form else form)
    _forget_uniqueness(schemas)
    return document


def _forget_uniqueness(schema: Any) -> None:
    """Of a set: who names a member twice names it once."""
    if isinstance(schema, dict):
        schema.pop("uniqueItems", None)
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            _forget_uniqueness(part)


def _forms(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        for operation in path.values():
            content = operation.get("requestBody", {}).get("content", {})
            yield from (content[kind]["schema"] for kind in FORMS if kind in content)


def _close(form: dict[str, Any]) -> None:
    """Refuse other fields, and say of a field that is left out that it is not written as null."""
    form["additionalProperties"] = False
    required = form.get("required", ())
    for name, field in form["properties"].items():
        kinds = [each for each in field.get("anyOf", ()) if each.get("type") != "null"]
        if len(kinds) == 1:
            del field["anyOf"]
            field.update(kinds[0])
        if field.get("type") == "array" and name in required:
            field.setdefault("minItems", 1)
