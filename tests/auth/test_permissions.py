"""The table of permissions."""

from __future__ import annotations

import doctest

import pytest

from broadcast.accounts.grants import LEVELS
from broadcast.auth import permissions
from broadcast.auth.permissions import PERMISSIONS, ROLE_NAMES, Permission, Role, roles_with

CONTENT = {
    Permission.CONTENT_READ, Permission.BULLETIN_WRITE, Permission.BULLETIN_APPROVE,
    Permission.SCHEDULE_WRITE, Permission.EMERGENCY_WRITE,
}  # fmt: skip


def test_every_role_has_its_permissions_its_levels_and_its_name() -> None:
    assert set(PERMISSIONS) == set(LEVELS) == set(ROLE_NAMES) == set(Role)


def test_a_technician_sees_no_content() -> None:
    assert not PERMISSIONS[Role.TECHNICIAN] & CONTENT


@pytest.mark.parametrize(
    "role",
    [Role.PROVINCE_MONITOR, Role.COMMUNE_MONITOR, Role.AUDITOR],
)
def test_who_watches_changes_nothing(role: Role) -> None:
    assert all(each.value.endswith("read") for each in PERMISSIONS[role])


def test_only_the_administrator_makes_accounts() -> None:
    assert roles_with(Permission.ACCOUNT_WRITE) == [Role.PROVINCE_ADMIN]


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(permissions).failed == 0
