"""What Markdown names is there: linked files, paths, modules and their members, configurations, rooms."""

import ast
import re
from pathlib import Path

import pytest
from launch_toys import ROOT

SKIPPED = {".venv", ".git", ".vst3", "node_modules", "runs"}
PAGES = [
    path
    for path in sorted(ROOT.rglob("*.md"))
    if not SKIPPED & set(path.relative_to(ROOT).parts) and not any(part.startswith(".") for part in path.parts[1:-1])
]
PAGES += [ROOT / "configs" / "vst3.py", ROOT / "docs" / "method.py"]
PACKAGES = "dafxvae|benchmarks|configs|tests|launch|docs"
HISTORY = {ROOT / "CHANGELOG.md"}  # may name what was moved


def names_of(path: Path) -> set[str]:
    """Names that a module or package defines or imports."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.If):  # what the package looks up when it is first used
            names |= {alias.name for part in node.body if isinstance(part, ast.ImportFrom) for alias in part.names}
    return names


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module or package, or a member of one."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:end])
        module = base.with_suffix(".py") if base.with_suffix(".py").is_file() else base / "__init__.py"
        if module.is_file():
            return end == len(parts) or parts[end] in names_of(module)
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", sorted(set(PAGES) - HISTORY), ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_and_modules_exist(page):
    text = page.read_text()
    for path in re.findall(rf"(?<![\w/.-])((?:{PACKAGES})/[\w/]*\w(?:\.\w+)?)(?![\w*])", text):
        assert "NAME" in path or (ROOT / path).exists(), path
    for path in re.findall(r"`(\w+/[\w/]*\w(?:/|\.py))`", text):  # without the package's name, too
        assert "NAME" in path or any((folder / path).exists() for folder in (ROOT, ROOT / "dafxvae", page.parent)), path
    for dotted in re.findall(r"(?<![\w./-])((?:dafxvae|benchmarks)(?:\.[A-Za-z_]\w*)+)", text):
        assert resolves(dotted), dotted


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_that_are_imported_exist(page):
    for module, names in re.findall(
        r"^from (dafxvae[\w.]*|configs[\w.]*) import ([\w, ]+)$", page.read_text(), re.MULTILINE
    ):
        for name in names.split(", "):
            assert resolves(f"{module}.{name}"), f"{module}.{name}"


def test_every_room_is_on_the_map():
    drawing = (ROOT / "CONTRIBUTING.md").read_text()
    rooms = {path.parent.name for path in (ROOT / "dafxvae").glob("*/__init__.py")}
    assert not {room for room in rooms if f"{room}/" not in drawing}
