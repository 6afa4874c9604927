"""Where the vendors' own clients run models, or read what answers were kept, no path is merely passed on.

Such a path is read by an adapter, or closed while calls are judged, or not there at all.
"""

import re
from pathlib import Path

import anthropic
import openai
import pytest

from gateway.providers import load

PROVIDERS = load()
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PATH = re.compile(r"""["'](/(?:v1/)?[a-z_]+(?:/[a-z_{}]+)*)(?:\?beta=true)?["']""")
RUNNING = {
    "openai": (
        "agents assistants batches chat chatkit completions conversations decisions evals live realtime responses "
        "threads"
    ),
    "anthropic": (
        "agents deployment_runs deployments dreams environments memory_stores messages sessions tunnels vaults"
    ),
}
MODULES = {"openai": openai, "anthropic": anthropic}
GEMINI = (
    "auth_tokens",
    "batches",
    "batches/b1",
    "batches/b1:cancel",
    "batchPredictionJobs",
    "cachedContents",
    "cachedContents/c1",
    "dynamic/m:batchGenerateContent",
    "interactions",
    "interactions/i1",
    "interactions/i1:cancel",
    "models/m:asyncBatchEmbedContent",
    "models/m:batchGenerateContent",
    "models/m:bidiGenerateContent",
    "models/m:generateAnswer",
    "projects/p/locations/l/cachedContents",
    "publishers/google/models/m:rawPredict",
    "publishers/google/models/m:streamRawPredict",
)


def known_paths(name: str) -> list[str]:
    """The paths in the sources of a vendor's client, below the roots where models run."""
    resources = Path(str(MODULES[name].__file__)).parent / "resources"
    found = {path for file in resources.rglob("*.py") for path in PATH.findall(file.read_text())}
    roots = RUNNING[name].split()
    return sorted(path for path in found if path.removeprefix("/v1")[1:].split("/")[0] in roots)


def passed_on(name: str, path: str) -> list[str]:
    """The methods with which a path would be forwarded unread, whatever policies say."""
    filled = re.sub(r"\{\w+\}", "x1", path)
    found = []
    # A verb of Google's belongs to one method.
    for method in ("POST",) if ":" in filled else METHODS:
        match = PROVIDERS[name].match(method, filled)
        if match and match.endpoint.opaque and not match.endpoint.stateful:
            found.append(f"{method} {path} as {match.endpoint.name}")
    return found


@pytest.mark.parametrize(("name", "least"), [("openai", 70), ("anthropic", 55)])
def test_every_path_of_the_vendor_s_client(name, least):
    paths = known_paths(name)
    assert len(paths) >= least, paths
    assert [found for path in paths for found in passed_on(name, path)] == []


def test_gemini_s():
    assert [found for path in GEMINI for found in passed_on("gemini", f"/v1beta/{path}")] == []


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("openai", "/files/{file}/content"),
        ("anthropic", "/v1/skills/{skill}"),
        ("gemini", "/v1beta/files/f1"),
    ],
)
def test_what_is_no_answer_is_passed_on(name, path):
    assert passed_on(name, path)
