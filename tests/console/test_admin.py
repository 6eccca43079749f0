from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.accounts.people import create_account
from broadcast.areas.model import VillageLanguages
from broadcast.auth.model import Account
from broadcast.auth.permissions import Role
from broadcast.console.admin import imports
from broadcast.enrolment.codes import code_digest
from broadcast.enrolment.model import Claim
from broadcast.kit import clock, db, progress, sheets
from broadcast.kit.errors import InvalidInput
from broadcast.kit.sheets import Report
from broadcast.stations.model import Cluster, Station
from broadcast.telemetry import dead_letters
from broadcast.telemetry.dead_letters import Budget, DeadLetter, RejectReason
from broadcast.telemetry.model import Refusal
from tests.console.conftest import Pages
from tests.devices.fleet import Everyone, enrol
from tests.enrolment.fleet import installation
from tests.stations import sample


async def send(pages: Pages, path: str, *files: tuple[str, str], **fields: str) -> httpx.Response:
    parts = [("files", (name, text.encode(), "text/csv")) for name, text in files]
    return await pages.client.post(path, files=parts, data=fields, headers={"HX-Request": "true"})


def figures(html: str) -> dict[str, str]:
    return dict(re.findall(r'data-figure="/([^"]+)">([^<]+)<', html))


async def count(engine: AsyncEngine, table: Any) -> int:
    async with db.transaction(engine) as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


@pytest.fixture
async def areas(engine: AsyncEngine) -> None:
    async with db.transaction(engine) as session:
        await sample.areas(session)


REGISTER = [
    ("stations.csv", sample.STATIONS),
    ("plants.csv", sample.PLANTS),
    ("clusters.csv", sample.CLUSTERS),
]


async def test_an_import_is_previewed_row_by_row_and_then_stored(
    pages: Pages, engine: AsyncEngine, areas: None
) -> None:
    shown = await send(pages, "/admin/import/stations/preview", *REGISTER)
    assert shown.status_code == 200, shown.text
    assert figures(shown.text) == {
        "added": "12", "changed": "0", "removed": "0", "unchanged": "0", "refused": "0",
    }  # fmt: skip
    assert "clusters C-4" in shown.text
    assert await count(engine, Cluster) == 0
    (digest,) = re.findall(r'name="digest" value="(\w+)"', shown.text)
    other = ("clusters.csv", sample.CLUSTERS.replace("Cảng Lý Sơn", "Cảng"))
    changed = await send(pages, "/admin/import/stations", *REGISTER[:2], other, digest=digest)
    assert (changed.status_code, changed.json()["field"]) == (422, "files")
    assert await count(engine, Cluster) == 0
    stored = await send(pages, "/admin/import/stations", *REGISTER, digest=digest)
    assert "Đã ghi: thêm 12" in stored.text
    assert await count(engine, Cluster) == 4


async def test_a_refused_row_says_why_and_nothing_can_be_stored(
    pages: Pages, engine: AsyncEngine, areas: None
) -> None:
    wrong = sample.STATIONS.replace("21262,2020", "99999,2020")
    shown = await send(pages, "/admin/import/stations/preview", ("stations.csv", wrong))
    assert figures(shown.text)["refused"] == "1"
    assert "1 dòng bị từ chối" in shown.text
    assert "commune_code: " in shown.text
    assert 'name="digest"' not in shown.text
    assert await count(engine, Station) == 0
    none = await send(pages, "/admin/import/stations/preview", ("", ""))
    assert none.status_code == 422


async def test_units_and_lineage_are_told_apart_by_their_header(pages: Pages, areas: None) -> None:
    units = "code,level,kind,name,parent_code,valid_from,valid_to\n"
    text = units + "99998,commune,xã,Xã Mới,51,2025-07-01,\n"
    shown = await send(pages, "/admin/import/areas/preview", ("a.csv", text))
    assert figures(shown.text)["added"] == "1"
    twice = await send(pages, "/admin/import/areas/preview", ("a.csv", text), ("b.csv", text))
    assert twice.status_code == 422
    villages = (
        "code,kind,name,commune_code,valid_from,valid_to\nT-9,thôn,Thôn 9,21253,2020-02-01,\n"
    )
    shown = await send(pages, "/admin/import/villages/preview", ("v.csv", villages))
    assert figures(shown.text)["added"] == "1"
    assert (await pages.load("/admin/import/nothing")).status_code == 404


