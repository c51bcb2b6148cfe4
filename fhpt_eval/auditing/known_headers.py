"""What headers of image files tell, in the cache: by the hash of a file's bytes, so that each is read once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import metadata

import numpy as np
from pydantic import TypeAdapter

from fhpt_eval.engine.cache import Cache
from fhpt_eval.images.headers import Header
from fhpt_eval.records import Missing, Record

VERSION = 1
"""Raised whenever a header would tell something else."""

FINGERPRINT = hashlib.sha256(f"header {VERSION}, pillow {metadata.version('pillow')}".encode()).hexdigest()


def known_headers(cache: Cache, contents: Iterable[str]) -> dict[str, Header]:
    """Return the headers that the cache has of files, by the hash of their bytes."""
    asked = list(contents)
    found = zip(asked, cache.read(FINGERPRINT, asked), strict=True)
    return {
        content: _parse(record["about"].tobytes())
        for content, record in found
        if record is not None and not isinstance(record, Missing)
    }


def keep_headers(cache: Cache, headers: Mapping[str, Header]) -> None:
    """Put headers into the cache, by the hash of the bytes that they were read from."""
    cache.put("header", FINGERPRINT, {content: _dump(header) for content, header in headers.items()})


def parse_strictly(record: Record) -> Header:
    """Read what `keep_headers` wrote, wherever it comes from.

    Raises:
        ValueError: It did not, or LookupError.
    """
    return _adapter().validate_json(record["about"].tobytes(), strict=True)


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Header]:
    return TypeAdapter(Header)


def _dump(header: Header) -> Record:
    return {"about": np.frombuffer(json.dumps(dataclasses.asdict(header)).encode(), dtype=np.uint8)}


@lru_cache(maxsize=4096)
def _parse(about: bytes) -> Header:
    """Return what `_dump` wrote; the images of a folder mostly have one header."""
    told = json.loads(about)
    return Header(**{**told, "size": tuple(told["size"])})
