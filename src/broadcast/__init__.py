"""Broadcast controller of a province's source information system."""