async def test_languages_of_villages_are_previewed_row_by_row_and_then_stored(
    pages: Pages, engine: AsyncEngine, areas: None
) -> None:
    path, head = "/admin/import/village-languages", "code,languages,valid_from\n"
    assert "village_languages.csv" in (await pages.load(path)).text
    good = ("l.csv", f"{head}T-1,hre:85; vi:15,2024-12-01\nT-4,vi,2024-12-01\n")
    wrong = ("l.csv", f"{head}T-1,hre:85,2024-12-01\nT-99,vi,2024-12-01\nT-4,xx,2024-12-01\n")
    shown = await send(pages, f"{path}/preview", wrong)
    assert figures(shown.text)["refused"] == "2"
    assert "không có thôn này" in shown.text
    assert "không có tiếng “xx”" in shown.text
    assert 'name="digest"' not in shown.text
    shown = await send(pages, f"{path}/preview", good)
    assert figures(shown.text)["added"] == "2"
    assert "hre:85; vi:15" in shown.text
    assert await count(engine, VillageLanguages) == 0
    (digest,) = re.findall(r'name="digest" value="(\w+)"', shown.text)
    stored = await send(pages, path, good, digest=digest)
    assert "Đã ghi: thêm 2" in stored.text
    assert await count(engine, VillageLanguages) == 2
    twice = await send(pages, f"{path}/preview", good, ("m.csv", good[1]))
    assert (twice.status_code, twice.json()["field"]) == (422, "files")


async def test_readers_are_previewed_and_then_stored(pages: Pages, engine: AsyncEngine) -> None:
    async with db.transaction(engine) as session:
        account = await create_account(session, "Đinh Văn Hrê", clock.now())
    path, file = "/admin/import/readers", ("r.csv", "name,languages\nĐinh Văn Hrê,hre\n")
    assert "readers.csv" in (await pages.load(path)).text
    shown = await send(pages, f"{path}/preview", file)
    assert figures(shown.text)["added"] == "1"
    (digest,) = re.findall(r'name="digest" value="(\w+)"', shown.text)
    assert "Đã ghi: thêm 1" in (await send(pages, path, file, digest=digest)).text
    async with db.transaction(engine) as session:
        assert (await session.get_one(Account, account.id)).languages == ["hre"]


async def test_an_import_needs_its_permission_in_the_whole_province(pages: Pages) -> None:
    pages.called_by(Role.TECHNICIAN)
    assert (await pages.load("/admin/import/devices")).status_code == 200
    assert (await pages.load("/admin/import/areas")).status_code == 403
    pages.called_by(Role.PROVINCE_MONITOR)
    assert (await pages.load("/admin/import/stations")).status_code == 403


async def test_the_index_shows_what_the_caller_may_administer(pages: Pages) -> None:
    html = (await pages.load("/admin")).text
    for path in ("/admin/stations", "/admin/import/areas", "/admin/refused", "/admin/enrolment"):
        assert f'href="{path}"' in html
    pages.called_by(Role.PROVINCE_MONITOR)
    html = (await pages.load("/admin")).text
    assert 'href="/admin/regulations"' in html
    assert 'href="/admin/refused"' not in html


@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.AUDITOR, Role.PROVINCE_ADMIN])
async def test_the_index_offers_nothing_that_is_refused(
    pages: Pages, engine: AsyncEngine, role: Role
) -> None:
    """Somebody with the role in one commune."""
    async with db.transaction(engine) as session:
        await sample.areas(session)
    pages.called_by(role, "21253")
    offered = re.findall(r'href="(/(?:admin|emergency)/[^"]*)"', (await pages.load("/admin")).text)
    assert offered
    answers = {path: (await pages.load(path)).status_code for path in offered}
    assert {path: status for path, status in answers.items() if status != 200} == {}


async def test_what_was_refused_is_told_in_words(pages: Pages, engine: AsyncEngine) -> None:
    now = clock.now()
    async with db.transaction(engine) as session:
        (device,) = await enrol(session, "A")
        letter = DeadLetter(RejectReason.KIND, "ttn/v1/device/A/event/x", "A", b"{", "unknown")
        await dead_letters.keep(session, [letter], now, Budget(Everyone()))
        session.add(
            Refusal(device_id=device.id, topic="t", reason="expired", sent_at=now, received_at=now)
        )
    html = (await pages.load("/admin/refused")).text
    assert "Loại thông điệp này máy chủ chưa biết" in html
    assert "Đã quá hạn khi tới thiết bị" in html
    pages.called_by(Role.PROVINCE_MONITOR)
    assert (await pages.load("/admin/refused")).status_code == 403


