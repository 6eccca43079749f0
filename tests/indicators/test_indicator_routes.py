"""Indicators and exclusions over REST and on the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from broadcast import config
from broadcast.accounts.people import create_with_token
from broadcast.areas.model import Area, Level
from broadcast.auth.permissions import Role
from broadcast.cli import app as cli
from broadcast.indicators.routes import router
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from broadcast.stations.model import (
    Attestation,
    Cluster,
    ClusterVillage,
    Evidence,
    Grade,
    Plant,
    PlantState,
    PlantStatus,
    Station,
    StationState,
    StationStatus,
)
from broadcast.visibility.sessions import limit
from broadcast.web import rest

LONG_AGO = date(2020, 2, 1)
ASKED = {"as_of": "2025-11-30"}


async def province(engine: AsyncEngine) -> None:
    """Two communes: one whose only village hears a cluster by attestation, one with nothing."""
    async with db.transaction(engine) as session:
        for code, level, parent in [
            ("51", Level.PROVINCE, None), ("21001", Level.COMMUNE, "51"),
            ("21002", Level.COMMUNE, "51"), ("t1", Level.VILLAGE, "21001"),
            ("t2", Level.VILLAGE, "21002"),
        ]:  # fmt: skip
            session.add(
                Area(
                    code=code, level=level, kind="", name=f"Đơn vị {code}", parent_code=parent,
                    valid_from=LONG_AGO, valid_to=None,
                )
            )  # fmt: skip
        station = Station(
            code="S1", name="Đài", commune_code="21001", valid_from=LONG_AGO, valid_to=None
        )
        plant = Plant(code="P1", name="")
        session.add_all([station, plant])
        await session.flush()
        cluster = Cluster(
            code="C1", name="", plant_id=plant.id, latitude=None, longitude=None, watts=None,
            evidence=Evidence.ATTESTED, installed_on=LONG_AGO, removed_on=None,
        )  # fmt: skip
        session.add(cluster)
        await session.flush()
        session.add_all(
            [
                StationState(
                    station_id=station.id, valid_from=LONG_AGO, status=StationStatus.OPERATING
                ),
                PlantState(
                    plant_id=plant.id, valid_from=LONG_AGO, station_id=station.id,
                    technologies=["it"], status=PlantStatus.OPERATING,
                ),
                ClusterVillage(
                    cluster_id=cluster.id, village_code="t1", valid_from=LONG_AGO,
                    valid_to=None, grade=Grade.PRIMARY,
                ),
                Attestation(
                    cluster_id=cluster.id, attested_by="Trưởng thôn", reference="ảnh",
                    attested_at=datetime(2025, 11, 20, tzinfo=LOCAL),
                ),
            ]
        )  # fmt: skip


@pytest.fixture
async def http(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.setattr(clock, "now", lambda: datetime(2025, 12, 1, 9, tzinfo=LOCAL))
    monkeypatch.setattr(clock, "today", lambda: date(2025, 12, 1))
    await province(engine)
    app = FastAPI()
    rest.install(app)
    app.state.engine = engine
    app.state.limit = limit
    app.state.settings = config.Settings()
    app.include_router(router)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://test/api/v1",
        headers=await token(engine, Role.PROVINCE_MONITOR),
    ) as client:
        yield client


async def token(engine: AsyncEngine, role: Role) -> dict[str, str]:
    async with db.transaction(engine) as session:
        made = await create_with_token(session, "Lan", role, clock.now())
    return {"Authorization": f"Bearer {made}"}


async def test_all_variants_come_with_evidence_and_target(http: httpx.AsyncClient) -> None:
    answer = (await http.get("/indicators", params=ASKED)).json()
    assert answer["as_of"] == "2025-11-30"
    assert answer["scope"] == "51"
    figures = {f"{each['code']} {each['variant']}": each for each in answer["indicators"]}
    assert list(figures) == [
        "1.1 BC", "1.1 TH", "1.1 NG67", "1.1 NG80", "1.1 THON", "1.2 BC", "1.2 GOC", "1.2 XA",
        "1.3 TX", "1.3 CO",
    ]  # fmt: skip
    strict = figures["1.1 TH"]
    assert (strict["value"], strict["numerator"], strict["denominator"]) == (0.5, 1, 2)
    assert strict["proven"] == {"telemetry": 0.0, "attested": 0.5, "none": 0.0}
    assert (strict["target"], strict["gap"]) == (1.0, 0.5)
    assert (
        strict["text"] == "50,0 % (thiết bị tự báo 0,0 %, xác nhận 50,0 %, chưa chứng minh 0,0 %)"
    )
    assert figures["1.2 GOC"]["value"] is None
    assert figures["1.2 GOC"]["proven"] is None


async def test_a_variant_comes_with_its_lists(http: httpx.AsyncClient) -> None:
    answer = (await http.get("/indicators/1.1/TH", params=ASKED)).json()
    assert answer["numerator_list"] == ["21001"]
    counted, missing = answer["denominator_list"]
    assert (counted["code"], counted["evidence"], counted["reason"]) == ("21001", "attested", None)
    assert missing["code"] == "21002"
    assert missing["reason"] == "villages_unreached"
    assert missing["reason_text"] == "còn thôn chưa có cụm loa hoạt động"
    assert missing["causes"] == ["t2"]
    assert missing["share"] == 0.0


async def test_an_attestation_has_decayed_by_a_later_day_and_did_not_exist_before(
    http: httpx.AsyncClient,
) -> None:
    for as_of, value in [("2025-11-18", 0.0), ("2025-11-20", 0.5), ("2025-12-01", 0.5)]:
        answer = (await http.get("/indicators/1.1/THON", params={"as_of": as_of})).json()
        assert answer["value"] == value, as_of


async def test_the_day_asked_about_is_today_unless_told(http: httpx.AsyncClient) -> None:
    assert (await http.get("/indicators")).json()["as_of"] == "2025-12-01"


async def test_the_scope_may_be_one_commune(http: httpx.AsyncClient) -> None:
    answer = await http.get("/indicators/1.1/TH", params={**ASKED, "scope": "21002"})
    assert [each["code"] for each in answer.json()["denominator_list"]] == ["21002"]


async def test_a_figure_is_explained_down_to_the_cluster(http: httpx.AsyncClient) -> None:
    needs = (await http.get("/indicators/1.1/TH/needs", params=ASKED)).json()
    assert (needs["missing"], needs["reachable"]) == (1, 1)
    (change,) = needs["changes"]
    assert (change["step"], change["code"], change["villages"]) == ("reach", "t2", ["t2"])
    assert change["units"] == [{"code": "21002", "name": "Đơn vị 21002"}]
    assert needs["text"] == (
        "Còn thiếu 1 đơn vị mới đạt mục tiêu 100,0 %."
        " 1 việc dưới đây đưa thêm 1 đơn vị vào diện được tính."
    )
    chain = (await http.get("/indicators/1.1/TH/why/21001", params=ASKED)).json()["chain"]
    assert [each["level"] for each in chain] == ["unit", "village", "cluster"]
    operation = (await http.get(chain[2]["address"].removeprefix("/api/v1"))).json()
    assert (operation["cluster"], operation["operates"]) == ("C1", True)
    assert operation["villages"] == [{"code": "t1", "name": "Đơn vị t1"}]
    assert (await http.get("/indicators/1.1/TH/why/21999", params=ASKED)).status_code == 404
    assert (await http.get("/clusters/C9/operation", params=ASKED)).status_code == 404


async def test_communes_are_put_side_by_side(http: httpx.AsyncClient) -> None:
    answer = (await http.get("/indicators/1.1/compare", params=ASKED)).json()
    assert [(row["code"], row["share"]) for row in answer["communes"]] == [
        ("21002", 0.0), ("21001", 1.0),
    ]  # fmt: skip
    best = await http.get("/indicators/1.1/compare", params={**ASKED, "sort": "best"})
    assert [row["code"] for row in best.json()["communes"]] == ["21001", "21002"]
    assert (await http.get("/indicators/1.9/compare", params=ASKED)).status_code == 404


async def test_a_trend_is_of_days_weeks_or_months(http: httpx.AsyncClient) -> None:
    answer = (
        await http.get("/indicators/1.1/TH/trend", params={**ASKED, "from": "2025-09-15"})
    ).json()
    assert [(point["on"], point["value"]) for point in answer["points"]] == [
        ("2025-09-30", 0.0), ("2025-10-31", 0.0), ("2025-11-30", 0.5),
    ]  # fmt: skip
    assert answer["breaks"] == []


async def test_an_unchanged_figure_is_not_sent_again(http: httpx.AsyncClient) -> None:
    first = await http.get("/indicators", params=ASKED)
    again = await http.get(
        "/indicators", params=ASKED, headers={"If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("path", "params", "status", "said"),
    [
        ("/indicators/1.1/XX", {}, 404, "các chỉ tiêu: 1.1/BC"),
        ("/indicators/1.3/TH", {}, 404, "Không có chỉ tiêu 1.3/TH"),
        ("/indicators", {"as_of": "2025-12-02"}, 422, "chưa tới"),
        ("/indicators", {"as_of": "hôm qua"}, 422, ""),
        ("/indicators", {"scope": "21999"}, 404, "kiểm tra lại mã"),
        ("/indicators/1.1/TH", {"scope": "t1"}, 422, "là thôn"),
    ],
)
async def test_a_wrong_question_is_answered_with_the_remedy(
    http: httpx.AsyncClient, path: str, params: dict[str, str], status: int, said: str
) -> None:
    answer = await http.get(path, params=params)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


async def test_a_village_without_homes_leaves_the_denominator_until_people_are_back(
    http: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    admin = await token(engine, Role.PROVINCE_ADMIN)
    body = {"village_code": "t2", "valid_from": "2025-11-01", "document": "CV 12/UBND"}
    made = await http.post("/village-exclusions", json=body, headers=admin)
    assert made.status_code == 201, made.text
    assert made.json()["declared_by"]["name"] == "Lan"

    answer = (await http.get("/indicators/1.1/THON", params=ASKED)).json()
    assert answer["value"] == 1.0
    (excluded,) = answer["excluded_list"]
    assert (excluded["code"], excluded["reason"]) == ("t2", "no_homes")
    assert excluded["document"] == "CV 12/UBND"
    strict = (await http.get("/indicators/1.1/TH", params=ASKED)).json()
    assert [each["code"] for each in strict["data_error_list"]] == ["21002"]

    again = await http.post(
        "/village-exclusions", json={**body, "valid_from": "2025-11-15"}, headers=admin
    )
    assert again.status_code == 409
    path = "/village-exclusions/t2/2025-11-01"
    ended = await http.patch(path, json={"valid_to": "2025-11-29"}, headers=admin)
    assert ended.json()["valid_to"] == "2025-11-29"
    assert (await http.get(path)).json() == ended.json()
    assert (await http.get("/village-exclusions", params=ASKED)).json() == []
    on_last = await http.get("/village-exclusions", params={"as_of": "2025-11-29"})
    assert [each["village_code"] for each in on_last.json()] == ["t2"]
    assert (await http.get("/indicators/1.1/THON", params=ASKED)).json()["value"] == 0.5
    later = await http.patch(path, json={"valid_to": "2025-11-30"}, headers=admin)
    assert later.status_code == 422


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"village_code": "t9"}, 422, "kiểm tra lại mã"),
        ({"village_code": "21001"}, 422, "không phải thôn"),
        ({"document": " "}, 422, "còn trống"),
        ({"valid_to": "2025-10-31"}, 422, "ngày cuối"),
    ],
)
async def test_an_exclusion_needs_a_village_and_a_document(
    http: httpx.AsyncClient,
    engine: AsyncEngine,
    change: dict[str, str],
    status: int,
    said: str,
) -> None:
    body = {"village_code": "t2", "valid_from": "2025-11-01", "document": "CV 12/UBND"}
    admin = await token(engine, Role.PROVINCE_ADMIN)
    answer = await http.post("/village-exclusions", json=body | change, headers=admin)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


async def test_only_the_administrator_excludes(
    http: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    body = {"village_code": "t2", "valid_from": "2025-11-01", "document": "CV 12/UBND"}
    assert (
        await http.post("/village-exclusions", json=body, headers={"Authorization": ""})
    ).status_code == 401
    for role in (Role.PROVINCE_EDITOR, Role.PROVINCE_MONITOR):
        headers = await token(engine, role)
        answer = await http.post("/village-exclusions", json=body, headers=headers)
        assert answer.status_code == 403


async def test_two_overlapping_exclusions_at_once_become_one(
    http: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    admin = await token(engine, Role.PROVINCE_ADMIN)
    body = {"village_code": "t2", "document": "CV 12/UBND"}
    answers = await asyncio.gather(
        *(
            http.post(
                "/village-exclusions",
                json={**body, "valid_from": str(date(2025, 11, 1) + timedelta(days=number))},
                headers=admin,
            )
            for number in range(5)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


def _prepare() -> None:
    async def run() -> None:
        engine = db.create_engine(config.Settings().postgres)
        await province(engine)
        await engine.dispose()

    asyncio.run(run())


def test_the_command_prints_a_table_and_json(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", postgres_dsn)
    monkeypatch.setenv("COLUMNS", "200")
    _prepare()
    runner = CliRunner()
    table = runner.invoke(cli, ["indicators", "--as-of", "2025-11-30"])
    assert table.exit_code == 0, table.output
    assert "50,0 %" in table.output
    assert "Chỉ tiêu ngày 30/11/2025, 51" in table.output
    answer = runner.invoke(cli, ["indicators", "--as-of", "2025-11-30", "--json"])
    figures = {f"{f['code']} {f['variant']}": f for f in json.loads(answer.output)["indicators"]}
    assert figures["1.1 TH"]["numerator"] == 1
    refused = runner.invoke(cli, ["indicators", "--scope", "21999"])
    assert refused.exit_code == 1
