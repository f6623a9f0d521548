"""What each policy of ``deploy/s3`` is for, and whether a real server takes it so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from densefusion.errors import StoreError
from densefusion.settings import Store
from densefusion.store import Conflict, Missing, ObjectStore

POLICIES = Path(__file__).parents[2] / "deploy/s3"


@dataclass(frozen=True)
class Needs:
    """Folders of the bucket, by what is done in them."""

    writes: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    deletes: set[str] = field(default_factory=set)


# By the name of the policy. The whole stream runs with these, each stage with its own, in
# `test_least_rights`: so what no stage is given here, none needs.
STAGES = {
    "fetch": Needs(writes={"images"}),
    "curate": Needs(writes={"claims"}, reads={"claims"}),
    "expert": Needs(reads={"images"}),
    "fusion": Needs(writes={"incomplete"}, reads={"images", "incomplete"}),
    "dataset": Needs(writes={"dataset"}, reads={"dataset"}),
}
_STREAM = {"images", "claims", "incomplete", "dataset"}
_SHARED = {"engines", "models"}
NEEDS = STAGES | {
    "engines": Needs(writes=_SHARED, reads=_SHARED),
    "operator": Needs(reads={"dataset", "claims"}, deletes={"claims"}),
    "reader": Needs(reads={"dataset", "images"}),
    "worker": Needs(writes=_STREAM, reads=_STREAM),
}
FOLDERS = sorted(_STREAM | _SHARED | {"elsewhere"})


def check(admin: ObjectStore, of_user: Store, needs: Needs) -> None:
    """Assert that a user may do what `needs` says, and nothing else, in every folder."""
    user = ObjectStore(of_user)
    for folder in FOLDERS:
        for name in ("a", "gone"):
            admin.write(f"{folder}/{name}", b"")
    try:
        asyncio.run(user.reach())  # whatever they may not
        assert _where(lambda at: user.write(f"{at}/b", b"")) == needs.writes
        assert _where(lambda at: user.read(f"{at}/a")) == needs.reads
        assert _where(lambda at: user.delete(f"{at}/gone")) == needs.deletes
        for folder in sorted(needs.reads):
            assert f"{folder}/a" in list(user.keys(f"{folder}/"))
            with pytest.raises(Missing):  # and not that it is forbidden, which would stop a worker
                user.read(f"{folder}/nothing")
        for folder in sorted(needs.writes & needs.reads):
            asyncio.run(_conditional(user, f"{folder}/tagged"))
            admin.delete(f"{folder}/tagged")
    finally:
        user.close()


def _where(call: Callable[[str], object]) -> set[str]:
    """The folders in which a call is allowed."""
    allowed = set()
    for folder in FOLDERS:
        try:
            call(folder)
        except StoreError as error:
            assert "AccessDenied" in str(error), error
        else:
            allowed.add(folder)
    return allowed


async def _conditional(user: ObjectStore, key: str) -> None:
    """Claims, shards and incomplete captions are written so."""
    etag = await user.put_if(key, b"1", None)
    with pytest.raises(Conflict):
        await user.put_if(key, b"2", None)
    assert await user.get_tagged(key) == (b"1", etag)
    await user.put_if(key, b"2", etag)
    with pytest.raises(Conflict):
        await user.put_if(key, b"3", etag)
