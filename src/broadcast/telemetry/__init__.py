"""Telemetry of devices: presence, online minutes, heartbeats, health, faults."""
