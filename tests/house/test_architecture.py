"""The house rules that a program can check: where imports point, how long functions are, what must not leak."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("runner", "suites", "analysis")
FLOOR = {
    "runner.record",
    "runner.errors",
    "runner.grid_record",
    "runner.lines",
    "runner.parsing",
    "runner.paths",
    "runner.drafter_names",
    "runner.lazy_group",
}
"""What suites and analysis may use of runner; it imports nothing else of ours."""
MEASURING = {"llama_cpp", "gguf", "huggingface_hub"}
LONGEST_FUNCTION = 60
LONGEST_MODULE = 400


def modules(package: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in FLOOR else node.module for name in found)


def ours(tree: ast.AST) -> set[str]:
    return {name for name in imports(tree) if name.split(".")[0] in PACKAGES}


def test_analysis_never_imports_llama_cpp_nor_the_measuring_extra():
    for name, tree in modules("analysis"):
        strangers = {one for one in imports(tree) if one.split(".")[0] in MEASURING}
        assert not strangers, f"{name} imports {strangers}"


@pytest.mark.parametrize("package", ["analysis", "suites"])
def test_analysis_and_suites_use_of_runner_only_the_floor(package):
    for name, tree in modules(package):
        beyond = {one for one in ours(tree) if not one.startswith(package)} - FLOOR
        assert not beyond, f"{name} imports {beyond}"


def test_the_floor_stands_on_nothing_else_of_ours():
    for name, tree in modules("runner"):
        if name in FLOOR:
            assert ours(tree) <= FLOOR, f"{name} imports {ours(tree) - FLOOR}"


def test_only_the_engine_and_the_synthetic_family_import_llama_cpp():
    for name, tree in modules("runner"):
        if any(one.split(".")[0] == "llama_cpp" for one in imports(tree)):
            assert name.startswith(("runner.llama.", "runner.synthetic.", "runner.doctor.")), name


def test_no_function_is_longer_than_a_screen():
    for package in (*PACKAGES, "tests"):
        for name, tree in modules(package):
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    length = (node.end_lineno or node.lineno) - node.lineno + 1
                    assert length <= LONGEST_FUNCTION, f"{name}.{node.name} has {length} lines"


def test_no_module_holds_two_rooms():
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            length = len(path.read_text(encoding="utf-8").splitlines())
            assert length <= LONGEST_MODULE, f"{path.relative_to(ROOT)} has {length} lines"


def test_every_public_function_and_class_says_what_it_is():
    for package in PACKAGES:
        for name, tree in modules(package):
            for node in tree.body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                    assert ast.get_docstring(node), f"{name}.{node.name} has no docstring"


def test_nothing_unpickles():
    for package in PACKAGES:
        for name, tree in modules(package):
            assert not {one for one in imports(tree) if one.split(".")[0] in {"pickle", "dill", "joblib"}}, name


def test_no_tracked_file_names_a_machine_path_or_a_registry():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: nothing is tracked")
    telling = re.compile(rb"index-url|https?://[^ ]*/simple/|/home/(?!ada/)[a-z]+/|/Users/[a-z]+/")
    for name in listed.stdout.split():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".txt", ".yml", ""} and path.is_file() and "tests/" not in name:
            assert not telling.search(path.read_bytes()), name
