"""The audit of generated images in one line, from what a run knows of them anyway."""

from __future__ import annotations

import shlex

from fhpt_eval.auditing.findings import findings_of
from fhpt_eval.auditing.folder import glance
from fhpt_eval.engine.contents import Contents
from fhpt_eval.pairing.pairs import Pairs


def at_a_glance(pairs: Pairs, contents: Contents) -> str | None:
    """Say what the generated images' files are like, by headers, hashes, and the pixels of eight images.

    Returns:
        None where there is nothing to look at.
    """
    if not pairs.listings:
        return None
    generated, *_ = pairs.listings
    audit = glance(generated, contents.of_file)
    if not findings_of(audit):
        return None
    return f"{audit.line}: `fhpt-eval audit {shlex.quote(str(generated.folder))}` tells more"
