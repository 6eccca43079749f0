"""The `broadcast` command, also as `python -m broadcast`."""

from __future__ import annotations

from broadcast.kit import collector


def main() -> None:
    """Run the command."""
    with collector.paused():
        from broadcast.cli import app  # noqa: PLC0415  what it imports is what takes the time
    app()


if __name__ == "__main__":
    main()
