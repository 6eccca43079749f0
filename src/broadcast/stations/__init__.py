"""Stations, plants and clusters."""
