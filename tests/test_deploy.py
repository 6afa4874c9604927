"""What is in deploy/ is valid, safe by default, and says the same as the rest of the repository."""

import fnmatch
import http.server
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import kubernetes_validate
import orjson
import pytest
import yaml

from gateway import settings

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
CONTAINERFILE = DEPLOY / "Containerfile"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
SIDECAR = DEPLOY / "kubernetes" / "sidecar.yaml"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OLDEST_KUBERNETES = "1.29"  # the first with native sidecars
STATE = "/var/lib/llm-gateway"


def instructions() -> list[tuple[str, str]]:
    """The Containerfile's instructions and their arguments, continued lines joined."""
    lines = [line for line in CONTAINERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def last(name: str) -> str:
    return [rest for found, rest in instructions() if found == name][-1]


def environment(container: dict) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"]}


def pod() -> dict:
    return yaml.safe_load(SIDECAR.read_text())["spec"]["template"]["spec"]


def gateway() -> dict:
    (container,) = (each for each in pod()["initContainers"] if each["name"] == "gateway")
    return container


def hadolint(path: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "hadolint"
    command = [program, "--no-color", "--failure-threshold", "style", path]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


class TestContainerfile:
    def test_linter_finds_nothing(self):
        result = hadolint(CONTAINERFILE)
        assert (result.returncode, result.stdout) == (0, "")

    def test_linter_would_find_something(self, tmp_path):
        (tmp_path / "Containerfile").write_text("FROM python:latest\nRUN cd / && pip install x\n")
        assert hadolint(tmp_path / "Containerfile").returncode != 0

    def test_images_are_pinned_to_a_supported_python(self):
        images = {rest.split()[0] for name, rest in instructions() if name == "FROM"}
        assert len(images) == 1, "the virtual environment needs the same interpreter in both stages"
        version = re.fullmatch(r"python:(\d+\.\d+)-slim-\w+", images.pop())[1]
        assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]

    def test_every_copied_path_is_there_and_not_ignored(self):
        ignore = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
        kept = {line[1:] for line in ignore if line.startswith("!")}
        sources = [
            source
            for name, rest in instructions()
            if name == "COPY" and "--from" not in rest
            for source in rest.split()[:-1]
        ]
        assert sorted(sources) == sorted(kept)
        assert [source for source in sources if not (ROOT / source).exists()] == []

    def test_everything_the_package_is_built_from_is_copied(self):
        copied = " ".join(rest for name, rest in instructions() if name == "COPY" and "--from" not in rest)
        packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"][
            "find"
        ]
        needed = [PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml", "setup.cfg"]
        needed += [
            top for pattern in packages["include"] for top in fnmatch.filter(("gateway", "schemas"), pattern)
        ]
        assert [name for name in needed if name not in copied.split()] == []

    def test_starts_the_command_of_the_package_directly(self):
        (command,) = orjson.loads(last("ENTRYPOINT"))
        assert command in PROJECT["scripts"]
        assert orjson.loads(last("CMD")) == ["serve"]
        assert last("STOPSIGNAL") == "SIGTERM"

    def test_user_is_a_number_and_not_root(self):
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last("USER"))

    def test_console_is_not_opened(self):
        variables = dict(item.split("=", 1) for item in last("ENV").split())
        assert list(settings.unknown_variables(variables, ())) == []
        loaded = settings.load(environment=variables)
        assert (loaded.host, loaded.console_host, loaded.state_dir) == ("0.0.0.0", "127.0.0.1", STATE)
        assert str(loaded.port) == last("EXPOSE")


