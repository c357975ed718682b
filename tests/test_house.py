"""Data flows one way: a module imports only from lower levels, or from its own package at its own level."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEVELS = {  # the longest matching prefix counts
    "dafxvae": 0,
    "dafxvae.core": -1,
    "dafxvae.config": 0,
    "dafxvae.types": 0,
    "dafxvae.configs": 1,
    "dafxvae.audio": 1,
    "dafxvae.effects.parameters": 1,
    "dafxvae.effects.spec": 1,
    "dafxvae.effects.host": 1,
    "dafxvae.effects": 2,
    "dafxvae.data": 2,
    "dafxvae.descriptors": 3,
    "dafxvae.gradients.bridge": 2,
    "dafxvae.gradients": 3,
    "dafxvae.models": 4,
    "dafxvae.metrics": 4,
    "dafxvae.reporting": 4,
    "dafxvae.training.state": 3,
    "dafxvae.training.parallel": 3,
    "dafxvae.training": 5,
    "dafxvae.controllers": 5,
    "dafxvae.transfer": 6,
    "dafxvae.transfer.effect_choice": 8,
    "dafxvae.transfer.commands": 8,
    "dafxvae.transfer.__main__": 8,
    "dafxvae.studio": 7,
    "dafxvae.runs": 7,
    "dafxvae.app": 9,
    "dafxvae.digits": 8,
    "dafxvae.evaluate": 8,
    "dafxvae.latent": 8,
    "dafxvae.runs.jobs": 9,
    "dafxvae.runs.render_pairs": 9,
    "dafxvae.demo": 10,
    "dafxvae.train": 10,
    "dafxvae.__main__": 11,
    "dafxvae.data.__main__": 10,
    "dafxvae.data.commands": 10,
    "dafxvae.effects.__main__": 10,
    "dafxvae.effects.commands": 10,
    "dafxvae.gradients.__main__": 10,
}
ONLY_IMPORTER = {  # third-party package: the modules (by prefix) that may import it
    "soundfile": ["dafxvae.audio.io", "dafxvae.audio.decoding", "dafxvae.audio.formats"],
    "pedalboard": ["dafxvae.effects", "dafxvae.data.pairs.augment", "dafxvae.data.pairs.mastering"],
    "orbax": ["dafxvae.training.checkpoint"],
    "tensorboardX": ["dafxvae.training.writer"],
    "starlette": ["dafxvae.app.serving"],
    "uvicorn": ["dafxvae.app.serving"],
    "wandb": ["dafxvae.training.writer"],
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "dafxvae").rglob("*.py"))
}
ROOMS = {name: path for name, path in MODULES.items() if path.parent.name != "configs"}  # those are named by effects


def prefix_match(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def level(name: str) -> int:
    best = max((prefix for prefix in LEVELS if prefix_match(name, prefix)), key=len)
    assert best != "dafxvae" or name == "dafxvae", f"{name} has no level: add it to LEVELS"
    return LEVELS[best]


def package(name: str) -> str:
    return ".".join(name.split(".")[:2]) if MODULES[name].parent != ROOT / "dafxvae" else name


def nodes(path: Path) -> list[ast.AST]:
    tree = ast.parse(path.read_text())
    if path == ROOT / "dafxvae" / "__init__.py":  # names for type checkers what it looks up when it is asked for
        tree.body = [node for node in tree.body if not isinstance(node, ast.If)]
    return list(ast.walk(tree))


def imports(path: Path) -> set[str]:
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; the project imports by full name"
            found.update(
                f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in MODULES else str(node.module)
                for alias in node.names
            )
    return found


@pytest.mark.parametrize("name", MODULES)
def test_imports_only_from_lower_levels(name):
    for target in imports(MODULES[name]):
        if target in MODULES and target != "dafxvae":
            lower = level(target) < level(name)
            sibling = level(target) == level(name) and package(target) == package(name)
            assert lower or sibling, f"{name} (level {level(name)}) imports {target} (level {level(target)})"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
def test_no_other_folder_stands_at_the_top():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {path.split("/")[0] for path in listed.split("\0") if "/" in path}
    assert folders == {".ci", "benchmarks", "dafxvae", "docs", "launch", "tests"}


@pytest.mark.parametrize("name", MODULES)
def test_each_library_has_one_door(name):
    for target in imports(MODULES[name]):
        for library, allowed in ONLY_IMPORTER.items():
            if prefix_match(target, library):
                assert any(prefix_match(name, prefix) for prefix in allowed), f"{name} imports {library}"


TOP = {"__init__", "__main__", "demo", "train", "config", "types"}
SUFFIXES = ("ations", "ation", "ings", "ing", "ers", "er", "ed", "es", "s", "e")


def definitions(path: Path) -> list[ast.FunctionDef | ast.ClassDef]:
    return [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def stem(name: str) -> str:
    """A module's name without the ending of a plural, a gerund or a participle."""
    for suffix in SUFFIXES:
        if name.endswith(suffix) and len(name) - len(suffix) >= 4:
            return name[: -len(suffix)]
    return name


def test_nothing_stands_loose_at_the_top():
    assert {path.stem for path in (ROOT / "dafxvae").glob("*.py")} == TOP


@pytest.mark.parametrize("name", MODULES)
def test_files_and_functions_are_short(name):
    text = MODULES[name].read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name


def test_a_public_name_means_one_thing():
    places: dict[str, list[str]] = {}
    for name, path in ROOMS.items():
        for node in definitions(path):
            if not node.name.startswith("_") and node.name != "main":
                places.setdefault(node.name, []).append(name)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_two_modules_differ_by_a_suffix():
    stems: dict[str, set[str]] = {}
    for name, path in ROOMS.items():
        if path.stem != "__init__":  # a folder may hold the module of its singular
            stems.setdefault(stem(path.stem), set()).add(name)
    differing = {key: found for key, found in stems.items() if len({name.rpartition(".")[2] for name in found}) > 1}
    assert differing == {}


def test_functions_that_commands_name_are_there():
    named = [
        found for path in MODULES.values() for found in re.findall(r'imported\("([\w.]+):(\w+)"\)', path.read_text())
    ]
    assert len(named) >= 6
    for module, function in named:
        assert function in {node.name for node in definitions(MODULES[module])}, f"{module} has no {function}"
