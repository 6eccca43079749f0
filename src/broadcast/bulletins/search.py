"""Words and tags by which bulletins are found, with or without accents."""

from __future__ import annotations

import re
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY

from broadcast.bulletins.model import Bulletin, Revision
from broadcast.kit.errors import InvalidInput
from broadcast.kit.text import folded

MOST_TAGS = 10
MOST_WORDS = 12
"""Words of a question that are looked for; the others narrow it down no more."""


def tags_of(text: str) -> list[str]:
    """Tags of a line, which commas separate: in small letters, sorted, each once.

    Raises:
        InvalidInput: There are too many.

    >>> tags_of("Trâu bò, tiêm phòng, trâu bò,")
    ['tiêm phòng', 'trâu bò']
    """
    tags = sorted({" ".join(each.lower().split()) for each in text.split(",")} - {""})
    if len(tags) > MOST_TAGS:
        raise InvalidInput("tags", f"có {len(tags)} nhãn; nhiều nhất {MOST_TAGS}, hãy bớt đi")
    return tags


def words_of(text: str) -> list[str]:
    """Folded words of a question.

    >>> words_of("Tiêm-phòng, ĐỢT 2")
    ['tiem', 'phong', 'dot', '2']
    """
    return list(dict.fromkeys(re.findall(r"[^\W_]+", folded(text))))[:MOST_WORDS]


def has_tag(tag: str) -> sa.ColumnElement[bool]:
    """Condition that a bulletin has a tag."""
    each = sa.func.unnest(Bulletin.tags).table_valued("tag").render_derived()
    return sa.exists().where(sa.func.folded(each.c.tag) == folded(" ".join(tag.split())))


def has_words(text: str) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions that each word of a question begins a word of the title, the tags or a text."""
    no_tags = sa.literal_column("NULL", ARRAY(sa.Text))
    for word in words_of(text):
        begins = sa.cast(sa.literal(f"{word}:*"), TSQUERY)
        of_title = sa.select(Bulletin.id).where(
            sa.func.folded_words(Bulletin.title, Bulletin.tags).op("@@")(begins)
        )
        of_text = sa.select(Revision.bulletin_id).where(
            sa.func.folded_words(Revision.text, no_tags).op("@@")(begins)
        )
        yield Bulletin.id.in_(sa.union(of_title, of_text))
