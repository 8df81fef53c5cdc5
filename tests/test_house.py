"""The house: light imports, import rules, the README's code, versions, and what no file may hold."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "constrained").rglob("*.py"))


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "statement",
    [
        "import constrained",
        "import constrained.cli.main",
        "import constrained.packs, constrained.engines.model_files, constrained.quality.golden, constrained.testing",
        "from constrained.packs import load_policy; load_policy('tavern')",
    ],
)
def test_no_tensor_library_is_imported_before_a_model_is_asked_for(statement: str) -> None:
    heavy = ["torch", "transformers", "numpy"]
    done = python("-c", f"{statement}\nimport sys\nprint(sorted(set({heavy}) & set(sys.modules)))")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_importing_the_library_leaves_grammars_and_locale_data_for_later() -> None:
    later = ["babel", "lark", "dateparser", "text_to_num", "typer", "rich", "cryptography", "openpyxl", "pyphen", "sqlalchemy", "jinja2"]
    done = python("-c", f"import constrained, sys\nprint(sorted(set({later}) & set(sys.modules)))")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_imports_point_in_one_direction() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def module_graph() -> dict[str, set[str]]:
    """Module -> modules of the library that it imports anywhere in its text, for type checks too."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in MODULES}
    known, graph = set(names.values()), {}
    for path, name in names.items():
        found = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom) and node.module]
        named = {f"{node.module}.{alias.name}" for node in found for alias in node.names} & known
        whole = {str(node.module) for node in found if any(f"{node.module}.{alias.name}" not in known for alias in node.names)} & known
        graph[name] = (named | whole) - {name}
    return graph


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Kahn's algorithm: whoever imports only what is done already is done; the rest hangs on a circle."""
    graph = module_graph()
    left = dict(graph)
    while free := [name for name, needed in left.items() if not needed & left.keys()]:
        for name in free:
            del left[name]
    on_circle = {name: sorted(needed & left.keys()) for name, needed in left.items() if any(name in other for other in left.values())}
    assert not on_circle


def test_no_public_name_hides_a_module() -> None:
    """``constrained.choice`` cannot be a function where ``constrained/choice.py`` is a module."""
    hidden = []
    for path in MODULES:
        if path.name == "__init__.py":
            beside = {one.stem for one in path.parent.glob("*.py")} | {
                one.name for one in path.parent.iterdir() if (one / "__init__.py").exists()
            }
            tree = ast.parse(path.read_text(encoding="utf-8"))
            bound = {alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
            hidden += [f"{path.relative_to(ROOT)}: {name}" for name in sorted(bound & beside)]
    assert not hidden


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_its_role_in_its_first_sentence(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert re.match(r"\S.{10,}?[.:](\s|$)", text, re.DOTALL), f"{path} opens without a sentence that says its role"


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    released = re.search(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert released is not None
    assert project["version"] == importlib.metadata.version("constrained") == released[1]


def test_the_core_needs_no_tensor_library() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = {re.split(r"[<>=\[]", requirement)[0].lower() for requirement in project["dependencies"]}
    assert not core & {"torch", "transformers", "numpy", "gguf", "accelerate", "safetensors"}


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_names_the_host_of_a_registry() -> None:
    """Where packages come from is the user's setting (pip's configuration), never ours."""
    hosts = ["pypi" + ".org", "python" + "hosted", "pytorch" + ".org", "huggingface" + ".co", "anaconda" + ".org", "--index" + "-url"]
    found = [
        f"{path.relative_to(ROOT)}: {host}"
        for path in tracked_files()
        for host in hosts
        if host in path.read_bytes().decode("utf-8", errors="replace")
    ]
    assert not found


def test_every_ignore_has_its_reason_beside_it() -> None:
    bare = re.compile(r"(# noqa\b|# type: ignore|# fmt: (?:off|skip)|pragma: no cover)(?P<rest>[^#\n]*)(?P<reason>#.*)?$", re.MULTILINE)
    found = []
    for path in [*MODULES, *(ROOT / "logic").glob("*.py")]:
        for match in bare.finditer(path.read_text(encoding="utf-8")):
            if match[1].startswith(("# noqa", "# type")) and not match["reason"]:
                found.append(f"{path.relative_to(ROOT)}: {match[0]}")
    assert not found


README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_can_be_read_at_once() -> None:
    assert len(README.splitlines()) <= 150


def test_the_code_of_the_readme_is_that_of_the_examples() -> None:
    """The examples run in the tests, so what the README shows runs too."""
    blocks = re.findall(r"^```(?:yaml|python)\n# (\S+)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert len(blocks) == README.count("```") // 2 - README.count("```console") >= 3
    for name, text in blocks:
        assert text == (ROOT / name).read_text(encoding="utf-8"), name


def test_the_commands_of_the_readme_exist() -> None:
    """Targets of make, extras of the package, commands of ``constrained``."""
    from typer.main import get_command

    from constrained.cli.main import app

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"^```console\n(.*?)^```", README, re.DOTALL | re.MULTILINE) for line in block.splitlines()]
    assert lines
    for line in lines:
        installed = re.fullmatch(r'pip install "?\.(?:\[(\w+)\])?"?', line.partition("  #")[0].strip())
        made = re.match(r"make (\w+)", line)
        assert (installed and (not installed[1] or installed[1] in extras)) or (made and f"\n{made[1]}:" in makefile), line
    for name in re.findall(r"`constrained (\w+)", README):
        assert name in get_command(app).commands, name  # type: ignore[attr-defined]  # a group, whatever typer calls it


def test_the_files_that_the_readme_names_are_there() -> None:
    for name in re.findall(r"\]\(([^):]+)\)", README):
        assert (ROOT / name).exists(), name
