"""Make `src/broadcast/boundaries/data/centroids.csv` from the wheel of `vietnamadminunits`.

`pip download --no-deps vietnamadminunits==1.0.4`, then `python tools/centroids.py WHEEL`. Of its
database only the present units are taken (`admin_units`): the coordinates of its old ones come
from a geocoder whose terms do not allow to keep them.
"""

from __future__ import annotations

import csv
import sqlite3
import sys
import tempfile
import zipfile
from pathlib import Path

TARGET = Path(__file__).parents[1] / "src/broadcast/boundaries/data/centroids.csv"
DATABASE = "vietnamadminunits/data/dataset.db"


def main(wheel: Path) -> None:
    """Write the table."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            database = archive.extract(DATABASE, folder)
        rows = sqlite3.connect(database).execute(
            "SELECT wardCode, wardLon, wardLat, wardAreaKm2 FROM admin_units ORDER BY wardCode"
        )
        with TARGET.open("w", newline="") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(["code", "longitude", "latitude", "area_km2"])
            table.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
