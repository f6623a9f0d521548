"""The Dockerfiles: hadolint's rules, and ours. They are built nowhere here: there is no Docker."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from deploy.docker.dependencies import requirements

ROOT = Path(__file__).parents[3]
DOCKER = ROOT / "deploy" / "docker"
FILES = sorted(DOCKER.glob("*.Dockerfile"))
_PINNED = re.compile(r"[\w./-]+:[\w.-]*\d[\w.-]*$")


def instructions(file: Path) -> list[tuple[str, str]]:
    """(instruction, its text), continued lines put together, comments dropped."""
    lines = [x for x in file.read_text("utf-8").splitlines() if not x.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    pairs = (line.split(maxsplit=1) for line in joined.splitlines() if line.strip())
    return [(name.upper(), text) for name, text in pairs]


def values(file: Path, name: str) -> list[str]:
    return [text for each, text in instructions(file) if each == name]


def test_both_are_there() -> None:
    assert [file.name for file in FILES] == ["cpu.Dockerfile", "gpu.Dockerfile"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_hadolint(file: Path) -> None:
    program = Path(sys.executable).with_name("hadolint")
    command = [program, "--failure-threshold", "style", file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_ours(file: Path) -> None:
    arguments = dict(text.split("=", 1) for text in values(file, "ARG") if "=" in text)
    bases = [text.split(" AS ")[0] for text in values(file, "FROM")]
    bases = [re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], base) for base in bases]
    assert len(bases) == 2, "a stage that builds, and one that runs"
    for base in bases:
        assert _PINNED.match(base), base
        assert "latest" not in base
    final = instructions(file)
    final = final[max(i for i, (name, _) in enumerate(final) if name == "FROM") :]
    users = [text for name, text in final if name == "USER"]
    assert users == ["10001:10001"], "by number, so that Kubernetes can tell"
    after = [name for name, _ in final[final.index(("USER", users[0])) :]]
    assert "RUN" not in after, "nothing is installed by the user who runs"
    assert not [text for name, text in final if name == "RUN" and "pip" in text]
    health = [text for name, text in final if name == "HEALTHCHECK"]
    assert len(health) == 1 and '"/opt/densefusion/healthcheck.py"' in health[0]
    assert ("ENTRYPOINT", '["densefusion"]') in final


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_installed_is_pinned(file: Path) -> None:
    installs = [text for text in values(file, "RUN") if "pip" in text and "install" in text]
    assert len(installs) == 2
    assert all("-c constraints" in text or "--no-deps" in text for text in installs)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_copied_is_there_and_not_ignored(file: Path) -> None:
    let_through = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }
    for text in values(file, "COPY"):
        if text.startswith("--from"):
            continue
        *sources, _ = text.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert any(source == each or source.startswith(each + "/") for each in let_through)


def test_every_package_of_the_wheel_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    for file in FILES:
        copied = {text.split()[0] for text in values(file, "COPY")}
        assert set(packages) <= copied


def test_requirements_without_the_project() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    found = requirements(text, ["full", "registry"], ["onnxruntime"])
    names = [re.split(r"[\s\[<>=!~;]", each)[0] for each in found]
    assert "confluent-kafka" in names and "tokenizers" in names
    assert "onnxruntime" not in names and "densefusion" not in names
    with pytest.raises(KeyError):
        requirements(text, ["nothing"], [])


def test_the_gpu_image_pins_what_the_tests_do_not() -> None:
    def names(file: Path) -> set[str]:
        lines = file.read_text("utf-8").splitlines()
        return {line.partition("==")[0].lower() for line in lines if "==" in line}

    own, tested = names(DOCKER / "gpu-constraints.txt"), names(ROOT / "constraints.txt")
    assert not own & tested, "two pins of one package"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = {re.split(r"[\s\[<>=!~;]", each)[0] for each in [*extras["gpu"], *extras["full"]]}
    assert wanted - {"tensorrt", "torch", "transformers"} <= own | tested


class _Answers(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def worker() -> Iterator[type[_Answers]]:
    """An HTTP server where the health check looks for a worker; its `status` can be set."""

    class Answers(_Answers):
        pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    Answers.port = server.server_port  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Answers
    server.shutdown()
    server.server_close()


def check(port: int) -> int:
    variables = {"DENSEFUSION_WORKER__METRICS_PORT": str(port)}
    script = DOCKER / "healthcheck.py"
    command = [sys.executable, script]
    return subprocess.run(command, env=variables, timeout=30, check=False).returncode


def test_the_health_check(worker: type[_Answers]) -> None:
    port = worker.port  # type: ignore[attr-defined]
    assert check(port) == 0
    worker.status = 503
    assert check(port) == 1


def test_the_health_check_without_a_worker() -> None:
    assert check(9) == 1
