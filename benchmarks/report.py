"""What all benchmarks share: options, the machine's description, and how results are printed."""

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any


def parser(description: str, seconds: float) -> argparse.ArgumentParser:
    """Options that every benchmark has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--seconds", type=float, default=seconds, help="time to measure")
    options.add_argument("--json", action="store_true", help="print the JSON object only")
    return options


def hardware() -> str:
    """Processor and number of cores."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {os.cpu_count()} cores"


def percentile(values: list[float], share: float) -> float:
    """The value below which a share (0 to 1) of the values lies; 0.0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def show(title: str, result: dict[str, Any], *, as_json: bool) -> None:
    """A table, then the JSON object as the last line."""
    if not as_json:
        print(title)
        for key, value in result.items():
            print(f"  {key:<24} {value}")
    print(json.dumps(result))
