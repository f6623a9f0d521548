"""`densefusion replay` without one of its rights: which one, at once, and nothing is put back."""

from __future__ import annotations

import time

import pytest

from consumers.roster import make_codec
from densefusion import clients
from densefusion.errors import Refused
from densefusion.replay import Claims, Kind, Replay, Selection
from densefusion.settings import Settings
from densefusion.store import ObjectStore
from densefusion.topics import DEAD_LETTERS, FETCHED, URLS, Topics, all_topics
from deploy.kafka import acls
from deploy.kafka.secure import ADMIN
from tests.faults.stream import Stream
from tests.security.conftest import Brokers
from tests.security.s3_server import SecureS3

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
FOLLOWS = {"knowledge": "images"}
MISSING = {
    "read": (acls.Right("topic", DEAD_LETTERS, "READ"), "reading .*dead-letters: "),
    "write": (acls.Right("topic", URLS, "WRITE"), "putting back: "),
    "create": (acls.Right("topic", "replayed", "CREATE"), "topic .*replayed: "),
    "transactions": (acls.Right("transactional-id", "replay", "WRITE"), "no transactions: "),
}


@pytest.mark.parametrize("case", MISSING)
def test_a_right_that_is_missing_is_named(brokers: Brokers, s3: SecureS3, case: str) -> None:
    missing, told = MISSING[case]
    prefix = f"without-{case}."
    admin, limited = (
        brokers.password(user).model_copy(update={"prefix": prefix}) for user in (ADMIN, "limited")
    )
    names = all_topics(FOLLOWS)
    Topics(admin, clients.common(admin)).create(names)
    about = {"topic": prefix + URLS, "partition": "0", "offset": "0"}
    headers = [(f"dead-letter-{name}", value.encode()) for name, value in about.items()]
    producer = clients.producer(admin)
    producer.produce(prefix + DEAD_LETTERS, b"no record", b"key", headers=headers)
    assert producer.flush(20) == 0
    rights = acls.commands(FOLLOWS)["replay"]
    assert missing in rights
    brokers.grant("limited", [right for right in rights if right != missing], prefix)
    found = Topics(limited, clients.common(limited)).verify(names)
    store = ObjectStore(s3.settings())
    replay = Replay(
        Kind.DEAD_LETTERS, Selection(), limited, found, make_codec(Settings(_env_file=None)),
        Claims(store, found[FETCHED].name, ""),
    )  # fmt: skip
    began = time.monotonic()
    with pytest.raises(Refused, match=rf"{told}.*uthorization failed.*docs/security\.md"):
        replay.run()
    assert time.monotonic() - began < 20  # kafka.retry_for is 60 here
    store.close()
    assert not any(Stream(admin).read(URLS).values())
