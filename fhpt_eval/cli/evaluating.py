"""Options that name what is evaluated and on which machine, of every command that evaluates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhpt_eval.cli.shared import EVALUATED, MACHINE
from fhpt_eval.extract.numerics import Precision
from fhpt_eval.pairing.naming import NAMINGS

Generated = Annotated[
    Path,
    typer.Option(
        "--generated",
        "-g",
        help="Folder of generated images, here or at s3://, gs://, hf://.",
        rich_help_panel=EVALUATED,
    ),
]

Target = Annotated[
    Path | None,
    typer.Option("--target", "-t", help="Folder of real images in the target pose.", rich_help_panel=EVALUATED),
]

Source = Annotated[
    Path | None, typer.Option("--source", "-s", help="Folder of source images.", rich_help_panel=EVALUATED)
]

PairList = Annotated[
    Path | None,
    typer.Option(
        "--pairs",
        help="CSV of the pairs, with the header from,to (the field's lists), or generated and any of target,"
        " source, item, item_colour, gender, view. Also lines of two names without a header, and PCDMs' JSON.",
        rich_help_panel=EVALUATED,
    ),
]

NamingOption = Annotated[
    str,
    typer.Option(
        "--naming",
        help=f"How generated files are named: auto (finds out), {', '.join(NAMINGS)}.",
        rich_help_panel=EVALUATED,
    ),
]

Reference = Annotated[
    Path | None,
    typer.Option(
        "--reference",
        help="Folder of the reference set of FID and KID, or a file that `fhpt-eval reference make` made of it;"
        " otherwise the unique targets.",
        rich_help_panel=EVALUATED,
    ),
]

GenderClassifierFile = Annotated[
    str | None,
    typer.Option(
        "--gender-classifier",
        metavar="FILE",
        help="What `fhpt-eval train gender` wrote; the profile embedded has one of its own.",
        rich_help_panel=EVALUATED,
    ),
]

FaceModelsFolder = Annotated[
    str | None,
    typer.Option(
        "--face-models",
        metavar="DIR",
        help="Folder of InsightFace's ONNX files, such as buffalo_s (for non-commercial research only).",
        rich_help_panel=EVALUATED,
    ),
]

Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 …", rich_help_panel=MACHINE)]

RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="auto|HOST[:PORT]",
        help="The cluster of --engine ray; else RAY_ADDRESS, else one on this machine.",
        rich_help_panel=MACHINE,
    ),
]

BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        min=1,
        help="Images in work at once; by default as many as suit the device. Lowered when memory is short.",
        rich_help_panel=MACHINE,
    ),
]

Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Threads for networks, processes for detectors; one per core.",
        rich_help_panel=MACHINE,
    ),
]

PrecisionName = Annotated[
    Precision,
    typer.Option(
        "--precision",
        help="Of networks: float32, or, faster on a GPU and recorded, tf32 or bfloat16.",
        rich_help_panel=MACHINE,
    ),
]

ReferenceMath = Annotated[
    bool,
    typer.Option(
        "--reference-math",
        help="Compute everything by its definition instead of the fast way: slower, to check it.",
        rich_help_panel=MACHINE,
    ),
]

MaxPixels = Annotated[
    int | None,
    typer.Option("--max-pixels", min=1, help="Refuse larger images undecoded.", rich_help_panel=MACHINE),
]

WeightsFolder = Annotated[
    Path | None,
    typer.Option("--weights-dir", help="Folder of weights; else FHPT_EVAL_WEIGHTS.", rich_help_panel=MACHINE),
]

Offline = Annotated[bool, typer.Option("--offline", help="Never use the network.", rich_help_panel=MACHINE)]
