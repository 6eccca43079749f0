"""Indicators in words: figures as a sentence, reasons and causes in Vietnamese."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from broadcast.indicators.needs import RegisterEntry, Step
from broadcast.indicators.results import Cause, Gap, Reason, Result
from broadcast.stations.model import Evidence, PlantStatus, StationStatus, Technology


def percent(value: Fraction | None) -> str:
    """A share for reading; never rounded up to a target that is not reached.

    >>> percent(Fraction(24, 25)), percent(Fraction(2999, 3000)), percent(None)
    ('96,0 %', '99,9 %', '–')
    """
    if value is None:
        return "–"
    tenths = int(value * 1000)
    return f"{tenths // 10},{tenths % 10} %"


EVIDENCE: dict[Evidence, str] = {
    Evidence.TELEMETRY: "thiết bị tự báo",
    Evidence.ATTESTED: "xác nhận",
    Evidence.NONE: "chưa chứng minh",
}


def evidence_words(code: str) -> Mapping[Evidence, str]:
    """By what a unit of an indicator counts: nothing reports portals, they are read."""
    return EVIDENCE | {Evidence.TELEMETRY: "hệ thống tự đọc"} if code == "1.3" else EVIDENCE


def sentence(result: Result) -> str:
    """Value and what it rests on: `96,0 % (thiết bị tự báo 71,2 %, xác nhận 20,1 %, …)`."""
    if result.value is None:
        return "– (không có gì để đếm)"
    words = evidence_words(result.definition.code)
    parts = ", ".join(f"{words[by]} {text}" for by, text in proven(result).items())
    return f"{percent(result.value)} ({parts})"


def proven(result: Result) -> dict[Evidence, str]:
    """The parts of the value for reading, rounded so that they add up to it as printed."""
    if result.value is None:
        return dict.fromkeys(EVIDENCE, percent(None))
    exact = {by: (result.proven(by) or Fraction(0)) * 1000 for by in EVIDENCE}
    tenths = {by: int(part) for by, part in exact.items()}
    short = int(result.value * 1000) - sum(tenths.values())
    for by in sorted(exact, key=lambda by: tenths[by] - exact[by])[:short]:
        tenths[by] += 1
    return {by: percent(Fraction(part, 1000)) for by, part in tenths.items()}


REASONS: Mapping[str, str] = {
    Reason.VILLAGES_UNREACHED: "còn thôn chưa có cụm loa hoạt động",
    Reason.NO_STATION: "chưa có đài truyền thanh",
    Reason.STATION_NOT_OPERATING: "đài không hoạt động",
    Reason.PARTLY: "mới chuyển đổi một phần",
    Reason.NOT_CONVERTED: "chưa chuyển đổi sang CNTT-VT",
    Reason.NOT_OPERATING: "thiết bị CNTT-VT không hoạt động",
    Reason.NOT_REPLACED: "thiết bị cũ đã thanh lý, chưa được thay",
    Reason.NO_VILLAGE: "lỗi dữ liệu: xã chưa có thôn nào; hãy nhập danh sách thôn",
    Reason.VILLAGES_UNPLACED: "lỗi dữ liệu: có thôn chưa rõ thuộc xã nào; hãy ghi vào sổ thôn",
    Reason.NO_PLANT: "lỗi dữ liệu: đài chưa có hệ thống thiết bị nào; hãy khai báo",
    Reason.NO_STATUS: "lỗi dữ liệu: đài chưa có trạng thái; hãy khai báo",
    Reason.COMMUNE_DIVIDED: "lỗi dữ liệu: xã của đài đã chia tách; hãy ghi đài thuộc xã nào",
    Reason.NO_HOMES: "thôn không có hộ dân",
    Reason.NOT_YET: "đài chưa lắp xong",
    Reason.DECOMMISSIONED: "đài đã thanh lý",
    Reason.NO_PORTAL: "chưa ghi trang thông tin nào; hãy thêm trang",
    Reason.PORTAL_NOT_READ: "chưa đọc được trang thông tin",
    Reason.PORTAL_TOO_FEW: "trang thông tin có quá ít tin thiết yếu",
    Gap.NO_CLUSTER: "không có cụm loa",
    Gap.CLUSTER_DOWN: "cụm loa không hoạt động",
    Gap.PARTIAL: "cụm loa chỉ phủ một phần thôn",
    Gap.NEIGHBOUR: "chỉ nghe cụm loa của đài xã khác",
    Gap.UNPLACED: "lỗi dữ liệu: chưa rõ thôn thuộc xã nào; hãy ghi vào sổ thôn",
    Cause.NOTHING_EXPECTED: "không có giờ phát nào để xét",
    Cause.OFFLINE: "trực tuyến dưới ngưỡng giờ phát",
    Cause.NO_BROADCAST: "không có lịch phát",
    Cause.NO_COMPLETED_PLAY: "không phát trọn bản tin nào trong các ngày có lịch gần nhất",
    Cause.SPEAKER_FAULT: "loa hỏng quá thời hạn",
    Cause.NO_DEVICE: "chưa lắp thiết bị thu",
    Cause.NOT_ATTESTED: "chưa được xác nhận",
    Cause.ATTESTATION_EXPIRED: "xác nhận đã hết hạn",
}
"""Every reason as a person reads it, with what to do when the record is at fault."""

RESTATEMENT_CAUSES: Mapping[str, str] = {
    "online_minutes": "tin báo trạng thái đến muộn",
    "plays": "nhật ký phát đến muộn hoặc sổ phát được sửa",
    "installations": "sửa việc lắp, gỡ thiết bị",
    "outages": "khai báo, sửa mất điện hoặc bảo trì",
    "cluster_villages": "sửa thôn do cụm loa phục vụ",
    "areas": "sửa đơn vị hành chính",
}
"""Table whose rows changed → in words."""

STATION_STATUSES: Mapping[StationStatus | None, str] = {
    StationStatus.PLANNED: "dự kiến lắp",
    StationStatus.INSTALLING: "đang lắp",
    StationStatus.TRIAL: "chạy thử",
    StationStatus.OPERATING: "hoạt động",
    StationStatus.DEGRADED: "xuống cấp",
    StationStatus.OUT_OF_SERVICE: "không hoạt động",
    StationStatus.DECOMMISSIONED: "đã thanh lý",
}

PLANT_STATUSES: Mapping[PlantStatus, str] = {
    PlantStatus.OPERATING: "đang hoạt động",
    PlantStatus.OUT_OF_SERVICE: "không hoạt động",
    PlantStatus.DECOMMISSIONED: "đã thanh lý",
}

TECHNOLOGIES: Mapping[Technology, str] = {
    Technology.WIRED: "hữu tuyến",
    Technology.FM: "vô tuyến FM",
    Technology.IT: "CNTT-VT",
}

STEPS: Mapping[Step, str] = {
    Step.RECORD: "Ghi đủ sổ sách",
    Step.PUBLISH: "Đăng tin thiết yếu",
    Step.BROADCAST: "Xếp lịch phát",
    Step.ATTEST: "Nghe thử rồi xác nhận",
    Step.REPAIR: "Sửa",
    Step.CONNECT: "Lắp thiết bị thu",
    Step.OPERATE: "Cho hoạt động lại",
    Step.EXTEND: "Phủ nốt phần còn lại",
    Step.REACH: "Lắp cụm loa mới",
    Step.CONVERT: "Chuyển sang CNTT-VT",
    Step.FOUND: "Lập đài truyền thanh",
}

SUBJECTS: Mapping[RegisterEntry, str] = {
    RegisterEntry.CLUSTER: "cụm loa",
    RegisterEntry.VILLAGE: "thôn",
    RegisterEntry.PLANT: "hệ thống thiết bị",
    RegisterEntry.STATION: "đài",
    RegisterEntry.COMMUNE: "xã",
    RegisterEntry.PORTAL: "trang thông tin của xã",
}
