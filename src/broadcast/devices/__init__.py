"""Devices, their presence and their telemetry."""
