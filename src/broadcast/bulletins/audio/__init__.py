"""Recordings to renditions: decoding, faults, loudness, chimes, encoding."""
