"""Row-level security: the table of places (`rows.py`), once more, as policies of PostgreSQL.

They bind the role that a transaction takes on (`row_security.py`): neither raw SQL nor COPY finds
there what a forgotten condition would show. The owner of the tables, as whom ingest,
dispatch and upkeep work, is not bound. Policies ask functions, not tables: these read with the
rights of the owner, so that no policy asks another one, or itself, and are planned once a
connection, where subqueries would be planned with every statement.

What is derived from the code is not written down in migrations: these remove it before they run
and make it anew at their end (`migrations/env.py`).
"""

from __future__ import annotations

import hashlib
from functools import cache, cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import ClauseElement

from broadcast.visibility.rows import PLACED, Bounds, Ids, Places

POLICY = "places"
"""Name of the policy of every table."""

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_TEXTS = ARRAY(sa.Text)
_TYPES = {
    "codes": _TEXTS,
    "heard": _TEXTS,
    "documents": _TEXTS,
    "on": sa.Date(),
    "stock": sa.Boolean(),
}


def _setting(name: str, type_: Any) -> Any:
    """A setting of the transaction, read once a statement; no row is within it where it is unset.

    An ended `SET LOCAL` leaves the empty string. The outer cast changes nothing: without it `ANY`
    would take the query for one of many rows.
    """
    value = sa.func.nullif(sa.func.current_setting(f"broadcast.{name}", sa.true()), "")
    return sa.cast(sa.select(sa.cast(value, type_)).scalar_subquery(), type_)


_BOUNDS = Bounds(**{name: _setting(name, type_) for name, type_ in _TYPES.items()})

FUNCTIONS = (
    "clusters",
    "devices",
    "documents",
    "stations",
    "portals",
    "plants",
    "own_bulletins",
    "heard_schedules",
    "sent",
    "translated",
    "sources",
    "approved",
    "incidents",
)
"""Statements of `Places` that are functions here, with `visible_` before their names."""


class _Functions(Places):
    """The same statements, asked of functions."""


def _asked(name: str) -> Any:
    def ask(places: Places) -> Ids:
        del places
        columns = [sa.column(str(each.key), each.type) for each in _columns(name)]
        rows = getattr(sa.func, f"visible_{name}")().table_valued(*columns).render_derived()
        return sa.select(rows)

    return cached_property(ask)


def _columns(name: str) -> list[sa.ColumnElement[Any]]:
    return list(getattr(Places(_BOUNDS), name).selected_columns)


for _name in FUNCTIONS:
    _property = _asked(_name)
    setattr(_Functions, _name, _property)
    _property.__set_name__(_Functions, _name)


def _function(name: str) -> str:
    types = ", ".join(f"{each.key} {each.type.compile(_DIALECT)}" for each in _columns(name))
    return (
        f"CREATE FUNCTION visible_{name}() RETURNS TABLE ({types}) LANGUAGE plpgsql STABLE"
        " SECURITY DEFINER SET search_path FROM CURRENT AS $$\n#variable_conflict use_column\n"
        f"BEGIN RETURN QUERY {_sql(getattr(Places(_BOUNDS), name))}; END $$"
    )


@cache
def statements() -> tuple[str, ...]:
    """Everything that makes row-level security, in order."""
    places = _Functions(_BOUNDS)
    made = [_function(name) for name in FUNCTIONS]
    for model, condition in PLACED.items():
        table = model.__tablename__
        made.append(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        made.append(
            f"CREATE POLICY {POLICY} ON {table} FOR SELECT USING ({_sql(condition(places))})"
        )
    return tuple(made)


@cache
def fingerprint() -> str:
    """What `statements` are recognised by; it is the comment of the first function."""
    return hashlib.sha256("\n".join(statements()).encode()).hexdigest()


def _sql(element: ClauseElement) -> str:
    return str(element.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))


_MARK = f"visible_{FUNCTIONS[0]}()"


def are_installed(connection: sa.Connection) -> bool:
    """Tell whether a database has the policies of this code, and no older ones."""
    found = connection.scalar(
        sa.text("SELECT obj_description(to_regprocedure(:function), 'pg_proc')"),
        {"function": _MARK},
    )
    return bool(found == fingerprint())


def install(connection: sa.Connection) -> None:
    """Make functions and policies, after `remove`; of a schema at its newest revision."""
    for statement in statements():
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"COMMENT ON FUNCTION {_MARK} IS '{fingerprint()}'")


def remove(connection: sa.Connection) -> None:
    """Remove functions and policies, whichever there are: they hold on to what they name."""
    policies = connection.execute(
        sa.text(
            "SELECT tablename FROM pg_policies"
            " WHERE schemaname = current_schema() AND policyname = :policy"
        ),
        {"policy": POLICY},
    )
    for (table,) in policies.all():
        connection.exec_driver_sql(f"DROP POLICY {POLICY} ON {table}")
        connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    functions = connection.execute(
        sa.text(
            "SELECT oid::regprocedure::text FROM pg_proc"
            " WHERE pronamespace = current_schema()::regnamespace AND proname ~ '^visible_'"
        )
    )
    for (function,) in functions.all():
        connection.exec_driver_sql(f"DROP FUNCTION {function}")
