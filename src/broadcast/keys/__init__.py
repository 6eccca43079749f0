"""The province's signing keys: which there are, where they lie, and their change."""
