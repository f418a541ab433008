"""The long form of the campaign: python -m tests.faults.report runs it and writes dev/FAULTS.md."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "dev" / "FAULTS.md"
TESTS = (
    "tests/faults",
    # Out of memory and numbers that are not finite, at every barrier; LoRA files; downloads.
    "tests/core/diffusion/sampling/compute/test_memory.py",
    "tests/core/diffusion/models/lora",
    "tests/pages/test_server.py",
    # Rows, pictures, tables and models that somebody damaged or made up.
    "tests/core/runs/store/test_unreadable.py",
    "tests/core/diffusion/recipe/test_images.py",
    "tests/core/output/numbers/test_spreadsheet.py",
    "tests/core/diffusion/models/files/test_checkpoints.py",
)


def main() -> int:
    """Run tests/faults in its long form, write the table, and return pytest's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        noted, results = Path(folder) / "held.jsonl", Path(folder) / "results.xml"
        environment = {
            **os.environ,
            "LIGHTBOX_FAULTS": "long",
            "LIGHTBOX_FAULTS_TABLE": str(noted),
        }
        code = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", *TESTS, f"--junitxml={results}"),
                *("-o", "junit_family=xunit1", "--timeout", "3600", *sys.argv[1:]),
            ],
            cwd=ROOT,
            env=environment,
            check=False,
        ).returncode
        tried, held = Counter[str](), Counter[str]()
        for line in noted.read_text(encoding="utf-8").splitlines() if noted.exists() else ():
            row = json.loads(line)
            tried[row["what"]] += row["tried"]
            held[row["what"]] += row["held"]
        TARGET.write_text(table(tried, held, results), encoding="utf-8")
    return code


def table(tried: Counter[str], held: Counter[str], results: Path) -> str:
    """The table as Markdown: what was counted within tests, then every test by its file."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    lines = [
        "# The fault campaign",
        "",
        f"`make faults` wrote this on {today}: what was tried, how often, and how often it held.",
        "",
        "| fault | tries | held |",
        "|---|---:|---:|",
        *(f"| {what} | {count:,} | {held[what]:,} |" for what, count in sorted(tried.items())),
        "",
        "| tests | run | held | left out |",
        "|---|---:|---:|---:|",
    ]
    run, passed, skipped = Counter[str](), Counter[str](), Counter[str]()
    for case in ElementTree.parse(results).iter("testcase"):
        name = str(case.get("classname")).rpartition(".")[2]
        ends = {child.tag for child in case}
        if "skipped" in ends:
            skipped[name] += 1
            continue
        run[name] += 1
        passed[name] += not ends & {"failure", "error"}
    for name in sorted({*run, *skipped}):
        lines.append(f"| {name} | {run[name]} | {passed[name]} | {skipped[name]} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
