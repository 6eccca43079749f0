"""`make chaos`: progress for people on stderr, the counts as one JSON object on the last line.

The exit code is 0 only if every promise was kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from random import SystemRandom

from broadcast.embedded.broker import mosquitto
from broadcast.kit import logs
from chaos.plan import FREEZE_RATIO
from chaos.run import Options, run


def main() -> int:
    """Run as asked for on the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long things are killed")
    parser.add_argument("--seed", type=int, help="the same kills and troubles; random by default")
    parser.add_argument("--devices", type=int, default=300, help="simulated loudspeakers")
    parser.add_argument(
        "--freeze",
        type=float,
        default=FREEZE_RATIO,
        metavar="RATIO",
        help="of the faults only stop for a while",
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep everything there")
    asked = parser.parse_args()
    if mosquitto() is None:
        parser.error("mosquitto is needed: the broker in Python forgets what it had confirmed")
    seed = SystemRandom().randrange(2**31) if asked.seed is None else asked.seed
    print(f"seed {seed}", file=sys.stderr, flush=True)
    logs.setup("WARNING")
    result = run(Options(asked.seconds, seed, asked.devices, asked.keep, asked.freeze))
    print(json.dumps(result, ensure_ascii=False), flush=True)
    return 0 if result["clean"] else 1


sys.exit(main())
