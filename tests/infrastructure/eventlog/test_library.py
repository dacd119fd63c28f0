"""The log is a library: its printed examples run where nothing else of the project is."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLE = re.compile(r"```python\n# test: (\w+)\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
EXAMPLES = [
    example
    for page in ("infrastructure/eventlog/README.md", "docs/howto/use-the-log-as-a-library.md")
    for example in EXAMPLE.findall((ROOT / page).read_text())
]
PARTS = ("application/ports/event_store.py", "domain/errors.py")


@pytest.mark.parametrize(("name", "code", "printed"), EXAMPLES, ids=[e[0] for e in EXAMPLES])
def test_the_printed_examples_run_without_the_rest_of_the_project(
    tmp_path: Path, name: str, code: str, printed: str
) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(ROOT / "infrastructure/eventlog", alone / "infrastructure/eventlog")
    for part in PARTS:
        (alone / part).parent.mkdir(parents=True)
        shutil.copy(ROOT / part, alone / part)
    for package in {p for part in PARTS for p in (Path(part), *Path(part).parents)}:
        if package.suffix == "" and package != Path():
            (alone / package / "__init__.py").touch()
    (alone / "infrastructure/__init__.py").touch()
    script = tmp_path / f"{name}.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(alone), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed


def test_both_pages_have_an_example() -> None:
    assert [name for name, _, _ in EXAMPLES] == ["alone", "tickets"]


def test_the_contract_of_the_imports_names_every_other_package() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = [
        one
        for one in contracts["contracts"]
        if one.get("source_modules") == ["infrastructure.eventlog"]
    ]
    others = {
        f"infrastructure.{path.stem}"
        for path in (ROOT / "infrastructure").iterdir()
        if not path.name.startswith(("_", ".")) and path.name not in ("eventlog", "py.typed")
    }
    assert others | {"application", "domain", "interfaces"} == set(contract["forbidden_modules"])


def test_the_readme_names_every_module() -> None:
    package = ROOT / "infrastructure/eventlog"
    _, _, table = (package / "README.md").read_text().partition("## Modules")
    named = {name for row in re.findall(r"^\| (`.*?`) \|", table, re.M) for name in row.split(", ")}
    modules = {f"`{path.stem}`" for path in package.glob("*.py")} - {"`__init__`"}
    modules |= {f"`{path.parent.name}`" for path in package.glob("*/__init__.py")}
    assert modules == named
