"""After a restore: what was lost, what others still hold, and what a person decides about it."""
