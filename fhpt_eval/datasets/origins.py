"""What each crop was made of: by this, a crop that lies there is known to be the one that would be made now."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import NamedTuple

from fhpt_eval.files.csv_table import csv_text

ORIGINS = "crops.csv"
_HEADER = ["crop", "source_sha256", "crop_sha256"]


class Origin(NamedTuple):
    """Of one crop.

    Attributes:
        source: SHA-256 of the data set's file.
        crop: SHA-256 of the crop's own file.
    """

    source: str
    crop: str


def write_origins(origins: Mapping[str, Origin]) -> str:
    """Return the content of ``crops.csv``, ordered by the crops' paths in the folder."""
    return csv_text([_HEADER, *((crop, *of) for crop, of in sorted(origins.items()))])


def parse_origins(content: bytes) -> dict[str, Origin]:
    """Read what `write_origins` wrote; of a damaged file, the rows that can be read."""
    reader = csv.reader(io.StringIO(content.decode("utf-8", errors="replace"), newline=""))
    origins = {}
    try:
        for row in reader:
            if len(row) == len(_HEADER):
                origins[row[0]] = Origin(row[1], row[2])
    except csv.Error:
        return origins
    return origins
