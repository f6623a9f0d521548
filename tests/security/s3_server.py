"""SeaweedFS's S3 server with TLS, and users with a policy each, as an administrator makes them."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import trustme
import urllib3
from pydantic import SecretStr

from densefusion.processes import without_foreign
from densefusion.servers import Server, free_ports
from densefusion.settings import Store
from deploy.kafka.secure import write_pair
from tests.security.store_rights import POLICIES

_WEED = Path(sys.executable).parent / "weed"
_ROLES = ("master", "volume", "filer", "s3", "admin")
_HIGHEST = 65_535 - 10_000  # its own worker dials the admin port + so much
_ADMIN = {"access_key": "administrator", "secret_key": "open-sesame"}


class SecureS3:
    """One server on loopback; `with` starts it. `folder` is for its data and its CA.

    Attributes:
        ca: file of the CA's certificate.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._users: dict[str, Store] = {}
        ports = free_ports(2 * len(_ROLES))
        self._ports = dict(zip(_ROLES, ports[: len(_ROLES)], strict=True))
        self._grpc = dict(zip(_ROLES, ports[len(_ROLES) :], strict=True))
        while self._ports["admin"] > _HIGHEST:
            (self._ports["admin"],) = free_ports(1)
        self.ca = folder / "ca.pem"
        self.endpoint = f"127.0.0.1:{self._ports['s3']}"

    def __enter__(self) -> SecureS3:
        authority = trustme.CA()
        self.ca.write_bytes(authority.cert_pem.bytes())
        write_pair(self._folder, "s3", authority.issue_cert("127.0.0.1"))
        flags = [f"-dir={self._folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        for role in _ROLES:
            flags += [f"-{role}.port={self._ports[role]}", f"-{role}.port.grpc={self._grpc[role]}"]
        pair = {"cert": self._folder / "s3.pem", "key": self._folder / "s3.key"}
        flags += [f"-s3.{name}.file={file}" for name, file in pair.items()]
        flags += ["-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        flags += ["-master.telemetry=false", "-volume.preStopSeconds=0"]
        keys = {
            "AWS_ACCESS_KEY_ID": _ADMIN["access_key"],
            "AWS_SECRET_ACCESS_KEY": _ADMIN["secret_key"],
        }
        command = [*without_foreign(keys), str(_WEED), "mini", *flags]
        self._server = Server("object store", command, keys, self._folder / "store.log")
        http = urllib3.PoolManager(timeout=2.0, retries=False, ca_certs=str(self.ca))

        def ready() -> bool:
            try:
                return http.request("GET", f"https://{self.endpoint}/").status in (200, 403)
            except urllib3.exceptions.HTTPError:
                return False

        try:
            self._server.wait_ready(ready)
        except BaseException:
            self._server.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def settings(self, **changes: Any) -> Store:
        """Of who may do everything, unless `changes` say otherwise."""
        ours = {"endpoint": self.endpoint, "secure": True, "ca": self.ca, "retry_for": 20, **_ADMIN}
        return Store(**ours | changes)

    def user(self, policy: str) -> Store:
        """Settings of the user who has one policy of `deploy/s3`."""
        if policy not in self._users:
            self._users[policy] = self._new_user(policy)
        return self._users[policy]

    def _new_user(self, policy: str) -> Store:
        key, word = f"user-{policy}", secrets.token_hex(12)
        self._shell(
            f"s3.policy -put -name={policy} -file={POLICIES / f'{policy}-policy.json'}",
            f"s3.user.create -name {policy} -access_key {key} -secret_key {word}",
            f"s3.policy.attach -policy {policy} -user {policy}",
        )
        return self.settings(access_key=SecretStr(key), secret_key=SecretStr(word))

    def _shell(self, *commands: str) -> None:
        at = {role: f"127.0.0.1:{self._ports[role]}.{self._grpc[role]}" for role in _ROLES}
        done = subprocess.run(
            [str(_WEED), "shell", f"-master={at['master']}", f"-filer={at['filer']}"],
            input="\n".join([*commands, "exit", ""]), check=True, capture_output=True, text=True,
            timeout=60, env=os.environ, cwd=self._folder,
        )  # fmt: skip
        assert "error" not in (done.stdout + done.stderr).lower(), done.stdout + done.stderr
