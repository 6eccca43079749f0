"""Incidents: devices that lost contact together, as one outage with its likely cause."""
