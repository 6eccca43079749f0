"""Permissions of each role: the one table that every check asks.

Pure. Roles after Thông tư 39/2020/TT-BTTTT and the usage of the Ministry's guides: the province
speaks to all, a commune to itself, a technician looks after devices and hears no content. A role
says what, the area of a grant where, its dates when (`Grant`).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Role(StrEnum):
    """Role that a grant gives to an account."""

    PROVINCE_ADMIN = "province_admin"
    PROVINCE_EDITOR = "province_editor"
    PROVINCE_APPROVER = "province_approver"
    DUTY_OFFICER = "duty_officer"
    PROVINCE_MONITOR = "province_monitor"
    COMMUNE_BROADCASTER = "commune_broadcaster"
    COMMUNE_APPROVER = "commune_approver"
    COMMUNE_MONITOR = "commune_monitor"
    VILLAGE_HEAD = "village_head"
    TECHNICIAN = "technician"
    AUDITOR = "auditor"
    SERVICE = "service"


class Permission(StrEnum):
    """One thing that somebody may do in an area."""

    READ = "read"
    """Areas, register, state of devices, plays, incidents, indicators."""
    CONTENT_READ = "content_read"
    """Bulletins with text and sound, the lexicon, schedules."""
    BULLETIN_WRITE = "bulletin_write"
    """Write bulletins and submit them, words of the lexicon."""
    BULLETIN_APPROVE = "bulletin_approve"
    SCHEDULE_WRITE = "schedule_write"
    EMERGENCY_PROPOSE = "emergency_propose"
    """Prepare an alert and propose it to a second person."""
    EMERGENCY_WRITE = "emergency_write"
    """Schedule what interrupts everything else; authorise an alert that somebody else proposed."""
    EMERGENCY_ALONE = "emergency_alone"
    """Issue an alert without a second person, for a short time."""
    LIVE_SPEAK = "live_speak"
    """Speak live: heard at once, and approved by nobody else."""
    ALERT_SUBMIT = "alert_submit"
    """Hand in warnings of other authorities (CAP); a second person here decides on them."""
    AREA_WRITE = "area_write"
    """Administrative units, the village register, villages that do not count."""
    REGISTER_WRITE = "register_write"
    """Stations, plants, clusters, what they serve."""
    DEVICE_WRITE = "device_write"
    """Enrol, install, swap and retire devices."""
    COMMAND_SEND = "command_send"
    OUTAGE_WRITE = "outage_write"
    """Declare maintenance and power cuts."""
    ATTESTATION_WRITE = "attestation_write"
    INCIDENT_WRITE = "incident_write"
    """Take on, assign, note, close and reopen incidents."""
    UPKEEP_READ = "upkeep_read"
    """The state of the server itself, dead letters."""
    RESTORE_DECIDE = "restore_decide"
    """Decide after a restore what is published again."""
    ACCOUNT_WRITE = "account_write"
    """Accounts, grants, tokens and sessions of others."""
    AUDIT_READ = "audit_read"


_P = Permission
_SEES = frozenset({_P.READ, _P.CONTENT_READ})
_WRITES = _SEES | {
    _P.BULLETIN_WRITE,
    _P.SCHEDULE_WRITE,
    _P.EMERGENCY_PROPOSE,
    _P.OUTAGE_WRITE,
    _P.ATTESTATION_WRITE,
}
_TENDS = _WRITES | {_P.INCIDENT_WRITE}
_APPROVES = _SEES | {
    _P.BULLETIN_WRITE,
    _P.BULLETIN_APPROVE,
    _P.SCHEDULE_WRITE,
    _P.EMERGENCY_PROPOSE,
    _P.EMERGENCY_WRITE,
    _P.LIVE_SPEAK,
}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.PROVINCE_ADMIN: frozenset(Permission),
    Role.PROVINCE_EDITOR: _WRITES,
    Role.PROVINCE_APPROVER: _APPROVES,
    Role.DUTY_OFFICER: _TENDS
    | {_P.EMERGENCY_WRITE, _P.EMERGENCY_ALONE, _P.LIVE_SPEAK, _P.COMMAND_SEND},
    Role.PROVINCE_MONITOR: _SEES,
    Role.COMMUNE_BROADCASTER: _TENDS,
    Role.COMMUNE_APPROVER: _APPROVES,
    Role.COMMUNE_MONITOR: _SEES,
    Role.VILLAGE_HEAD: frozenset({_P.READ, _P.OUTAGE_WRITE, _P.ATTESTATION_WRITE}),
    Role.TECHNICIAN: frozenset(
        {
            _P.READ,
            _P.REGISTER_WRITE,
            _P.DEVICE_WRITE,
            _P.COMMAND_SEND,
            _P.OUTAGE_WRITE,
            _P.ATTESTATION_WRITE,
            _P.INCIDENT_WRITE,
            _P.UPKEEP_READ,
        }
    ),
    Role.AUDITOR: _SEES | {_P.AUDIT_READ, _P.UPKEEP_READ},
    Role.SERVICE: _SEES | {_P.BULLETIN_WRITE, _P.ALERT_SUBMIT},
}
"""What each role may do in the area of its grant."""

ROLE_NAMES: dict[Role, str] = {
    Role.PROVINCE_ADMIN: "quản trị tỉnh",
    Role.PROVINCE_EDITOR: "biên tập tỉnh",
    Role.PROVINCE_APPROVER: "duyệt tin tỉnh",
    Role.DUTY_OFFICER: "trực khẩn cấp",
    Role.PROVINCE_MONITOR: "theo dõi tỉnh",
    Role.COMMUNE_BROADCASTER: "cán bộ phụ trách đài xã",
    Role.COMMUNE_APPROVER: "duyệt tin xã",
    Role.COMMUNE_MONITOR: "theo dõi xã",
    Role.VILLAGE_HEAD: "trưởng thôn",
    Role.TECHNICIAN: "kỹ thuật viên",
    Role.AUDITOR: "kiểm tra",
    Role.SERVICE: "hệ thống khác",
}
"""Names of roles for people."""


def permissions(roles: Iterable[Role]) -> frozenset[Permission]:
    """Everything that one of these roles may do.

    >>> Permission.CONTENT_READ in permissions([Role.TECHNICIAN])
    False
    """
    return frozenset().union(*(PERMISSIONS[role] for role in roles))


def roles_with(permission: Permission) -> list[Role]:
    """Roles that may do this, in the order of `Role`."""
    return [role for role in Role if permission in PERMISSIONS[role]]
