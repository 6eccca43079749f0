"""Fields of restores, as REST takes and answers them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from broadcast.auth.people import People, PersonOut
from broadcast.kit.english import Said
from broadcast.kit.text import FilledLine
from broadcast.kit.times import Moment
from broadcast.restore import texts
from broadcast.restore.comparison import Comparison
from broadcast.restore.differences import Choice, Difference, Kind
from broadcast.restore.model import Cause, Restore
from broadcast.web.fields import example
from broadcast.web.rest import Body

MOST_CHOICES = 10_000


class DifferenceOut(BaseModel):
    """One thing to decide."""

    name: str
    """By which it is decided."""
    kind: Kind
    title: str
    text: Said
    """What is different, in words."""
    scopes: list[str]
    occurrences: list[str]
    planned: list[Moment]
    """Starts as the database has them."""
    told: list[Moment]
    """Starts as devices were told last."""
    choices: dict[Choice, str]
    """What each choice does."""
    proposed: Choice

    @classmethod
    def of(cls, difference: Difference) -> DifferenceOut:
        """As it is answered."""
        return cls(
            name=difference.name,
            kind=difference.kind,
            title=difference.title,
            text=texts.sentence(difference),
            scopes=list(difference.scopes),
            occurrences=list(difference.occurrences),
            planned=list(difference.planned),
            told=list(difference.told),
            choices={
                choice: texts.CHOSEN[difference.kind, choice] for choice in difference.choices
            },
            proposed=difference.choices[0],
        )


class ComparisonOut(BaseModel):
    """What others hold beside what the database says."""

    digest: str
    """To be sent with the decisions: they hold for what was looked at."""
    differences: list[DifferenceOut]
    lost_plays: int
    """Planned plays of the lost time; those of which no device tells any more are settled so."""
    devices: int
    heard: int
    """Devices heard since the restore was noticed."""
    unread: list[str]
    """Documents that devices hold in a revision that nobody here knows."""

    @classmethod
    def of(cls, comparison: Comparison) -> ComparisonOut:
        """As it is answered."""
        return cls(
            digest=comparison.digest,
            differences=[DifferenceOut.of(each) for each in comparison.differences],
            lost_plays=comparison.lost_plays,
            devices=comparison.devices,
            heard=comparison.heard,
            unread=list(comparison.unread),
        )


class RestoreOut(BaseModel):
    """The newest restore; while it is open nothing is published."""

    id: int
    open: bool
    cause: Cause
    cause_text: str
    found_at: Moment
    lost_since: Moment
    """What came after it, until `found_at`, is lost."""
    broker_read_at: Moment | None
    """When all that the broker retains had been read; nothing can be accepted before."""
    accepted_at: Moment | None
    accepted_by: PersonOut | None
    comparison: ComparisonOut | None
    """Of one that is open."""

    @classmethod
    def of(
        cls, restore: Restore, people: People, comparison: Comparison | None = None
    ) -> RestoreOut:
        """As it is answered."""
        by = restore.accepted_by
        return cls(
            id=restore.id,
            open=restore.accepted_at is None,
            cause=restore.cause,
            cause_text=texts.CAUSES[restore.cause],
            found_at=restore.found_at,
            lost_since=restore.lost_since,
            broker_read_at=restore.broker_read_at,
            accepted_at=restore.accepted_at,
            accepted_by=None if by is None else people[by],
            comparison=None if comparison is None else ComparisonOut.of(comparison),
        )


class AcceptanceIn(Body):
    """Decisions about all differences of a comparison."""

    model_config = example(
        digest="9f2c51d07ab3e644", rest_as_proposed=True,
        choices={"withdrawn/0c9e7d3a-5c2f-4b52-9a3b-2f7f0f6f1c11": "keep"},
    )  # fmt: skip

    digest: Annotated[FilledLine, Field(max_length=64, description="của bản so sánh đã xem")]
    choices: Annotated[
        dict[Annotated[str, Field(max_length=200)], Choice],
        Field(max_length=MOST_CHOICES, description="theo tên khác biệt"),
    ] = {}
    rest_as_proposed: Annotated[bool, Field(description="mọi khác biệt còn lại theo đề xuất")] = (
        False
    )
