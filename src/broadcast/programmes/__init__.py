"""Signed programmes per scope and their publication."""
