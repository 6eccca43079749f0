"""The audit: who changed, exported or was refused what; each entry is chained to the last."""