class TestKubernetes:
    @pytest.mark.parametrize("version", [OLDEST_KUBERNETES, kubernetes_validate.latest_version()])
    @pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
    def test_manifests_match_the_schemas(self, path, version):
        documents = list(yaml.safe_load_all(path.read_text()))
        assert documents
        for document in documents:
            kubernetes_validate.validate(document, version, strict=True)

    def test_schemas_would_find_something(self):
        document = yaml.safe_load(SIDECAR.read_text())
        document["spec"]["template"]["spec"]["enableServiceLink"] = False
        with pytest.raises(kubernetes_validate.ValidationError, match="enableServiceLink"):
            kubernetes_validate.validate(document, OLDEST_KUBERNETES, strict=True)

    def test_gateway_is_a_native_sidecar_of_this_version(self):
        assert gateway()["restartPolicy"] == "Always"
        assert gateway()["image"].endswith(f"/llm-gateway:{PROJECT['version']}")

    def test_pod_takes_no_variables_of_services_and_leaves_time_to_drain(self):
        assert pod()["enableServiceLinks"] is False
        assert pod()["terminationGracePeriodSeconds"] >= 60

    def test_containers_are_confined(self):
        assert pod()["securityContext"]["runAsNonRoot"] is True
        assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in (gateway(), *pod()["containers"]):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}

    def test_user_is_the_image_s(self):
        context = gateway()["securityContext"]
        assert f"{context['runAsUser']}:{context['runAsGroup']}" == last("USER")
        assert pod()["securityContext"]["fsGroup"] == context["runAsGroup"]

    def test_state_is_on_a_volume(self):
        assert environment(gateway())["GATEWAY_STATE_DIR"] == STATE
        (mount,) = (each for each in gateway()["volumeMounts"] if each["mountPath"] == STATE)
        assert mount["name"] in {volume["name"] for volume in pod()["volumes"] if "emptyDir" in volume}

    def test_settings_are_known_and_the_ports_theirs(self):
        variables = environment(gateway())
        assert list(settings.unknown_variables(variables, ())) == []
        loaded = settings.load(environment=variables)
        ports = {port["name"]: port["containerPort"] for port in gateway()["ports"]}
        assert ports == {"proxy": loaded.port, "console": loaded.console_port}
        drain = loaded.drain.accept + loaded.drain.finish
        assert pod()["terminationGracePeriodSeconds"] >= drain + 10, "the log is flushed after the drain"

    def test_app_uses_the_gateway_on_loopback(self):
        assert environment(gateway())["GATEWAY_HOST"] == "127.0.0.1"
        (app,) = pod()["containers"]
        assert environment(app) == {
            "OPENAI_BASE_URL": "http://127.0.0.1:9000/v1/openai",
            "ANTHROPIC_BASE_URL": "http://127.0.0.1:9000/v1/anthropic",
            "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9000/v1/gemini",
        }


@contextmanager
def health(path: str, status: int) -> Iterator[int]:
    """A server that knows one path; yields its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == path else 404)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def health_commands() -> dict[str, tuple[list[str], str]]:
    """Every health command in deploy/, and the path that it should ask."""
    _, command = last("HEALTHCHECK").split(" CMD ")
    return {
        "HEALTHCHECK": (orjson.loads(command), "/healthz"),
        "startupProbe": (gateway()["startupProbe"]["exec"]["command"], "/readyz"),
        "readinessProbe": (gateway()["readinessProbe"]["exec"]["command"], "/readyz"),
        "livenessProbe": (gateway()["livenessProbe"]["exec"]["command"], "/healthz"),
    }


@pytest.mark.parametrize(("command", "path"), health_commands().values(), ids=health_commands())
class TestHealthCommands:
    def code(self, command: list[str], port: int) -> int:
        assert command[0] == "python"
        assert "127.0.0.1', 9000," in command[-1]
        arguments = [sys.executable, *(argument.replace("9000", str(port)) for argument in command[1:])]
        # A proxy for the upstreams must not be asked.
        return subprocess.run(
            arguments, env={"http_proxy": "http://127.0.0.1:1"}, capture_output=True, timeout=30, check=False
        ).returncode

    def test_succeeds_when_healthy(self, command, path):
        with health(path, 200) as port:
            assert self.code(command, port) == 0

    def test_fails_when_not(self, command, path):
        with health(path, 503) as port:
            assert self.code(command, port) != 0

    def test_fails_when_nobody_listens(self, command, path):
        with health(path, 200) as port:
            pass
        assert self.code(command, port) != 0
