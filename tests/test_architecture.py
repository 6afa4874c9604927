"""What keeps the code small and its layers apart, checked on the sources themselves."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

from gateway.providers import load

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "gateway").rglob("*.py"), *(ROOT / "schemas").rglob("*.py")])
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BENCH = sorted((ROOT / "bench").rglob("*.py"))
BANNED_NAMES = {"utils", "helpers", "common", "base", "manager", "service", "handler"}
PROVIDERS = load()
NEUTRAL = [
    file
    for file in SOURCES
    if not {"providers", "demo"} & set(file.relative_to(ROOT).parts[1:-1])
    and file.is_relative_to(ROOT / "gateway")
]
SUPPRESSION = re.compile(r"#\s*(?:noqa|type: ignore|pragma: no cover|nosec)\b[^#]*(?P<reason>#.*\S)?")
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".cfg",
    ".yaml",
    ".yml",
    ".json",
    ".sh",
    ".txt",
    ".html",
    ".css",
    ".js",
    ".ini",
    "",
}


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def lines(file: Path) -> int:
    return file.read_text().count("\n")


def test_no_file_is_long():
    assert {name(file): lines(file) for file in SOURCES if lines(file) > 400} == {}
    assert {name(file): lines(file) for file in TESTS if lines(file) > 600} == {}


def test_no_file_has_a_name_that_says_nothing():
    named = [
        part
        for file in (*SOURCES, *TESTS, *BENCH)
        for part in (file.stem, *file.relative_to(ROOT).parts[:-1])
    ]
    assert not BANNED_NAMES & {word for part in named for word in (part, part.removeprefix("test_"))}


def test_every_file_says_what_it_is_for():
    assert [
        name(file)
        for file in SOURCES
        if file.read_text().strip() and not ast.get_docstring(ast.parse(file.read_text()))
    ] == []


def test_every_public_class_says_what_it_is():
    silent = [
        f"{name(file)}: {node.name}"
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert silent == []


def provider_names(source: str) -> set[str]:
    """The registered names among a module's identifiers and string literals.

    A native provider's name may not be one word of an identifier either; other rows have names that are plain
    words, so of those only the whole identifier counts. Docstrings are prose.
    """
    tree = ast.parse(source)
    native = {each for each in PROVIDERS if PROVIDERS[each].native}
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            found |= {node.value.lower()} & set(PROVIDERS)
        for identifier in identifiers(node):
            words = set(re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", identifier).lower()))
            found |= ({identifier.lower()} & set(PROVIDERS)) | (words & native)
    return found


def identifiers(node: ast.AST) -> list[str]:
    match node:
        case ast.Name():
            return [node.id]
        case ast.Attribute():
            return [node.attr]
        case ast.arg() | ast.keyword():
            return [node.arg or ""]
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.alias():
            return [*node.name.split("."), node.asname or ""]
        case ast.ImportFrom():
            return (node.module or "").split(".")
        case ast.Global() | ast.Nonlocal():
            return node.names
    return []


def test_no_provider_is_named_outside_the_providers():
    named = {name(file): provider_names(file.read_text()) for file in NEUTRAL}
    assert {file: found for file, found in named.items() if found} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('"""openai"""\n# openai\nx = "an openai key"', False),
        ('x = "openai"', True),
        ('x = "OpenAI"', True),
        ("openai = 1", True),
        ("is_openai_like = 1", True),
        ("class OpenaiError: pass", True),
        ("def f(gemini): pass", True),
        ("f(gemini=1)", True),
        ("x.anthropic", True),
        ("from gateway.providers import openai_errors", True),
        ("import gateway.providers.anthropic", True),
        ('def f():\n    """gemini"""', False),
        ("together_with = local_time", False),
    ],
)
def test_the_search_for_names_finds_them(source, found):
    assert bool(provider_names(source)) is found


def test_imports_point_downwards():
    result = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_core_file_has_its_test():
    core = {file.stem for file in (ROOT / "gateway" / "core").glob("*.py")} - {"__init__"}
    tested = {file.stem.removeprefix("test_") for file in (ROOT / "tests" / "core").glob("test_*.py")}
    assert core - tested == set()


def comments(file: Path):
    for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_every_suppression_has_a_reason():
    silent = [
        f"{name(file)}:{line}"
        for file in (*SOURCES, *TESTS, *BENCH)
        for line, comment in comments(file)
        if (found := SUPPRESSION.search(comment)) and not found["reason"]
    ]
    assert silent == []


def project_files():
    """Every text file that the repository holds, or would hold."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [
        file
        for line in listed.stdout.split("\n")
        if line and (file := ROOT / line).is_file() and file.suffix in TEXT
    ]


def test_nothing_says_where_it_was_written():
    # Spelt in pieces, so that this file does not say it either.
    places = [str(ROOT) + "/", "/work" + "/", "/home" + "/", "/Users" + "/"]
    found = [
        f"{name(file)}: {place}"
        for file in project_files()
        for place in places
        if place in file.read_text(errors="replace")
    ]
    assert found == []
