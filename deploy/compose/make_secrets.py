"""Secrets for the compose stack, made once: ``python deploy/compose/make_secrets.py``.

Compose mounts each file into the containers that name it. They are readable by all users, since the
containers' are not ours; the folder around them is not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from secrets import token_urlsafe

FOLDER = Path(__file__).parent / "secrets"
# MinIO wants 3 to 20 characters of a user's name, and 8 to 40 of a password.
_MADE: dict[str, Callable[[], str]] = {
    "minio_root_user": lambda: "root-" + token_urlsafe(8),
    "minio_root_password": lambda: token_urlsafe(24),
    "store_access_key": lambda: "worker-" + token_urlsafe(8),
    "store_secret_key": lambda: token_urlsafe(24),
    "grafana_password": lambda: token_urlsafe(18),
}


def make(folder: Path = FOLDER) -> list[str]:
    """Make the files that are missing; their names. What is there stays."""
    folder.mkdir(mode=0o700, exist_ok=True)
    made = []
    for name, value in _MADE.items():
        file = folder / name
        if not file.exists():
            file.write_text(value(), "ascii")
            file.chmod(0o444)
            made.append(name)
    return made


if __name__ == "__main__":
    print(f"made {', '.join(make()) or 'nothing'} in {FOLDER}")
