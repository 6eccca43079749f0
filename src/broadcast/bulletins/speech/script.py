"""The script of a voice, as it is shown to the approver, stored and handed to the voice.

One passage a line, words and the marks `, . ? !`; a heading stands behind `# `. What was approved
is what is spoken: rules and lexicon may change afterwards, the script of a revision does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from broadcast.kit.errors import InvalidInput

if TYPE_CHECKING:  # the server starts before the patterns of reading are made
    from broadcast.bulletins.speech.reading import Passage, Readings

LONGEST_TEXT = 30_000
"""Characters; about 45 minutes of plain speech."""

MOST_WORDS = 9_000
"""About an hour: figures and addresses grow when they are read out."""

_HEADING = "# "


def script_of(text: str, readings: Readings | None = None) -> str:
    """The script of a text.

    Args:
        text: As a person typed or pasted it.
        readings: Entries of the station's lexicon.

    Raises:
        InvalidInput: The text is too long, in an encoding other than Unicode, or holds nothing
            that can be read in Vietnamese.
    """
    if len(text) > LONGEST_TEXT:
        raise InvalidInput(
            "text",
            f"Văn bản dài {len(text)} ký tự, tối đa {LONGEST_TEXT}. Hãy chia thành nhiều bản tin.",
        )
    from broadcast.bulletins.speech.reading import passages  # noqa: PLC0415

    lines = passages(text, readings)
    words = sum(len(line.words.split()) for line in lines)
    if words > MOST_WORDS:
        raise InvalidInput(
            "text", f"Văn bản đọc lên dài {words / 150:.0f} phút. Hãy chia thành nhiều bản tin."
        )
    if not lines:
        raise InvalidInput(
            "text", "Văn bản không có chữ nào đọc được. Hãy nhập nội dung bằng chữ Việt."
        )
    return "\n".join(f"{_HEADING if line.is_heading else ''}{line.words}" for line in lines)


def passages_of(script: str) -> list[Passage]:
    """Passages of a script."""
    from broadcast.bulletins.speech.reading import Passage  # noqa: PLC0415

    return [
        Passage(line.removeprefix(_HEADING), line.startswith(_HEADING))
        for line in script.splitlines()
        if line
    ]
