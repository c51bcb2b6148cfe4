"""The audit of generated images in one line, from what a run knows of them anyway."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from fhpt_eval.auditing.findings import findings_of
from fhpt_eval.auditing.folder import glance
from fhpt_eval.engine.contents import Contents
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


def at_a_glance(pairs: Pairs, contents: Contents) -> Glance | None:
    """Look at headers, hashes, and the pixels of eight images; None where the images are in no one folder."""
    if not pairs.listings:
        return None
    generated, *_ = pairs.listings
    audit = glance(generated, contents.of_file)
    return Glance(audit.line, f"fhpt-eval audit {shlex.quote(str(generated.folder))}" if findings_of(audit) else None)
