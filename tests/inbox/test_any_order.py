"""In any order of sending, picking, declining, withdrawing, merging: nothing sounds unpicked."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from broadcast.auth.permissions import Role
from tests.inbox.conftest import AN, PHU, World

STEPS = 30


async def test_what_sounds_was_picked_there_and_not_withdrawn(world: World) -> None:
    chance = Random(66)
    people = {AN: ["An", "Ân"], PHU: ["Phú"]}
    items: list[tuple[str, str, str]] = []  # id, bulletin, commune
    expected: dict[str, tuple[str, str, datetime]] = {}  # schedule → bulletin, document, start
    withdrawn: set[str] = set()
    answered: set[tuple[str, str]] = set()
    for number in range(STEPS):
        if number == STEPS // 2:  # the communes become one, with one inbox
            world.now += timedelta(days=5)
            await world.employ("Mới", Role.COMMUNE_BROADCASTER, AN)
            people = {AN: ["Mới"], PHU: ["Mới"]}
        merged = number >= STEPS // 2
        step = chance.choice(("send", "pick", "pick", "decline", "withdraw"))
        if step == "send" or not items:
            places = [AN] if merged else chance.sample([AN, PHU], chance.randint(1, 2))
            bulletin = await world.bulletin(title=f"Tin {number}")
            sent = await world.send(bulletin, *places, until="2025-01-20")
            items += [(each["id"], bulletin, each["commune_code"]) for each in sent]
            continue
        item, bulletin, commune = chance.choice(items)
        station = AN if merged else commune
        if step == "withdraw":
            if bulletin not in withdrawn:
                path = f"/bulletins/{bulletin}/revisions/1/withdraw"
                await world.ok("Quản", "POST", path, {"note": "Sai"})
            withdrawn.add(bulletin)
            expected = {each: what for each, what in expected.items() if what[0] != bulletin}
        else:
            body = {"reason": "Cũ"} if step == "decline" else {}
            who = chance.choice(people[commune])
            answer = await world.ask(who, "POST", f"/inbox-items/{item}/{step}", body)
            alike = {
                (other_bulletin, other)
                for _, other_bulletin, other in items
                if other_bulletin == bulletin and (merged or other == commune)
            }
            refused = bulletin in withdrawn or bool(alike & answered)
            assert answer.status_code == (409 if refused else 200), answer.text
            if not refused:
                answered |= alike
                if step == "pick":
                    made = answer.json()["schedule"]
                    at = datetime.fromisoformat(made["starts_at"])
                    expected[made["id"]] = (bulletin, f"area/{station}", at)
        page = await world.ok(
            "Lan",
            "GET",
            f"/occurrences?state=planned&limit=500&from={world.now:%Y-%m-%dT%H:%M:%SZ}",
        )
        heard = {
            each["schedule_id"]: (each["bulletin_id"], tuple(each["scopes"]))
            for each in page["items"]
        }
        assert heard == {
            id_: (of, (document,))
            for id_, (of, document, at) in expected.items()
            if at > world.now
        }
