"""What REST and the command line tell of keys."""

from __future__ import annotations

from pydantic import BaseModel, Field

from broadcast.keys.next_steps import Need
from broadcast.keys.states import State
from broadcast.kit.times import Moment


class SigningKeyOut(BaseModel):
    """A signing key: its public half and what it does."""

    kid: str = Field(description="dấu vân tay (RFC 7638)")
    use: str = Field(description="programme: chương trình, cấu hình, lệnh; alert: cảnh báo")
    x: str = Field(description="khóa công khai Ed25519, base64url")
    state: State
    made_at: Moment
    signing_at: Moment | None = None
    replaced_at: Moment | None = None
    retired_at: Moment | None = None
    lacking_count: int = Field(description="số thiết bị chưa ghim khóa này")


class DeviceKeysOut(BaseModel):
    """A device that has not pinned the newest keys."""

    device: str
    last_seen_at: Moment | None
    lacks: list[str] = Field(description="khóa mới nhất mà thiết bị chưa ghim")
    has_config: bool = Field(description="thiết bị đã báo giữ một cấu hình")
    own_key: str | None = Field(description="khóa cũ còn ký riêng cho thiết bị này")


class KeyStepOut(BaseModel):
    """Something to do about the keys, or to wait for."""

    need: Need
    use: str
    kid: str = Field(description="khóa; trống khi chưa có")
    devices_count: int = Field(description="số thiết bị còn phải chờ")
    command: str = Field(description="lệnh chạy trên máy chủ; trống khi chỉ cần chờ")


class KeysOut(BaseModel):
    """All keys, and the devices that have not pinned the newest of each use."""

    keys: list[SigningKeyOut]
    steps: list[KeyStepOut] = Field(description="việc cần làm tiếp; trống: không có")
    devices_count: int = Field(description="số thiết bị đang dùng")
    lacking_count: int = Field(description="số thiết bị chưa ghim đủ khóa mới nhất")
    lacking: list[DeviceKeysOut] = Field(description="các thiết bị đó, nhiều nhất 500, theo mã")
