"""Words for what calendars do to a schedule."""

from __future__ import annotations

from broadcast.calendars.days import Silence
from broadcast.console.words import N_

SILENT = {
    Silence.MOURNING: N_("im: ngày tang"),
    Silence.EXAM: N_("im: ngày thi"),
    Silence.REGULATION: N_("im: theo Quy chế"),
    Silence.HOLIDAY: N_("im: nghỉ lễ"),
    Silence.OWN_CALENDAR: N_("im: theo lịch riêng"),
    Silence.OTHER_DAY: N_("im: không phải ngày đã chọn"),
}
