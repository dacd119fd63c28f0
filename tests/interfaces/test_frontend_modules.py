"""The front end's modules without a DOM, run by Node's own test runner."""

import shutil
import subprocess
from pathlib import Path

from tests.tools import require

ROOT = Path(__file__).parents[2]


def test_the_modules_of_console_and_widget(tmp_path: Path) -> None:
    node = require("node")
    # Browsers get the modules by their media type; Node wants a package that says so.
    for folder in ("interfaces/console/static", "interfaces/widget/static", "tests/frontend"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    tests = sorted(str(path) for path in (tmp_path / "tests/frontend").glob("*.test.mjs"))
    done = subprocess.run(
        [node, "--test", *tests], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout
