"""The connection to the broker: link, packets, login, and what the broker can do."""
