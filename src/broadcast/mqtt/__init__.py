"""The connection to the broker: link, packets, login, and features of the broker."""
