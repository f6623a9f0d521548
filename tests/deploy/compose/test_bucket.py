"""bucket.sh on a real MinIO: users of their own for the stages, who may do no more than they need.

Where minio or mc is not on the PATH (no package index for Python has them), it is skipped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from densefusion.servers import Server, free_ports
from densefusion.settings import Store
from densefusion.store import ObjectStore
from deploy.compose.make_secrets import ROLES, make
from tests.security.store_rights import NEEDS, POLICIES, check

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
SCRIPT = Path(__file__).parents[3] / "deploy/compose/bucket.sh"


class Bucket:
    """A MinIO on loopback as the stack has it. `folder` holds its data, secrets and programs."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self._folder = folder
        self._endpoint = endpoint
        self.secrets = folder / "secrets"
        # All that the image of the job has besides a shell: coreutils and mc (and no grep).
        self._programs = folder / "programs"
        self._programs.mkdir()
        for name in ("mc", "cat"):
            (self._programs / name).symlink_to(str(shutil.which(name)))

    def run_script(self) -> str:
        """What bucket.sh says. It has to end with 0."""
        done = subprocess.run(
            ["/bin/sh", SCRIPT], capture_output=True, text=True, timeout=60, check=False,
            env={**self._environment(), "STORE_URL": f"http://{self._endpoint}",
                 "SECRETS": str(self.secrets), "POLICIES": str(POLICIES)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def mc(self, *arguments: str) -> str:
        command = [str(self._programs / "mc"), *arguments]
        return subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, timeout=60, check=True
        ).stdout

    def settings(self, access: str, secret: str) -> Store:
        """Of whoever has the keys in these two files."""
        return Store(
            endpoint=self._endpoint,
            access_key_file=self.secrets / access,
            secret_key_file=self.secrets / secret,
            retry_for=20,
        )

    def _environment(self) -> dict[str, str]:
        config = str(self._folder / "mc")
        return {"PATH": str(self._programs), "HOME": "/nowhere", "MC_CONFIG_DIR": config}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    if missing := [name for name in ("minio", "mc") if shutil.which(name) is None]:
        pytest.skip(f"{' and '.join(missing)} not on the PATH")
    folder = tmp_path_factory.mktemp("minio")
    address, console = (f"127.0.0.1:{port}" for port in free_ports(2))
    found = Bucket(folder, address)
    make(found.secrets)
    root = {
        f"MINIO_ROOT_{name}_FILE": str(found.secrets / f"minio_root_{name.lower()}")
        for name in ("USER", "PASSWORD")
    }
    command = [str(shutil.which("minio")), "server", str(folder / "data")]
    server = Server(
        "MinIO", [*command, "--address", address, "--console-address", console],
        {**root, "CI": "1"}, folder / "minio.log",
    )  # fmt: skip
    http = urllib3.PoolManager(timeout=2.0, retries=False)

    def ready() -> bool:
        try:
            return http.request("GET", f"http://{address}/minio/health/live").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    try:
        server.wait_ready(ready)
        found.run_script()
        yield found
    finally:
        server.stop()


def test_a_second_run_changes_nothing(bucket: Bucket) -> None:
    def policies() -> dict[str, str]:
        lines = bucket.mc("admin", "user", "ls", "store", "--json").splitlines()
        users = [json.loads(line) for line in lines]
        return {each["accessKey"]: each["policyName"] for each in users}

    names = {role: (bucket.secrets / f"{role}_access_key").read_text() for role in ROLES}
    expected = {names[role]: f"densefusion-{role}" for role in ROLES}
    assert policies() == expected
    assert "ERROR" not in bucket.run_script()
    assert policies() == expected
    rules = json.loads(bucket.mc("ilm", "rule", "export", "store/densefusion"))["Rules"]
    assert [rule["Filter"]["Prefix"] for rule in rules] == ["incomplete/"]


@pytest.mark.parametrize("role", ROLES)
def test_each_user_may_do_its_own_work_and_no_other(bucket: Bucket, role: str) -> None:
    admin = ObjectStore(bucket.settings("minio_root_user", "minio_root_password"))
    check(admin, bucket.settings(f"{role}_access_key", f"{role}_secret_key"), NEEDS[role])
    admin.close()
