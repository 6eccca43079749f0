"""The one form of sound behind the decoder: 48 kHz, mono, single precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # the server knows the rate, and starts without NumPy
    import numpy as np
    import numpy.typing as npt

RATE = 48_000
"""Samples a second."""

TICK = RATE // 1000
"""Samples of one power, of one true peak and of one gain of the limiter: a millisecond."""

STEP = 100 * TICK
"""Samples between BS.1770's 400 ms gating blocks, and the grain of everything that is cut."""

CHUNK = 10 * STEP
"""Samples of one piece of sound: a second."""

Samples: TypeAlias = "npt.NDArray[np.float32]"
Series: TypeAlias = "npt.NDArray[np.float64]"
