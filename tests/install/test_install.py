"""docs/operations.md on a bare Debian, line by line: from nothing to bulletins heard, and on.

`make install-test`; minutes long, needs root and packages, so `make test` leaves it out. The tests
are the steps of one story, in order: each goes on with the machine as the last one left it.
"""

from __future__ import annotations

import json
import resource
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.install import page
from tests.install.debian import ROOT, Machine, why_not

DEVICES = ["QN-000001", "QN-000002", "QN-000003"]

pytestmark = [pytest.mark.install, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    reason = why_not()
    if reason is not None:
        pytest.skip(f"the install page is not executed: {reason}")
    with Machine(tmp_path_factory.mktemp("debian")) as machine:
        yield machine


def previous() -> str | None:
    """The release before: the last tag, else the commit before, if it installs by this page."""

    def git(*words: str) -> list[str]:
        done = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.stdout.split() if done.returncode == 0 else []

    for revision in [
        *git("describe", "--tags", "--abbrev=0", "HEAD^"),
        *git("rev-parse", "HEAD^"),
    ]:
        if git("ls-tree", "--name-only", revision, "deploy/systemd/broadcast-broker.path"):
            return revision
    return None


def test_every_part_of_the_page_is_executed() -> None:
    assert page.steps("Install") == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    for part in page.EXECUTED:
        assert page.commands(part)


def test_install(machine: Machine) -> None:
    machine.unpack()
    machine.run(page.commands("Install", 1), network=True, seconds=400)
    for step in (2, 3):
        machine.run(page.commands("Install", step), seconds=400)
    assert "broadcast 0" in machine.say("broadcast --version")


def test_settings_are_read_by_every_command(machine: Machine) -> None:
    machine.run(page.commands("Install", 4))
    # The only line that is not the page's: the test may run at night.
    machine.run("echo 'BROADCAST_RULES__QUIET_HOURS=[]' >> /etc/broadcast/broadcast.env")
    machine.run(page.commands("Install", 5) + page.commands("Install", 6))
    keys = machine.say(
        "stat -c '%U %a' /var/lib/broadcast/keys/*.pem /etc/broadcast/broadcast.env"
    )
    assert keys.split() == [*("broadcast", "600") * 2, "root", "640"]
    assert "broadcast.env" not in machine.say(
        "runuser -u nobody -- ls /etc/broadcast 2>&1 || true"
    )


def test_services_run_as_their_units_say(machine: Machine) -> None:
    said = machine.run(page.commands("Install", 7))
    assert "SAI" not in said
    limits = machine.say("grep 'open files' /proc/$(cat /run/units/mosquitto.service)/limits")
    assert int(limits.split()[3]) == min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    users = machine.say(
        "ps -o user:20= -p $(cat /run/units/broadcast-*.service | paste -sd,)"
        " 2>/dev/null || stat -c %U $(sed 's,^,/proc/,;s,$,,' /run/units/broadcast-*.service)"
    )
    assert set(users.split()) == {"broadcast"}


def test_three_devices_are_enrolled_connect_and_play(machine: Machine) -> None:
    machine.run(page.commands("Install", 8) + page.commands("Install", 9))
    start_devices(machine)
    assert api(machine, "GET", "/areas?level=commune&as_of=2024-07-09")
    play(machine)


DROP_IN = "/etc/systemd/system/mosquitto.service.d/limits.conf"
SPOILT = [
    # What is done, what is done about it, and what the doctor says in between.
    (
        "chmod 644 $keys/alert-*.pem",
        "chmod 600 $keys/alert-*.pem",
        "chmod 600 /var/lib/broadcast/keys",
    ),
    ("chown root $keys/server.key", "chown broadcast $keys/server.key", "MQTT__TLS_KEY_FILE"),
    ("chown root $lib/content", "chown broadcast $lib/content", "BROADCAST_CONTENT_DIR"),
    ("chmod 600 $etc/broadcast.env", "chmod 640 $etc/broadcast.env", "broadcast.env: "),
    (
        f"sed -i s/65536/1024/ {DROP_IN}; systemctl restart mosquitto",
        f"sed -i s/1024/65536/ {DROP_IN}; systemctl restart mosquitto",
        "LimitNOFILE",
    ),
]
PLACES = "lib=/var/lib/broadcast keys=$lib/keys etc=/etc/broadcast\n"


def test_the_doctor_says_what_is_wrong_and_what_to_do(machine: Machine) -> None:
    doctor = "cd / && runuser -u broadcast -- broadcast doctor"
    for spoil, mend, says in SPOILT:
        machine.run(PLACES + spoil)
        said = machine.say(f"{doctor} || [ $? = 1 ]")
        machine.run(PLACES + mend)
        wrong = [line for line in said.splitlines() if line.startswith("SAI")]
        assert any(says in line for line in wrong), said
    assert "SAI" not in machine.say(doctor)


def test_what_was_lost_is_restored(machine: Machine) -> None:
    machine.run(page.commands("Back up"))
    before = counts(machine)
    machine.run(
        "systemctl stop broadcast.target\n"
        "rm -r /var/lib/broadcast/keys /var/lib/broadcast/content\n"
        "rm /etc/broadcast/broadcast.env /etc/broadcast/keys.passphrase\n"
        "cd / && runuser -u postgres -- psql broadcast -c 'DROP SCHEMA public CASCADE'"
    )
    machine.run(page.commands("Restore"))
    decide(machine)
    ready(machine)
    after = counts(machine)
    assert after["devices"] == before["devices"] == 3
    assert after["played"] >= before["played"] >= 3
    play(machine)


def test_upgrade_from_the_previous_release_and_roll_back(machine: Machine) -> None:
    revision = previous()
    machine.run("systemctl stop broadcast.target")
    machine.unpack(revision)
    machine.run(page.commands("Install", 2), seconds=400)
    machine.run(
        "cd / && runuser -u postgres -- dropdb --force broadcast\n"
        "runuser -u postgres -- createdb --owner broadcast --encoding UTF8 --locale C.UTF-8"
        " --template template0 broadcast\n"
        # Or the new database would be taken for one that was set back.
        "systemctl stop mosquitto; rm -f /var/lib/mosquitto/mosquitto.db\n"
        "rm -f /var/lib/broadcast/keys/database.mark; systemctl start mosquitto"
    )
    machine.run(page.commands("Install", 6) + page.commands("Install", 7))
    registry = page.commands("Install", 9).partition("for device in")[0]
    machine.run(registry)
    old = machine.say("readlink /opt/broadcast; runuser -u postgres -- psql -At broadcast"
                      " -c 'SELECT version_num FROM alembic_version'").split()  # fmt: skip
    machine.run(page.commands("Back up"))
    machine.unpack()
    machine.run(page.commands("Install", 2), seconds=400)
    assert "SAI" not in machine.run(page.commands("Upgrade"))
    ready(machine)
    give_a_password(machine)
    play(machine)
    new = machine.say("readlink /opt/broadcast").split()
    assert new != old[:1]
    machine.run(page.commands("Roll back"))
    machine.run(page.commands("Restore"))
    decide(machine)
    ready(machine)
    back = machine.say("readlink /opt/broadcast; runuser -u postgres -- psql -At broadcast"
                       " -c 'SELECT version_num FROM alembic_version'").split()  # fmt: skip
    assert back == old
    assert counts(machine)["devices"] == 3


def ready(machine: Machine) -> None:
    machine.run(
        "curl --silent --show-error --retry 30 --retry-delay 1 --retry-all-errors --fail"
        " http://127.0.0.1:8080/readyz"
    )


def decide(machine: Machine) -> None:
    """Accept what a restore proposes, as steps 1 and 3 of the page say."""
    machine.run(
        "cd /var/lib/broadcast\n"
        "for _ in $(seq 60); do\n"
        "  runuser -u broadcast -- broadcast restore compare --json > /root/compare.json || true\n"
        """  grep -q '"broker_read_at": "' /root/compare.json && exit 0; sleep 1\n"""
        "done; exit 1"
    )
    found = json.loads((machine.root / "root/compare.json").read_text())
    query = 'runuser -u postgres -- psql -At broadcast -c "SELECT min(id) FROM accounts"'
    machine.run(
        "cd /var/lib/broadcast; runuser -u broadcast -- broadcast restore accept"
        f" --by $({query}) --digest {found['comparison']['digest']} --rest-as-proposed"
    )


def give_a_password(machine: Machine) -> None:
    """A new one for the third box, of which the database of this test knows none."""
    machine.run(
        "cd /var/lib/broadcast\n"
        "runuser -u broadcast -- broadcast devices enrol QN-000003 --password"
        " > /root/QN-000003.json"
    )
    file = machine.root / "root/boxes.json"
    boxes = json.loads(file.read_text())
    boxes["devices"][0]["bundle"] = json.loads((machine.root / "root/QN-000003.json").read_text())
    file.write_text(json.dumps(boxes))
    machine.run(
        "kill $(cat /root/boxes.pid); sleep 2\n"
        "find /root/boxes -path '*/QN-000003/bundle.json' -print -delete | grep bundle"
    )
    run_devices(machine)


def start_devices(machine: Machine) -> None:
    """Boxes with what the installer brings: two claim codes, and what was printed for the third.

    They make their keys and ask for certificates; the page's proxy is left out.
    """
    typed = json.loads((machine.root / "root/QN-000003.json").read_text())
    boxes: list[dict[str, Any]] = [{"device_id": "QN-000003", "bundle": typed}]
    for code in DEVICES[:2]:
        claim = json.loads(api(machine, "POST", f"/devices/{code}/claim")["qr_text"])
        claim["url"] = "http://127.0.0.1:8080/api/v1/enrolments"
        boxes.append({"device_id": code, "claim": claim})
    (machine.root / "root/boxes.json").write_text(json.dumps({"devices": boxes}))
    run_devices(machine)


def run_devices(machine: Machine) -> None:
    machine.run(
        "cd /root\n"
        "setsid /opt/broadcast/bin/python -m device_sim --devices-file boxes.json"
        " --keep /root/boxes >boxes.log 2>&1 </dev/null &\n"
        "echo $! > boxes.pid\n"
    )


def play(machine: Machine) -> None:
    """A bulletin from typed text to all three loudspeakers, and the proof back."""
    machine.run(
        "cd / && for role in province_editor province_approver; do"
        " runuser -u broadcast -- broadcast accounts"
        ' create-token "Người $role" --role $role --approves > /root/$role.token; done'
    )
    written = api(machine, "POST", "/bulletins", {
        "title": "Thử loa", "text": "Thông báo thử loa.", "area_code": "21172", "class": "normal",
    }, "province_editor")  # fmt: skip
    revision = f"/bulletins/{written['id']}/revisions/1"
    for _ in range(60):
        if (
            api(machine, "GET", f"{revision}/preparation", who="province_editor")["state"]
            == "done"
        ):
            break
        machine.say("sleep 1")
    api(machine, "POST", f"{revision}/submit", {}, "province_editor")
    api(machine, "POST", f"{revision}/approve", {"note": "Đã nghe."}, "province_approver")
    at = machine.say("date -u -d '+60 seconds' +%Y-%m-%dT%H:%M:%SZ").strip()
    api(machine, "POST", "/schedules", {
        "bulletin_id": written["id"], "targets": [{"area": "21172"}], "starts_at": at,
    }, "province_approver")  # fmt: skip
    query = (
        'runuser -u postgres -- psql -At broadcast -c "SELECT count(*) FROM plays'
        f" WHERE state = 'played' AND starts_at = '{at}'\""
    )
    machine.run(
        f"cd /; for _ in $(seq 150); do [ $({query}) = 3 ] && exit 0; sleep 1; done; exit 1"
    )


def counts(machine: Machine) -> dict[str, int]:
    said = machine.say(
        'cd / && runuser -u postgres -- psql -At broadcast -c "SELECT (SELECT count(*) FROM'
        " devices), (SELECT count(*) FROM plays WHERE state = 'played')\""
    )
    devices, played = said.strip().split("|")
    return {"devices": int(devices), "played": int(played)}


def api(machine: Machine, method: str, path: str, body: Any = None, who: str = "broadcast") -> Any:
    """An answer of REST inside of the machine."""
    (machine.root / "root/body.json").write_text(json.dumps(body))
    data = "" if body is None else "--data @/root/body.json -H 'Content-Type: application/json'"
    said = machine.say(
        f"curl --silent --show-error --fail-with-body -X {method} {data}"
        f' -H "Authorization: Bearer $(cat /root/{who}.token)"'
        f" 'http://127.0.0.1:8080/api/v1{path}'"
    )
    return json.loads(said)
