"""Rules of the house that the import linter does not know: private modules stay private, modules say what they are for.

The layers themselves are checked by `lint-imports` (contracts in pyproject.toml), which `make lint` runs; it runs here
too, so that the test suite alone is enough to see a broken rule.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "recaster"
MODULES = sorted(SOURCE.rglob("*.py"))


def _imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in found if name.startswith("recaster.")]


def test_the_layers_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(linter)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nobody_imports_a_private_module_of_another_package(path: Path) -> None:
    own = "recaster." + ".".join(path.parent.relative_to(SOURCE).parts)
    for name in _imports(path):
        parts = name.split(".")
        for position, part in enumerate(parts):
            if part.startswith("_") and not part.startswith("__"):
                owner = ".".join(parts[:position])
                is_module = (SOURCE.parent / Path(*parts[: position + 1])).with_suffix(".py").exists()
                assert not is_module or owner == own.rstrip("."), f"{name} is private to {owner}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), "the module has no docstring"
