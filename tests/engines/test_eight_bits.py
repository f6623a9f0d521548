from __future__ import annotations

from pathlib import Path

import pytest

from engines.eight_bits import tells_vnni


@pytest.mark.parametrize(
    ("machine", "flags", "exact"),
    [
        ("x86_64", "fpu avx2 avx512f avx512_vnni", True),
        ("AMD64", "fpu avx2 avx_vnni", True),
        ("x86_64", "fpu avx2 avx512f", False),
        ("aarch64", "fp asimd", True),
    ],
)
def test_flags_tell(tmp_path: Path, machine: str, flags: str, exact: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags\t\t: {flags}\n")
    assert tells_vnni(machine, cpuinfo) is exact


def test_what_cannot_be_told_is_not_trusted(tmp_path: Path) -> None:
    assert not tells_vnni("x86_64", tmp_path / "none")
    (tmp_path / "cpuinfo").write_text("processor : 0\n")
    assert not tells_vnni("x86_64", tmp_path / "cpuinfo")
