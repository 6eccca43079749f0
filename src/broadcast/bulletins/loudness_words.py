"""Loudness of a recording in words. Pure: no decoder is imported here."""

from __future__ import annotations

UNHEARD_DB = 3.0
"""Smaller changes of loudness are not worth a word."""

FAR_DB = 15.0
"""A recording this much too soft was made too far from the microphone."""

FULL_DBTP = -0.5
"""Nearer to full scale a recorder has no room left."""


def in_words(gain_db: float, source_true_peak_dbtp: float | None) -> str:
    """How loud a recording is, what was done about it, and what to do the next time.

    >>> in_words(1.2, -9.0)
    'Vừa tai.'
    >>> in_words(6.1, -14.0)
    'Nhỏ quá: đã tăng 6 dB.'

    Args:
        gain_db: Gain that it got.
        source_true_peak_dbtp: Its highest true peak; None where that was not measured.
    """
    if gain_db > UNHEARD_DB:
        said = f"Nhỏ quá: đã tăng {gain_db:.0f} dB."
        if gain_db > FAR_DB:
            said += " Lần sau hãy nói gần micro hơn."
    elif gain_db < -UNHEARD_DB:
        said = f"To quá: đã giảm {-gain_db:.0f} dB."
    else:
        said = "Vừa tai."
    if source_true_peak_dbtp is not None and source_true_peak_dbtp > FULL_DBTP:
        said += " Có chỗ chạm mức tối đa, tiếng có thể vỡ: hãy nghe lại."
    return said
