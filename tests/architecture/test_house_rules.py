"""The rules of the house that a machine can check."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "voxmill"
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST_FILE = 400
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "core", "misc", "manager"}
HEAVY = ("torch", "transformers", "numpy", "onnxruntime", "accelerate", "dvc", "airflow", "gto")
HEAVY += ("soundfile", "tokenizers", "jiwer", "scipy", "pandas", "ruamel")
HEAVY += ("grafana_client", "grafana_foundation_sdk", "niquests", "tensorboardX", "wandb")


def module_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_layers_hold() -> None:
    """The two wings never import each other, and each staircase runs down only."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "from voxmill.cli.main import run; assert run(['--help']) == 0",
        "from voxmill.cli.main import run; assert run(['recipe', 'check', 'digits']) == 0",
        "from voxmill.cli.main import run; assert run(['recipe', 'show', 'digits']) == 0",
        "from voxmill.recipe.form import form_schema",
        "import voxmill.stages.catalogue, voxmill.families.catalogue",
    ],
)
def test_the_way_to_help_and_recipes_is_light(code: str) -> None:
    """Nothing heavy is imported before it is needed; pydantic is the heaviest there is."""
    program = f"{code}\nimport sys\nprint('heavy:', *sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "heavy:"


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_no_file_is_longer_than_the_wall(path: Path) -> None:
    """Above 300 lines one looks for the second job in a file; 400 is the wall."""
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_modules_are_named_after_things_of_the_field(path: Path) -> None:
    """A name that fits everything says nothing."""
    parts = {*path.relative_to(SOURCE).with_suffix("").parts}
    assert not parts & FORBIDDEN_NAMES


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "__init__.py"], ids=module_id)
def test_packages_import_nothing_by_themselves(path: Path) -> None:
    """Importing one module of a package must not pull in its neighbours."""
    tree = ast.parse(path.read_text("utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_every_module_and_every_public_name_says_what_it_is(path: Path) -> None:
    """A docstring for each module, class and function that others may call."""
    tree = ast.parse(path.read_text("utf-8"))
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    public = [
        node
        for body in bodies
        if not getattr(body, "name", "").startswith("_")
        for node in body.body
        if isinstance(node, kinds) and not node.name.startswith("_")
    ]
    bare = [node.name for node in public if not ast.get_docstring(node)]
    assert ast.get_docstring(tree), "the module itself"
    assert not bare


def test_code_does_not_print() -> None:
    """Commands echo, everything else logs."""
    printing = [
        f"{module_id(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not printing
