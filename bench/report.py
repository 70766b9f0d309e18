"""What a benchmark found: a table to read, and a file to compare."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
MET = {True: "yes", False: "NO", None: "-"}


@dataclass(frozen=True)
class Row:
    """One measured figure beside its peer's in the same run. `bar` is the limit that `ratio` has to keep, if any."""

    what: str
    value: float
    unit: str
    peer: str
    peer_value: float
    ratio: float
    bar: str
    met: bool | None


def write(name: str, rows: list[Row]) -> None:
    result = {"bench": name, "machine": _machine(), "rows": [asdict(row) for row in rows]}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")


def _machine() -> dict[str, object]:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def show(rows: list[Row]) -> None:
    print(f"{'what':40} {'value':>10} {'unit':10} {'peer':24} {'peer value':>10} {'ratio':>6}  {'bar':8} met")
    for row in rows:
        print(
            f"{row.what:40} {row.value:10,.1f} {row.unit:10} {row.peer:24} {row.peer_value:10,.1f} {row.ratio:6.2f}"
            f"  {row.bar:8} {MET[row.met]}"
        )
