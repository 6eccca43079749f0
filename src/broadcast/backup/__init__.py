"""Backups: database, audio and keys as files with their digests, made, verified and put back."""
