"""Runs on images at an address give what runs on local folders give, to the bit, and compute nothing twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import Command, Draw
from s3 import S3

from fhpt_eval.evaluation.run import Run


def test_one(command: Command, draw: Draw, s3: S3, own_folders: Path) -> None:
    g, t = draw("mine", seed=1), draw("real", seed=2)
    a, b = s3.upload(g), s3.upload(t)
    out = command("run", "-g", "mine", "-t", "real", "-p", "ssim,kec", "--profile", "embedded", "-o", "here", "--workers", "2")
    print(out)
    out = command("run", "-g", a, "-t", b, "-p", "ssim,kec", "--profile", "embedded", "-o", "there", "--workers", "2")
    print(out)
    print((own_folders / "there/per_pair.csv").read_text())
    print((own_folders / "there/run.json").read_text())
    assert 0
