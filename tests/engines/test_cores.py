"""Cores that a process may use: its affinity, and its container's quota."""

from __future__ import annotations

from pathlib import Path

from engines.cores import _cgroup_quota, usable_cores


def test_usable_cores_is_positive() -> None:
    assert usable_cores() >= 1


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_cgroup_v2_quota_is_the_tightest_of_the_path(tmp_path: Path) -> None:
    _write(tmp_path / "self", "0::/pods/one\n")
    assert _cgroup_quota(tmp_path / "self", tmp_path / "fs") is None
    _write(tmp_path / "fs/pods/one/cpu.max", "max 100000\n")
    assert _cgroup_quota(tmp_path / "self", tmp_path / "fs") is None
    _write(tmp_path / "fs/pods/cpu.max", "150000 100000\n")
    assert _cgroup_quota(tmp_path / "self", tmp_path / "fs") == 1.5


def test_cgroup_v1_quota_in_a_container(tmp_path: Path) -> None:
    """The path is the host's, and only the controller's root is mounted."""
    _write(tmp_path / "self", "5:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n")
    _write(tmp_path / "fs/cpu,cpuacct/cpu.cfs_quota_us", "250000\n")
    _write(tmp_path / "fs/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert _cgroup_quota(tmp_path / "self", tmp_path / "fs") == 2.5
    _write(tmp_path / "fs/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    assert _cgroup_quota(tmp_path / "self", tmp_path / "fs") is None
