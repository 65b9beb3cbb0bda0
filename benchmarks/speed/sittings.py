"""The sittings that are kept: a file of raw times for each processor, which its next sitting replaces."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path


def processor(results: dict) -> str:
    """Return the short name of the processor of a sitting, such as ``Intel Xeon``.

    The machine's own name has more, such as ``Intel(R) Xeon(R) Processor, family 6 model 207``.
    """
    name = re.sub(r"\([^)]*\)|\bCPU\b|\bProcessor\b", "", re.split("[@,]", results["environment"]["cpu"])[0])
    return " ".join(name.split())


def day(results: dict) -> str:
    """Return the date of a sitting."""
    return results["environment"]["date"].split()[0]


def path_of(results: dict, folder: Path) -> Path:
    """Return the file of a sitting, such as ``speed_intel_xeon.json``."""
    return folder / f"speed_{re.sub('[^a-z0-9]+', '_', processor(results).lower())}.json"


def read_sittings(folder: Path) -> list[dict]:
    """Return the sittings of a folder, by the names of their processors."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("speed_*.json"))]


def write_json(results: dict, path: Path) -> None:
    """Replace the file in one step, so that it is whole even if the command is killed."""
    part = path.with_suffix(".part")
    part.write_text("\n".join(_lines(results)) + "\n")
    os.replace(part, path)


def _lines(results: dict) -> Iterator[str]:
    """Yield the JSON with one round a line, times to the microsecond."""
    yield "{"
    for key, value in results.items():
        if key != "cases":
            yield f"{json.dumps(key)}: {json.dumps(value, indent=1)},"
    yield '"cases": {'
    for i, (key, case) in enumerate(results["cases"].items()):
        about = json.dumps({**case, "rounds": None})
        before, after = about.split('"rounds": null')
        yield f'{", " * (i > 0)}{json.dumps(key)}: {before}"rounds": ['
        for j, entry in enumerate(case["rounds"]):
            times = {name: [round(time, 3) for time in each] for name, each in entry["times"].items()}
            yield f"{', ' * (j > 0)}{json.dumps({**entry, 'times': times})}"
        yield f"]{after}"
    yield "}}"
