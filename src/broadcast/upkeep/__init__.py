"""Maintenance of a long-running installation: partitions, retention, readiness, alarms."""
