"""The audit of generated images in one line, from what a run knows of them anyway."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from fhpt_eval.auditing.findings import findings_of
from fhpt_eval.auditing.folder import glance
from fhpt_eval.auditing.known_headers import keep_headers, known_headers
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contents import Contents
from fhpt_eval.files.remote import RemotePath
from fhpt_eval.pairing.pairs import Pairs


@dataclass(frozen=True)
class Glance:
    """What the generated images' files are like.

    Attributes:
        line: In one line.
        more: The command that tells more; None where nothing is worth a look.
    """

    line: str
    more: str | None

    def __str__(self) -> str:
        return self.line if self.more is None else f"{self.line}: `{self.more}` tells more"


def at_a_glance(pairs: Pairs, contents: Contents, cache: Cache) -> Glance | None:
    """Look at headers, hashes, and the pixels of eight images.

    None where the images are in no one folder, or at an address.

    Args:
        pairs: Whose generated images are looked at.
        contents: Of their files.
        cache: Where headers that were read before are, and are kept.
    """
    if not pairs.listings:
        return None
    generated, *_ = pairs.listings
    if isinstance(generated.folder, RemotePath):  # whose files would all be read once more, for their headers
        return None
    found = ((name, contents.of_file(generated.folder / name)) for name in generated.images)
    hashes = {name: content for name, content in found if content is not None}
    known = known_headers(cache, hashes.values())
    audit = glance(generated, hashes, known)
    read = {p.content: p.header for p in audit.pictures if p.header is not None and p.content is not None}
    keep_headers(cache, {content: header for content, header in read.items() if content not in known})
    return Glance(audit.line, f"fhpt-eval audit {shlex.quote(str(generated.folder))}" if findings_of(audit) else None)
