"""Words of bulletins and of what was heard, as all pages say them."""

from __future__ import annotations

from typing import Any

from broadcast.bulletins.model import PhraseKind, RevisionState, SourceKind, Subject
from broadcast.console.words import N_
from broadcast.plays.forecast import Outlook
from broadcast.plays.soundings import Sounding
from broadcast.wire.fields import BulletinClass

REVISION_STATES = {
    RevisionState.DRAFT: ("plain", N_("bản nháp")),
    RevisionState.SUBMITTED: ("partial", N_("chờ duyệt")),
    RevisionState.APPROVED: ("ok", N_("đã duyệt")),
    RevisionState.RETURNED: ("bad", N_("bị trả lại")),
    RevisionState.WITHDRAWN: ("plain", N_("đã rút")),
}
"""Look and word of each state (`ui.state`)."""

STEPS = {
    RevisionState.DRAFT: N_("Soạn"),
    RevisionState.SUBMITTED: N_("Gửi duyệt"),
    RevisionState.APPROVED: N_("Duyệt"),
    RevisionState.RETURNED: N_("Trả lại"),
    RevisionState.WITHDRAWN: N_("Rút"),
}

CLASSES = {
    BulletinClass.NORMAL: N_("thông thường"),
    BulletinClass.PRIORITY: N_("ưu tiên"),
    BulletinClass.EMERGENCY: N_("khẩn cấp"),
}

SOURCES = {
    SourceKind.TEXT: N_("đọc từ văn bản"),
    SourceKind.UPLOAD: N_("bản thu"),
    SourceKind.LIVE: N_("phát trực tiếp"),
}

LANGUAGES = {
    "vi": N_("Tiếng Việt"),
    "hre": N_("Tiếng Hrê"),
    "cua": N_("Tiếng Cor"),
    "sed": N_("Tiếng Xơ Đăng, Ca Dong"),
    "bdq": N_("Tiếng Ba Na"),
    "jra": N_("Tiếng Gia Rai"),
    "jeh": N_("Tiếng Giẻ Triêng"),
}

PHRASES = {
    PhraseKind.OPENING: N_("câu mở đầu"),
    PhraseKind.CLOSING: N_("câu kết"),
    PhraseKind.NUMBER: N_("con số"),
    PhraseKind.PLACE: N_("tên nơi chốn"),
    PhraseKind.HAZARD: N_("thiên tai, nguy hiểm"),
    PhraseKind.OTHER: N_("câu khác"),
}

SUBJECTS = {
    Subject.ADMINISTRATION: N_("hành chính"),
    Subject.SECURITY: N_("an ninh, trật tự"),
    Subject.DISASTER: N_("phòng, chống thiên tai"),
    Subject.HEALTH: N_("y tế"),
    Subject.AGRICULTURE: N_("nông nghiệp"),
    Subject.ECONOMY: N_("kinh tế"),
    Subject.ENVIRONMENT: N_("môi trường"),
    Subject.EDUCATION: N_("giáo dục"),
    Subject.CULTURE: N_("văn hóa, thể thao"),
    Subject.LAW: N_("pháp luật, chính sách"),
    Subject.OTHER: N_("khác"),
}

SOUNDINGS = {
    Sounding.SOUNDED: ("ok", N_("đã phát")),
    Sounding.PLAYING: ("ok", N_("đang phát")),
    Sounding.PARTLY: ("partial", N_("phát một phần")),
    Sounding.WAITING: ("plain", N_("chờ phát")),
    Sounding.UNKNOWN: ("unknown", N_("chưa rõ")),
    Sounding.SILENT: ("bad", N_("không phát")),
    Sounding.UNREACHED: ("bad", N_("chưa có cụm loa")),
    Sounding.CANCELLED: ("plain", N_("đã hủy")),
}
"""Look and word of what was heard (`ui.state`)."""

OUTLOOKS = {
    Outlook.READY: ("ok", N_("sẵn sàng")),
    Outlook.MISSES: ("bad", N_("sẽ không phát")),
    Outlook.UNSURE: ("unknown", N_("chưa chắc")),
    Outlook.ON_THE_WAY: ("waiting", N_("đang tải")),
}
"""Look and word of what is to be expected before the start (`ui.state`)."""

WORDS: dict[str, Any] = {
    "revision_states": REVISION_STATES,
    "steps": STEPS,
    "classes": CLASSES,
    "sources": SOURCES,
    "languages": LANGUAGES,
    "subjects": SUBJECTS,
    "soundings": SOUNDINGS,
    "outlooks": OUTLOOKS,
}
"""What templates get of it."""
