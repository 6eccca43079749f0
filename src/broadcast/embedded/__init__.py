"""PostgreSQL and a broker for a machine that has neither."""
