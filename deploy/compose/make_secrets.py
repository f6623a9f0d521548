"""Secrets for the compose stack, made once: ``python deploy/compose/make_secrets.py [FOLDER]``.

Compose mounts each file into the containers that name it. They are readable by all users, since the
containers' are not ours; the folder around them is not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_urlsafe

FOLDER = Path(__file__).parent / "secrets"
# Users of the object store, each with the policy of its name in deploy/s3.
ROLES = ("fetch", "curate", "expert", "fusion", "dataset", "operator", "reader")


def _secrets() -> Iterator[tuple[str, str, int]]:
    """Name, beginning and random bytes of each. MinIO wants 3 to 20 characters of a user's name,
    and 8 to 40 of a password."""
    yield "minio_root_user", "root-", 8
    yield "minio_root_password", "", 24
    for role in ROLES:
        yield f"{role}_access_key", f"{role}-", 8
        yield f"{role}_secret_key", "", 24
    yield "grafana_password", "", 18


def make(folder: Path = FOLDER) -> list[str]:
    """Make the files that are missing; their names. What is there stays."""
    folder.mkdir(mode=0o700, exist_ok=True)
    made = []
    for name, beginning, random in _secrets():
        file = folder / name
        if not file.exists():
            file.write_text(beginning + token_urlsafe(random), "ascii")
            file.chmod(0o444)
            made.append(name)
    return made


if __name__ == "__main__":
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    print(f"made {', '.join(make(into)) or 'nothing'} in {into}")
