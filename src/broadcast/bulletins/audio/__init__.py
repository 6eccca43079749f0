"""Recordings to renditions: decoding, faults, loudness, gains, chimes, encoding.

`renditions.prepare` does all of it; nothing outside this package opens libav or pydub.
"""