async def test_the_register_is_listed_as_rest_lists_it(
    pages: Pages, engine: AsyncEngine, areas: None
) -> None:
    async with db.transaction(engine) as session:
        await sample.everything(session)
    for page, path, key in (
        ("/admin/stations", "/stations", "name"), ("/admin/clusters", "/clusters", "name"),
        ("/admin/areas?level=province", "/areas?level=province", "name"),
    ):  # fmt: skip
        html = (await pages.client.get(page)).text
        items = (await pages.client.get("/api/v1" + path)).json()["items"]
        named = re.findall(r'<th scope="row">(?:<a [^>]+>)?([^<]+)<', html)
        assert named == [item[key] for item in items]
        assert named
        cells = {cell.strip() for cell in re.findall(r"<td>(?:<a [^>]+>)?([^<]+)<", html)}
        other = {"51", "21253", "21262", "P-1", "P-2", "T-1", "T-2", "T-1, T-2"} - {
            item["code"] for item in items
        }
        assert not cells & other, "what has a name is called by it"
        assert not re.search(r"\bT-\d", "".join(cells))
    stations = (await pages.load("/admin/stations")).text
    assert 'ã Nghĩa Phú <span class="muted small">21253</span>' in stations
    empty = (await pages.load("/admin/stations", status="trial")).text
    assert "Không có đài nào như vậy." in empty


async def test_labels_have_a_code_each_and_what_is_wrong_is_said_at_the_field(
    pages: Pages, engine: AsyncEngine, tmp_path: Path
) -> None:
    made = installation(tmp_path)
    pages.app.state.settings = pages.settings.model_copy(
        update={"enrolment": made.enrolment, "web": made.web}
    )
    async with db.transaction(engine) as session:
        await enrol(session, "A", "B")
    pages.called_by(Role.TECHNICIAN)
    assert 'value="B"' in (await pages.load("/admin/enrolment")).text
    refused = await pages.submit("/admin/enrolment", codes="")
    assert (refused.status_code, refused.json()["field"]) == (422, "codes")
    unknown = await pages.submit("/admin/enrolment", codes="A Z")
    assert (unknown.status_code, "“Z”" in unknown.json()["detail"]) == (404, True)
    assert await count(engine, Claim) == 0
    shown = await pages.submit("/admin/enrolment", chosen=["A"], codes="B\nA")
    assert shown.headers["cache-control"] == "no-store"
    assert re.findall(r'<h2>(\w+)</h2>\s+<img src="data:image/svg', shown.text) == ["A", "B"]
    codes = re.findall(r'<p class="code">([^<]+)</p>', shown.text)
    async with db.transaction(engine) as session:
        stored = await session.scalars(sa.select(Claim.code_sha256).order_by(Claim.id))
    assert list(stored) == [code_digest(code) for code in codes]


async def test_a_merger_is_previewed_and_then_carried_out(
    pages: Pages, engine: AsyncEngine, areas: None
) -> None:
    async with db.transaction(engine) as session:
        await sample.everything(session)
    before = await count(engine, Station)
    assert 'name="on"' in (await pages.load("/admin/mergers")).text
    none = await pages.submit("/admin/mergers/preview", on="2024-03-03")
    assert (none.status_code, none.json()["field"]) == (422, "on")
    shown = await pages.submit("/admin/mergers/preview", on="2025-07-01")
    assert shown.status_code == 200, shown.text
    assert "Đây là xem trước, chưa ghi gì" in shown.text
    assert await count(engine, Station) == before
    (digest,) = re.findall(r'name="digest" value="(\w+)"', shown.text)
    assert (await pages.submit("/admin/mergers", on="2025-07-01", digest="x")).status_code == 422
    done = await pages.submit("/admin/mergers", on="2025-07-01", digest=digest)
    assert "Đã sáp nhập." in done.text
    assert await count(engine, Station) > before
    pages.called_by(Role.TECHNICIAN)
    assert (await pages.load("/admin/mergers")).status_code == 403


async def test_a_merger_over_rest_says_what_the_page_says(
    pages: Pages, engine: AsyncEngine, areas: None
) -> None:
    async with db.transaction(engine) as session:
        await sample.everything(session)
    before = await count(engine, Station)
    asked = {"on": "2025-07-01", "dry_run": "true"}
    told = await pages.client.post("/api/v1/mergers", data=asked)
    assert told.status_code == 200, told.text
    assert await count(engine, Station) == before
    html = (await pages.submit("/admin/mergers/preview", on="2025-07-01")).text
    for unit in told.json()["created"]:
        assert f'{unit["name"]} <span class="muted small">{unit["code"]}</span>' in html
    done = await pages.client.post("/api/v1/mergers", data=asked | {"dry_run": "false"})
    assert done.json()["created"] == told.json()["created"] != []
    assert await count(engine, Station) > before
    pages.called_by(Role.TECHNICIAN)
    assert (await pages.client.post("/api/v1/mergers", data=asked)).status_code == 403


