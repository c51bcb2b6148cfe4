"""The batch scripts of docs/cluster.md run as they stand there, with shells in the place of SLURM's commands."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import pytest
from processes import alive, files_of, session, wait_until

if TYPE_CHECKING:
    from conftest import Command, Draw

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cluster.md"
TASKS = 3

# Runs a step on this machine, whatever node is asked for; what is written into `fails` does not run.
SRUN = """#!/bin/bash
while [[ ${1:-} == --* ]]; do [[ $1 != --nodes=0 ]] || exit 1; shift; done
if [ -e fails ] && [[ $* == *$(cat fails)* ]]; then exit 1; fi
exec "$@"
"""

# Runs a job at once, an array's tasks one after the other whatever becomes of them, and prints its number.
SBATCH = f"""#!/bin/bash
set -eu
script=${{!#}}
export SLURM_JOB_ID SLURM_ARRAY_TASK_ID
if [[ $1 == --array=* ]]; then tasks=${{1#*=}}
elif grep -q -- '--array=1-16$' "$script"; then tasks=$(seq {TASKS}); else tasks=1; fi
for SLURM_ARRAY_TASK_ID in $tasks; do
    SLURM_JOB_ID=$((100 + SLURM_ARRAY_TASK_ID))
    bash "$script" >&2 || true
done
echo "$@" >> submitted
echo 4711
"""
HOSTNAME = "#!/bin/bash\necho {} fd00::2\n"
SCONTROL = "#!/bin/bash\nprintf 'first\\nsecond\\n'\n"


def scripts() -> dict[str, str]:
    """The batch scripts of the page by the job's name; what submits them is ``submit``."""
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    named = [(re.search(r"--job-name=(\w+)", block), block) for block in blocks]
    return {name[1] if name else "submit": block for name, block in named}


@pytest.fixture
def slurm(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands that come first; jobs find their node's disk in another."""
    folder = own_folders / "bin"
    folder.mkdir()
    put(folder, "srun", SRUN)
    put(folder, "sbatch", SBATCH)
    put(folder, "scontrol", SCONTROL)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    (own_folders / "node").mkdir()
    monkeypatch.setenv("TMPDIR", str(own_folders / "node"))
    for name, script in scripts().items():
        if name != "submit":
            Path(f"{name}.sbatch").write_text(script, encoding="utf-8")
    return folder


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(script, encoding="utf-8")
    (folder / name).chmod(0o755)


def own_address() -> str:
    """Return the address that other machines see; that of this machine for itself where there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # for documentation; nothing is sent
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def of_job(variables: dict[str, str]) -> tuple[int, str]:
    """Return the exit code of a job with Ray and what it said; nothing of it is alive."""
    with session("bash", "ray.sbatch", environment=variables, stderr=subprocess.STDOUT) as job:
        told, _ = job.communicate(timeout=400)
        wait_until(lambda: not alive(job.pid), 30)
    return job.returncode, told


def evaluated(draw: Draw) -> None:
    draw("results_of_my_model", map(str, range(20)), seed=1)
    shutil.copytree(draw("real", map(str, range(20)), seed=2), "source")


def in_bash(script: str) -> str:
    """Run a script that must not fail; return what it said."""
    done = subprocess.run(  # noqa: S603
        ["bash", "-eu", "-c", script],  # noqa: S607
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def in_embedded(script: str) -> str:
    """No canonical weights are here, and networks would take minutes."""
    return script.replace("fhpt-eval run ", "fhpt-eval run --profile embedded --protocols ssim,l1,psnr --device cpu ")


@pytest.mark.slow
def test_an_array_job_fills_caches_and_one_job_scores_what_they_hold(
    slurm: Path, command: Command, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated(draw)
    for name in ("shards", "score"):
        path = Path(f"{name}.sbatch")
        path.write_text(in_embedded(path.read_text(encoding="utf-8")).replace("N=16 ", f"N={TASKS} "), encoding="utf-8")
    Path("fails").write_text(f"--shard 2/{TASKS}", encoding="utf-8")
    told = in_bash(scripts()["submit"])
    assert Path("submitted").read_text().splitlines() == [
        "--parsable shards.sbatch",
        "--dependency=afterany:4711 score.sbatch",
    ]
    # The last job computes what a task did not.
    assert sorted(path.name for path in Path("shards").iterdir()) == ["1.results", "3.results"]
    (counts,) = re.findall(r"results: (\d+) computed", told)
    assert int(counts) > 0
    scored = files_of(Path("results/my_model"))
    shutil.rmtree("results")
    Path("fails").unlink()
    told += in_bash("sbatch --array=2 shards.sbatch; sbatch score.sbatch")
    assert re.findall(r"results: (\d+) computed", told) == [counts, "0"]
    assert sorted(path.name for path in Path("shards").iterdir()) == ["1.results", "2.results", "3.results"]
    assert [*Path("node").iterdir()] == []
    assert re.findall(r"shard (\S+): \d+ of 40 images, (\d) of 20 pairs", told) == [
        ("1/3", "7"),
        ("3/3", "6"),
        ("2/3", "7"),
    ]
    whole = ("--generated", "results_of_my_model", "--target", "real", "--source", "real", "--profile", "embedded")
    assert command("run", *whole, "-p", "ssim,l1,psnr", "--device", "cpu", "-o", "alone").code == 0
    assert files_of(Path("results/my_model")) == scored == files_of(Path("alone"))


@pytest.mark.slow
def test_two_machines_compute_half_each_and_one_scores(
    command: Command, draw: Draw, slurm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw("mine", map(str, range(4)), seed=1)
    draw("real", map(str, range(4)), seed=2)
    put(slurm, "scp", '#!/bin/bash\ncp "second/${1#second:}" "$2"\n')
    _, section = PAGE.read_text(encoding="utf-8").split("## Two machines without SLURM")
    first, second, then = re.findall(r"```sh\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    Path("second").mkdir()
    for name in ("mine", "real"):
        shutil.copytree(name, f"second/{name}")
    told = in_bash(in_embedded(first))
    with monkeypatch.context() as elsewhere:
        elsewhere.chdir("second")
        elsewhere.setenv("FHPT_EVAL_CACHE", "cache-of-second")
        told += in_bash(in_embedded(second))
    told += in_bash(in_embedded(then))
    assert re.findall(r"results: (\d+) computed", told) == ["0"]


@pytest.mark.parametrize("nodes", ["1", "4"])
def test_ray_starts_on_as_many_nodes_as_the_job_has(slurm: Path, nodes: str) -> None:
    put(slurm, "hostname", HOSTNAME.format("127.0.0.1"))
    # `exec`, so that what the script kills is what sleeps.
    put(slurm, "ray", '#!/bin/bash\n[ $1 = health-check ] || { echo "$*" >> started; exec sleep 60; }\n')
    put(slurm, "fhpt-eval", "#!/bin/bash\nuntil [ -e started ]; do sleep 0.1; done; sleep 1; echo evaluated\n")
    variables = {"SLURM_JOB_ID": "1", "SLURM_JOB_NODELIST": "node", "SLURM_JOB_NUM_NODES": nodes}
    code, told = of_job({**variables, "SLURM_CPUS_PER_TASK": "1"})
    assert (code, "evaluated" in told) == (0, True), told
    kinds = ["--head" in line for line in Path("started").read_text(encoding="utf-8").splitlines()]
    assert sorted(kinds) == ([True] if nodes == "1" else [False, True])


@pytest.mark.slow
def test_ray_starts_on_the_nodes_of_a_job_and_evaluates_on_them(
    command: Command, slurm: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated(draw)
    script = Path("ray.sbatch")
    script.write_text(in_embedded(script.read_text(encoding="utf-8")), encoding="utf-8")
    # Paths of sockets are short.
    monkeypatch.setenv("TMPDIR", mkdtemp(prefix="r", dir="/tmp"))
    put(slurm, "hostname", HOSTNAME.format(own_address()))
    variables = {
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "1",
    }
    try:
        code, told = of_job(variables)
        if code and "timed out during startup" in told:
            # Ray gives a machine half a minute to start; this one may be too busy for that.
            code, told = of_job(variables)
        assert code == 0, told
    finally:
        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    whole = ("--generated", "results_of_my_model", "--target", "real", "--source", "real", "--profile", "embedded")
    assert command("run", *whole, "-p", "ssim,l1,psnr", "--device", "cpu", "-o", "alone").code == 0
    assert files_of(Path("results/my_model")) == files_of(Path("alone"))
