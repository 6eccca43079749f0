"""What keeps a long-running installation whole: room, retention, and saying what is wrong."""
