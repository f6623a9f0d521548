"""Whether this CPU multiplies 8-bit numbers without overflow."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

_X86 = ("x86_64", "amd64", "i386", "i686")
_CPUINFO = Path("/proc/cpuinfo")


@cache
def multiplies_exactly() -> bool:
    """False for x86 without VNNI, and where that can't be told.

    There onnxruntime's fast kernels add pairs of 8-bit products in 16 bits, which saturate: an
    8-bit model says other things than on the CPU that it was checked on. It has exact kernels,
    ``session.x64quantprecision``, as slow as float32; they are chosen on any x86 that asks for
    them, VNNI or not. Source: onnxruntime's quantization guide, "When and why do I need to try
    U8U8?".
    """
    return tells_vnni(platform.machine(), _CPUINFO)


def tells_vnni(machine: str, cpuinfo: Path) -> bool:
    """Whether a machine of that kind, with such flags of Linux's, has the instructions."""
    if machine.lower() not in _X86:
        return True
    try:
        flags = next(line for line in cpuinfo.read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        return False
    return bool({"avx512_vnni", "avx_vnni"} & set(flags.split()))
