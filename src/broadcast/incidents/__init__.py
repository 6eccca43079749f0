"""One incident for what falls together, with its likely cause."""
