"""The audit of folders of images: each by itself, and the generated ones beside the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fhpt_eval.auditing.comparing import copies, differences, same_borders
from fhpt_eval.auditing.findings import Finding, findings_of
from fhpt_eval.auditing.folder import FolderAudit, audit_folder
from fhpt_eval.files.remote import path_at
from fhpt_eval.progress import Progress


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        folders: What each folder holds: those that were asked about, then targets and sources.
        findings: What is worth a look, folder by folder.
    """

    folders: tuple[FolderAudit, ...]
    findings: tuple[Finding, ...]


def audit(
    folders: Sequence[str | Path],
    target: str | Path | None = None,
    source: str | Path | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Look into folders of images; every file is read and decoded once.

    Args:
        folders: Folders of generated images, or of any where nothing else is given.
        target: Folder of real images in the target pose, to compare with.
        source: Folder of source images; which generated images are files of it is told.
        progress: Called for each image.

    Raises:
        UserError: One is no folder, cannot be read or holds no image.
    """
    paths = list(dict.fromkeys(path_at(path) for path in (*folders, target, source) if path is not None))
    found = {path: audit_folder(path, progress) for path in paths}
    real = {path_at(path) for path in (target, source) if path is not None}
    findings: list[Finding] = []
    for path, one in found.items():
        alone = findings_of(one, generated=path not in real)
        if path in real:
            findings += alone
            continue
        if target is not None:
            targets = found[path_at(target)]
            # Where targets have no such borders, scores are not better by them.
            alone = [f for f in alone if f.flaw != "borders" or same_borders(one, targets)]
            alone += [*differences(one, targets), *copies(one, targets, "target copies")]
        if source is not None:
            alone += copies(one, found[path_at(source)], "source copies")
        findings += alone
    return Audit(tuple(found.values()), tuple(findings))
