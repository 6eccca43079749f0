"""Toolkit of all features, owned by none: database, clock, text, CSV files, errors, logs."""
