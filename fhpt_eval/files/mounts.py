"""Which file system a folder lies on."""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
"""Linux's table of what is mounted where; other systems have none, and nothing is known there."""

_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|lustre|gpfs|beegfs|ceph|afs|glusterfs|orangefs|pvfs2|panfs|pancfs|9p|coda|davfs|ncpfs"
    r"|fuse\.(sshfs|glusterfs\S*|ceph\S*|s3fs|rclone|gcsfuse|goofys|davfs2?|smbnetfs|juicefs|mfs\S*|beegfs\S*|nfs\S*)"
)
"""Types by which the kernel knows file systems whose files other machines can change."""


def file_system(folder: Path) -> str | None:
    """Return the type of the file system that a folder lies on or would; None where it is not known."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    path = os.path.realpath(folder)
    at, kind = "", None
    for line in lines:
        head, _, tail = line.partition(" - ")
        # A space in a path is written as \040.
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), head.split(" ")[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # Of two at one place, the later one covers the other.
        if inside and len(point) >= len(at):
            at, kind = point, tail.split(" ")[0]
    return kind


def network_file_system(folder: Path) -> str | None:
    """Return the type of the network file system that a folder lies on; None if on none, or where it is not known."""
    kind = file_system(folder)
    return kind if kind is not None and _NETWORK.fullmatch(kind) else None
