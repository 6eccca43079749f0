"""Every word of the pages has its English, and no English is of a word that is gone."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from markupsafe import Markup

import broadcast
from broadcast import console
from broadcast.auth.permissions import ROLE_NAMES
from broadcast.console.page import _environment
from broadcast.console.words import LOCALE, Language, catalogue, translate, translate_number
from broadcast.kit.errors import BroadcastError
from broadcast.situation import texts

CONSOLE = Path(console.__file__).parent
FILES = sorted((LOCALE / "en").glob("*.po"))


def of_other_packages() -> Iterator[str]:
    """Words that pages show and that are not theirs: roles, and titles of errors."""
    yield from ROLE_NAMES.values()
    for module in pkgutil.walk_packages(broadcast.__path__, "broadcast."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)  # errors exist once they are imported
    kinds: list[type[BroadcastError]] = [BroadcastError]
    for kind in kinds:
        kinds += [
            each for each in kind.__subclasses__() if each.__module__.startswith("broadcast.")
        ]
        yield kind.title
    for words in (texts.CONDITIONS, texts.REASONS, texts.ADVICE):
        yield from filter(None, words.values())
    yield "Lỗi yêu cầu"  # `web.problems`, of the framework's errors


def extracted() -> Iterator[tuple[str, str]]:
    """Every message of code and templates, with the file that has it."""
    methods = [("**.py", "python"), ("templates/**.html", "jinja2")]
    options = {"templates/**.html": {"trimmed": "false", "silent": "false"}}
    keywords = {"N_": None, "_": None, "gettext": None, "ngettext": (1, 2)}
    for file, _, message, _, _ in extract_from_dir(
        str(CONSOLE), methods, options, keywords=keywords
    ):
        yield (message if isinstance(message, str) else message[0]), file


def test_every_message_has_its_english_and_no_english_is_left_over() -> None:
    used = {**dict.fromkeys(of_other_packages(), ""), **dict(extracted())}
    known = catalogue(Language.ENGLISH)
    assert {message: used[message] for message in used.keys() - known.keys()} == {}
    assert known.keys() - used.keys() == set()


def test_no_message_is_translated_twice() -> None:
    where: dict[str, list[str]] = {}
    for path in FILES:
        with path.open("rb") as file:
            for message in read_po(file):
                key = message.id if isinstance(message.id, str) else "".join(message.id[:1])
                if key:
                    where.setdefault(key, []).append(path.name)
    twice = {key: names for key, names in where.items() if len(names) > 1}
    assert twice == {}, "what several families say is translated in common.po"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_translation_keeps_the_values_of_its_message(path: Path) -> None:
    with path.open("rb") as file:
        for message in read_po(file):
            if message.id:
                assert [str(error) for error in message.check()] == []


def test_a_message_without_a_translation_is_shown_as_it_is() -> None:
    assert translate(Language.ENGLISH, "không có trong bảng") == "không có trong bảng"
    assert translate_number(Language.VIETNAMESE, "%(n)s thôn", "%(n)s thôn", 3) == "%(n)s thôn"


COUNTED = {
    *("added", "all", "changed", "clusters", "count", "days", "devices", "grants", "minutes", "n"),
    *("num", "plants", "plays", "roles", "schedules", "sessions", "tokens", "total", "villages"),
}
"""Names of numbers in messages."""

_NOUN = re.compile(r"%\((\w+)\)s (?:new )?([a-z]{3,}s)\b")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_counted_has_its_singular_in_english(path: Path) -> None:
    with path.open("rb") as file:
        for message in read_po(file):
            if isinstance(message.string, str):
                for name, word in re.findall(
                    r"%\((\w+)\)s (?:new )?([a-z]{3,}s)\b", message.string
                ):
                    assert name not in COUNTED, (word, message.string)


def test_a_number_chooses_the_form_on_a_page() -> None:
    said = _environment(Language.ENGLISH).from_string(
        '{{ _("Chưa nhập được: %(count)s dòng bị từ chối. Sửa các dòng đó trong tệp rồi xem trước'
        ' lại. Chưa ghi gì.", count=count) }}'
    )
    assert "1 row is refused" in said.render(count="1")
    assert "1 row is refused" in said.render(count=1)
    assert "<b>1</b> row is refused" in said.render(count=Markup("<b>1</b>"))
    assert "&lt;2 rows are refused" in said.render(count="<2")
