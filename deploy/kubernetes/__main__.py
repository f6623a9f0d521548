"""Render the chart into ``rendered/``: it shows what a change does, and the tests read it.

    python -m deploy.kubernetes            # needs helm, 3.18 or newer, on the PATH

Without rules and dashboards: those are `deploy/prometheus` and `deploy/grafana`, as they are.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CHART = HERE / "densefusion"
RENDERED = HERE / "rendered"
# Name of the rendering, and what helm is given for it.
RENDERINGS = {
    "cpu": [],
    "gpu": [f"--values={CHART / file}" for file in ("values-gpu.yaml", "values-keys.yaml")],
}
_PLAIN = ["--set", "monitoring.rules=false,monitoring.dashboards=false"]
_SECONDS = 60


def render(options: list[str], helm: str = "helm") -> str:
    """The manifests, as YAML.

    Raises:
        subprocess.CalledProcessError: helm refuses the values; `stderr` says why.
    """
    command = [helm, "template", "densefusion", str(CHART), "--namespace", "densefusion", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_SECONDS)
    return done.stdout


def plain(name: str, helm: str = "helm") -> str:
    """One of `RENDERINGS`, without rules and dashboards."""
    return render([*RENDERINGS[name], *_PLAIN], helm)


def digest() -> str:
    """SHA-256 of the chart's files, so that a rendering that was forgotten shows without helm."""
    files = [file for file in CHART.glob("*") if file.is_file() and file.name != ".helmignore"]
    found = hashlib.sha256()
    for file in sorted([*files, *(CHART / "templates").iterdir()]):
        found.update(f"{file.relative_to(CHART)}\n".encode() + file.read_bytes())
    return found.hexdigest()


def checked_in(name: str, helm: str = "helm") -> str:
    """What one file of `rendered/` has to be."""
    return f"# Rendered from a chart whose files' digest is {digest()}\n{plain(name, helm)}"


def main() -> None:
    RENDERED.mkdir(exist_ok=True)
    for name in RENDERINGS:
        try:
            content = checked_in(name)
        except FileNotFoundError:
            sys.exit("helm is not installed: see docs/deploy.md")
        except subprocess.CalledProcessError as error:
            sys.exit(error.stderr)
        (RENDERED / f"{name}.yaml").write_text(content, "utf-8")


if __name__ == "__main__":
    main()
