"""`broadcast alerts check`: what CAP messages would do here, and why."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.alerts.cap import here as places_here
from broadcast.alerts.cap import policy
from broadcast.alerts.cap.judge import Action, Judged, judge
from broadcast.alerts.cap.places import Here
from broadcast.alerts.cap.reading import MAX_BYTES, Unreadable
from broadcast.kit import clock
from broadcast.kit.cli import run
from broadcast.kit.times import shown

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Cảnh báo khẩn cấp (alerts): CAP 1.2."
)

WORDS = {
    Action.PROPOSE: "NHẬN: lập lệnh khẩn cấp, chờ người thứ hai duyệt",
    Action.DRILL: "NHẬN: lập lệnh diễn tập, chờ người thứ hai duyệt",
    Action.BULLETIN: "NHẬN: vào hộp tin, không tự phát",
    Action.CANCEL: "NHẬN: hủy bản tin trước",
    Action.RECORD: "NHẬN: chỉ lưu lại, không phát",
    Action.REFUSE: "TỪ CHỐI",
}
UNREADABLE = "KHÔNG ĐỌC ĐƯỢC"

LISTED = 12
"""Places named of a message; all are counted."""


class _Checked(NamedTuple):
    file: str
    judged: Judged | None
    """None: it cannot be read."""
    reason: str = ""

    @property
    def code(self) -> int:
        """For the end of the program."""
        if self.judged is None:
            return 2
        return 0 if self.judged.verdict.is_taken else 1


@app.callback()
def _group() -> None:
    """Cảnh báo khẩn cấp (alerts): CAP 1.2."""


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="CAP 1.2 messages", exists=True)],
    at: Annotated[
        datetime | None, typer.Option(help="as if it came then, local time; now by default")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one object a file")] = False,
) -> None:
    """Say what messages would do here, and why; nothing is stored and nothing sounds.

    Ends with 0 when all would be taken, 1 when one would be refused, 2 when one cannot be read.
    """
    settings = config.Settings()
    taken = policy.load(settings.cap.file)
    now = clock.now() if at is None else at.replace(tzinfo=clock.LOCAL)

    async def work(session: AsyncSession) -> Here:
        on = now.astimezone(clock.LOCAL).date()
        return await places_here.load(session, settings.province, on)

    places = run(work)
    checked = [_check(file, taken, places, now) for file in files]
    if as_json:
        typer.echo(json.dumps([_plain(each) for each in checked], ensure_ascii=False, indent=2))
    else:
        for each in checked:
            for line in _lines(each, places):
                typer.echo(line)
    raise typer.Exit(max(each.code for each in checked))


def _check(file: Path, taken: policy.Policy, places: Here, now: datetime) -> _Checked:
    with file.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    try:
        return _Checked(str(file), judge(data, taken, places, now))
    except Unreadable as error:
        return _Checked(str(file), None, str(error))


def _lines(checked: _Checked, places: Here) -> list[str]:
    if checked.judged is None:
        return [f"{checked.file}: {UNREADABLE}", f"  Vì: {checked.reason}"]
    message, verdict = checked.judged
    lines = [f"{checked.file}: {WORDS[verdict.action]}"]
    if verdict.issuer:
        lines.append(f"  Nơi phát: {verdict.issuer}")
    if verdict.event:
        lines.append(f"  Sự kiện: {verdict.event}")
    if message is not None:
        lines.append(f"  Mã: {message.identifier}, gửi {shown(message.sent)}")
    lines += [f"  Vì: {reason}" for reason in verdict.reasons]
    if verdict.codes:
        tree = places.lineage.tree_on(places.on)
        villages = {village for code in verdict.codes for village in tree.villages(code)}
        named = ", ".join(tree[code].called for code in verdict.codes[:LISTED])
        more = len(verdict.codes) - LISTED
        lines.append(
            f"  Nơi nghe: {named}{f' và {more} nơi khác' if more > 0 else ''}"
            f" ({len(villages)} thôn)"
        )
    if verdict.starts_at is not None and verdict.ends_at is not None:
        lines.append(f"  Hiệu lực: {shown(verdict.starts_at)} đến {shown(verdict.ends_at)}")
    lines += [f"  Lời ({text.language}): {text.headline}" for text in verdict.texts]
    lines += [f"  Thay: {each.identifier}" for each in verdict.ends]
    return lines


def _plain(checked: _Checked) -> dict[str, Any]:
    if checked.judged is None:
        return {"file": checked.file, "action": None, "reasons": [checked.reason]}
    message, verdict = checked.judged
    return {
        "file": checked.file,
        "action": verdict.action,
        "reasons": verdict.reasons,
        "identifier": None if message is None else message.identifier,
        "sender": None if message is None else message.sender,
        "sent": None if message is None else shown(message.sent),
        "issuer": verdict.issuer,
        "event": verdict.event,
        "areas": verdict.codes,
        "starts_at": None if verdict.starts_at is None else shown(verdict.starts_at),
        "ends_at": None if verdict.ends_at is None else shown(verdict.ends_at),
        "languages": [text.language for text in verdict.texts],
        "ends": [each.identifier for each in verdict.ends],
    }
