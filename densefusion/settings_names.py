"""Names of settings: which there are, and which variables were meant for one but name none.

Pydantic passes over what it does not know, so that a slip of the pen would be a silent default.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from pydantic import BaseModel

from densefusion.settings import Settings

_PREFIX = "DENSEFUSION_"


def known(section: type[BaseModel] = Settings, prefix: str = _PREFIX) -> Iterator[str]:
    """The variable of each setting, and of each section (which may be given as JSON)."""
    for name, info in section.model_fields.items():
        variable = prefix + name.upper()
        yield variable
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from known(info.annotation, f"{variable}__")


def strangers(variables: Iterable[str]) -> list[str]:
    """What to say of each variable that must be a mistake.

    Only names with two underscores, or with one where a setting has two: Kubernetes makes others,
    such as DENSEFUSION_SERVICE_HOST, for a service called densefusion.
    """
    names = set(known())
    plain = {name.replace("__", "_"): name for name in names}
    said = []
    for variable in sorted({each.upper() for each in variables}):
        if not variable.startswith(_PREFIX):
            continue
        if variable in names or variable.startswith(f"{_PREFIX}KAFKA__OPTIONS__"):
            continue
        if "__" in variable:
            close = get_close_matches(variable, names, 1, 0.8)
        elif variable in plain:
            close = [plain[variable]]
        else:
            continue
        meant = f"; {close[0]} is one" if close else ""
        said.append(f"{variable} is no setting{meant} (`densefusion settings` lists them)")
    return said
