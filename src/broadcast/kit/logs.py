"""One line per fact: event name first, then keys; JSON when nobody is watching."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter as Tally
from collections.abc import Callable

import structlog

LINES_PER_MINUTE = 60
"""Of one event. A peer decides how often something happens to it; it must not fill the disk."""
EVENTS_TOLD_APART = 500
"""In a minute; text that a library has put together counts as one event beyond it."""


class Bounded(logging.Filter):
    """Lets so many lines of each event through a minute, and says how many it left out.

    Args:
        now: Seconds of a monotonic clock.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._ends = now() + 60
        self._lines: Tally[str] = Tally()
        self._left_out: Tally[str] = Tally()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is written; the first one of a minute names those left out."""
        if self._now() >= self._ends:
            self._ends = self._now() + 60
            self._left_out = Tally(
                {event: lines - LINES_PER_MINUTE for event, lines in self._lines.items()
                 if lines > LINES_PER_MINUTE}
            )  # fmt: skip
            self._lines.clear()
        facts = record.msg if isinstance(record.msg, dict) else None
        event = str(record.msg if facts is None else facts.get("event"))
        if event not in self._lines and len(self._lines) >= EVENTS_TOLD_APART:
            event = "…"
        self._lines[event] += 1
        if left_out := self._left_out.pop(event, 0):
            if facts is not None:
                record.msg = {**facts, "left_out": left_out}
            else:
                record.msg, record.args = f"{record.getMessage()} (left out: {left_out})", None
        return self._lines[event] <= LINES_PER_MINUTE


def setup(level: str = "INFO", *, json: bool | None = None) -> None:
    """Configure structlog and the standard library's logging alike, to stderr.

    Args:
        level: Lowest level that is written.
        json: JSON lines (True), coloured console (False), or by whether stderr is a terminal.
    """
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Bounded())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # What SQLAlchemy says below a warning are statements, with what people wrote in them.
    for noisy in (
        *("asyncio", "transitions", "amqtt", "httpx2", "uvicorn.access", "alembic"),
        "sqlalchemy",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It warns of each run that it skips because the job still runs: a metric counts those.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
