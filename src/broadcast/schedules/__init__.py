"""Schedules, their occurrences and targets."""
