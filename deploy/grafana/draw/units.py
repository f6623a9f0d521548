"""Values as Grafana writes them, for the units that the dashboards use."""

from __future__ import annotations

import math

_SHORT = ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"))
_TIMES = ((86_400.0, " days"), (3_600.0, " hours"), (60.0, " mins"))
_SUFFIX = {"cps": " c/s", "reqps": " req/s"}


def text(value: float, unit: str, decimals: int | None = None) -> str:
    """The value with its unit."""
    if math.isnan(value):
        return "no data"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    match unit:
        case "s":
            return _seconds(value, decimals)
        case "percentunit":
            return f"{_number(value * 100, decimals)}%"
        case "currencyUSD":
            return f"${_number(value, decimals)}"
        case "bytes":
            return _steps(value, 1024.0, (" B", " KiB", " MiB", " GiB", " TiB"), decimals)
        case "Bps":
            return _steps(value, 1000.0, (" B/s", " kB/s", " MB/s", " GB/s", " TB/s"), decimals)
    for size, suffix in _SHORT:
        if abs(value) >= size:
            return f"{_number(value / size, decimals)}{suffix}{_SUFFIX.get(unit, '')}"
    return f"{_number(value, decimals)}{_SUFFIX.get(unit, '')}"


def _seconds(value: float, decimals: int | None) -> str:
    for size, suffix in _TIMES:
        if abs(value) >= size:
            shown = _number(value / size, decimals)
            return f"{shown}{suffix.rstrip('s') if shown == '1' else suffix}"
    if value and abs(value) < 1e-3:
        return f"{_number(value * 1e6, decimals)} µs"
    if value and abs(value) < 1:
        return f"{_number(value * 1e3, decimals)} ms"
    return f"{_number(value, decimals)} s"


def _steps(value: float, base: float, names: tuple[str, ...], decimals: int | None) -> str:
    step = 0
    while abs(value) >= base and step < len(names) - 1:
        value, step = value / base, step + 1
    return f"{_number(value, decimals)}{names[step]}"


def _number(value: float, decimals: int | None) -> str:
    """Three figures, unless `decimals` says otherwise."""
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value == 0:
        return "0"
    places = max(0, min(4, 2 - math.floor(math.log10(abs(value)))))
    shown = f"{value:.{places}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