async def test_labels_over_rest_are_all_made_or_none(
    pages: Pages, engine: AsyncEngine, tmp_path: Path
) -> None:
    made = installation(tmp_path)
    pages.app.state.settings = pages.settings.model_copy(
        update={"enrolment": made.enrolment, "web": made.web}
    )
    async with db.transaction(engine) as session:
        await enrol(session, "A", "B")
    pages.called_by(Role.TECHNICIAN)
    path = "/api/v1/devices/claims"
    missing = await pages.client.post(path, json={"codes": ["A", "Z"]})
    assert (missing.status_code, await count(engine, Claim)) == (404, 0)
    given = await pages.client.post(path, json={"codes": ["B", "A", "B"]})
    assert given.status_code == 201, given.text
    assert given.headers["cache-control"] == "no-store"
    assert [each["device_code"] for each in given.json()] == ["B", "A"]
    async with db.transaction(engine) as session:
        stored = await session.scalars(sa.select(Claim.code_sha256).order_by(Claim.id))
    assert list(stored) == [code_digest(each["claim_code"]) for each in given.json()]
    too_many = await pages.client.post(path, json={"codes": [f"D-{n}" for n in range(61)]})
    assert too_many.status_code == 422


class Waiting:
    """An importer that stops in the middle until it may go on."""

    def __init__(self) -> None:
        self.begun, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def until_begun(self, work: asyncio.Task[httpx.Response]) -> None:
        """Wait until it stands in the middle; fails where the work ends before that."""
        begun = asyncio.create_task(self.begun.wait())
        await asyncio.wait({begun, work}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            begun.cancel()
            raise AssertionError(f"it did not stop in the middle: {work.result()}")

    async def __call__(self, attempt: imports.Attempt) -> Report:
        for _ in range(250):
            await progress.step()
        self.begun.set()
        await self.may_go_on.wait()
        return Report(added=250)


async def test_an_import_says_how_many_rows_are_done_and_how_it_ended_to_who_comes_back(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = Waiting()
    kind = imports.IMPORTS["stations"]
    monkeypatch.setitem(imports.IMPORTS, "stations", kind._replace(run=waiting))
    path, file = "/admin/import/stations", ("stations.csv", "code\n" * 300)
    digest = imports.digest_of([sheets.File("stations.csv", file[1].encode())])
    assert "progress max" not in (await pages.load(path)).text
    storing = asyncio.create_task(send(pages, path, file, digest=digest))
    await waiting.until_begun(storing)
    for place in (f"{path}/progress", path):
        html = (await pages.load(place)).text
        assert "Đang ghi: 250 trên khoảng 300 dòng" in html
        assert 'hx-trigger="load delay:1s"' in html
    again = await send(pages, path, file, digest=digest)
    assert (again.status_code, "còn đang ghi" in again.json()["detail"]) == (409, True)
    assert "Đang ghi: 250" in (await pages.load(path)).text
    waiting.may_go_on.set()
    assert "Đã ghi: thêm 250" in (await storing).text
    assert "Đã ghi: thêm 250" in (await pages.load(path)).text
    pages.called_by(Role.TECHNICIAN)
    assert (await pages.load("/admin/import/areas/progress")).status_code == 403


async def test_a_preview_says_how_many_rows_are_read_and_leaves_nothing_behind(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = Waiting()
    kind = imports.IMPORTS["stations"]
    monkeypatch.setitem(imports.IMPORTS, "stations", kind._replace(run=waiting))
    path, file = "/admin/import/stations", ("stations.csv", "code\n" * 300)
    preview = asyncio.create_task(send(pages, f"{path}/preview", file))
    await waiting.until_begun(preview)
    for place in (f"{path}/progress", path):
        html = (await pages.load(place)).text
        assert "Đang xem trước: 250 trên khoảng 300 dòng" in html
        assert 'hx-trigger="load delay:1s"' in html
    waiting.may_go_on.set()
    assert figures((await preview).text)["added"] == "250"
    html = (await pages.load(f"{path}/progress")).text
    assert "progress max" not in html
    assert "load delay:1s" not in html


async def test_an_import_that_fails_is_told_to_who_comes_back(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(attempt: imports.Attempt) -> Report:
        raise InvalidInput("stations.csv", "dòng 2: hỏng")

    kind = imports.IMPORTS["stations"]
    monkeypatch.setitem(imports.IMPORTS, "stations", kind._replace(run=refuse))
    digest = imports.digest_of([sheets.File("stations.csv", b"code\n")])
    path = "/admin/import/stations"
    answer = await send(pages, path, ("stations.csv", "code\n"), digest=digest)
    assert answer.status_code == 422
    assert "không ghi gì: stations.csv: dòng 2: hỏng" in (await pages.load(path)).text
