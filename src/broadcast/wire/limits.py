"""Sizes that the contract allows: one bound, kept by who signs and by who reads.

The bounds follow from each other: a programme of `MOST_ITEMS` items, with titles as long as the
server lets people write them, fits into a document; a document fits into a `resend`; what is
signed fits into a packet that every broker of ours passes on.
"""

from __future__ import annotations

MOST_ITEMS = 5000
"""Items in a programme: one every two minutes for a week."""

MOST_ALERTS = 50
"""Alerts of a scope at a time: more is a flood, and nobody could hear them."""

MOST_LIVE = 8
"""Live sessions of a scope at a time: one is heard, the others wait."""

MOST_FURTHER_URLS = 3
"""Addresses of a stream besides its first."""

INLINE_BYTES = 96 * 1024
"""Audio that an alert carries with it: 24 seconds of Opus at 32 kbit/s."""

MOST_PREFETCHED = 64
"""Files of prepared alerts that a config names."""

MOST_VERSIONS = 32
"""Sounds of an item for lists of languages."""

MOST_LANGUAGES = 8
"""Languages of one place."""

MOST_QUIET_HOURS = 8
"""Windows of every night that a config names."""

MOST_HOURS = 64
"""Windows of silence or of limited volume that a config names."""

MOST_DAYS = 64
"""Days on which one of these does not open."""

MOST_QUOTAS = 64
"""Spans of days with quotas of their own that a config names."""

MOST_PASSED = 500
"""Items of today that a programme still names for the quotas alone."""

DOCUMENT_BYTES = 8 * 2**20
"""A document as published, in JWS compact."""

COMMAND_BYTES = 11 * 2**20
"""A command as published: a `resend` holds a whole document, in base64 once more."""

PACKET_BYTES = 12 * 2**20
"""An MQTT packet: a command, its topic and the header. For `max_packet_size` of brokers."""


ITEM_BYTES = 640
"""Bytes of an item beside its title, in JSON, at most; of a relay without its stream."""

STREAM_BYTES = 1_200
"""Bytes of a stream, whose addresses together are no longer than the server lets them be."""


def payload_bytes(token_bytes: int) -> int:
    """Largest payload whose token, with its header and signature, has at most so many bytes.

    >>> payload_bytes(DOCUMENT_BYTES)
    6290688
    """
    return (token_bytes - HEADER_AND_SIGNATURE) // 4 * 3


HEADER_AND_SIGNATURE = 1024
"""Room for what a token has beside its payload: 200 bytes, if the header names no more."""

PASSED_BYTES = 124
"""Bytes of an item that has passed, in JSON, at most, by the ids that the server gives."""

ITEMS_BYTES = payload_bytes(DOCUMENT_BYTES) - 512 - MOST_PASSED * PASSED_BYTES
"""Bytes of all items of a programme, in JSON; the rest is for its other fields."""
