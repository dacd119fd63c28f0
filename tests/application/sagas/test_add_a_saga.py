"""The example of docs/howto/add-a-saga.md runs, and prints what it says."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/howto/add-a-saga.md").read_text()


def test_the_example_prints_what_it_says() -> None:
    code = re.findall(r"```python\n# test: voucher\n(.*?)```", PAGE, re.DOTALL)[0]
    says = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)[0]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == says
