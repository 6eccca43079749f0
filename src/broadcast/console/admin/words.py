"""Words and looks of what the register distinguishes."""

from __future__ import annotations

from broadcast.areas.model import Level
from broadcast.clusters.schemas import ClusterState
from broadcast.console.words import N_
from broadcast.stations.model import Evidence, Grade, PlantStatus, StationStatus, Technology

STATUSES = {
    StationStatus.PLANNED: ("unknown", N_("dự kiến")),
    StationStatus.INSTALLING: ("unknown", N_("đang lắp đặt")),
    StationStatus.TRIAL: ("partial", N_("chạy thử")),
    StationStatus.OPERATING: ("ok", N_("hoạt động")),
    StationStatus.DEGRADED: ("partial", N_("xuống cấp")),
    StationStatus.OUT_OF_SERVICE: ("bad", N_("ngừng hoạt động")),
    StationStatus.DECOMMISSIONED: ("bad", N_("đã bỏ")),
}
PLANT_STATUSES = {
    PlantStatus.OPERATING: ("ok", N_("hoạt động")),
    PlantStatus.OUT_OF_SERVICE: ("bad", N_("ngừng hoạt động")),
    PlantStatus.DECOMMISSIONED: ("bad", N_("đã bỏ")),
}
STATES = {
    ClusterState.ONLINE: ("ok", N_("đang kết nối")),
    ClusterState.SILENT: ("unknown", N_("chưa rõ")),
    ClusterState.OFFLINE: ("bad", N_("mất liên lạc")),
    ClusterState.NEVER_SEEN: ("unknown", N_("chưa từng kết nối")),
    ClusterState.NO_DEVICE: ("bad", N_("chưa có thiết bị")),
}
TECHNOLOGIES = {
    Technology.WIRED: N_("hữu tuyến (có dây)"),
    Technology.FM: N_("vô tuyến FM"),
    Technology.IT: N_("qua mạng (CNTT-VT)"),
}
EVIDENCE = {
    Evidence.TELEMETRY: N_("thiết bị tự báo"),
    Evidence.ATTESTED: N_("có người xác nhận tận nơi"),
    Evidence.NONE: N_("không có bằng chứng"),
}
GRADES = {
    Grade.PRIMARY: N_("phục vụ chính"),
    Grade.PARTIAL: N_("nghe được một phần"),
}
LEVELS = {
    Level.PROVINCE: N_("tỉnh"),
    Level.DISTRICT: N_("huyện"),
    Level.COMMUNE: N_("xã"),
    Level.VILLAGE: N_("thôn"),
}
