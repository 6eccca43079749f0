"""Ours beside the limit or the peer, measured in the same run on this machine."""
