"""The rights that each part needs on the brokers, and no more, as Kafka's ACLs.

READ or WRITE on a topic includes DESCRIBE. Transactions need WRITE on the transactional id; since
Kafka 2.8 an idempotent producer needs no right on the cluster (KIP-679).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from densefusion import topics
from densefusion.replay.marks import REPLAYED

_SECONDS = 20.0
_TYPES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}


@dataclass(frozen=True, slots=True)
class Right:
    """One ACL, for whomever.

    Attributes:
        resource: ``topic``, ``group`` or ``transactional-id``.
        name: of it; where it ends with ``*``, all that begin so.
        operation: Kafka's name of it.
    """

    resource: str
    name: str
    operation: str

    def binding(self, user: str, prefix: str = "") -> AclBinding:
        """For the user; `prefix` as of ``kafka.prefix``."""
        name = prefix + self.name.removesuffix("*")
        literal = not self.name.endswith("*")
        return AclBinding(
            _TYPES[self.resource],
            name,
            ResourcePatternType.LITERAL if literal else ResourcePatternType.PREFIXED,
            f"User:{user}",
            "*",
            AclOperation[self.operation],
            AclPermissionType.ALLOW,
        )


# `densefusion run` reads its own records as they come by.
LEDGER = Right("group", "ledger-*", "READ")


def worker(stage: str, reads: Iterable[str], writes: Iterable[str]) -> list[Right]:
    """Of a worker that consumes the topics `reads` and publishes to `writes`."""
    written = [*writes, topics.REJECTS, topics.DEAD_LETTERS]
    return [
        *(Right("topic", name, "READ") for name in reads),
        *(Right("topic", name, "WRITE") for name in dict.fromkeys(written)),
        Right("group", stage, "READ"),
        Right("transactional-id", f"{stage}-*", "WRITE"),
    ]


def stages(follows: Mapping[str, str]) -> dict[str, list[Right]]:
    """Of every stage's workers.

    Args:
        follows: of each expert of the roster, the topic that it consumes.
    """
    priors = [topics.priors(expert) for expert in follows]
    found = {
        "fetch": worker("fetch", [topics.URLS], [topics.FETCHED]),
        "curate": worker("curate", [topics.FETCHED], [topics.IMAGES]),
    }
    for expert, topic in follows.items():
        # It starts where fusion stands, which it looks up.
        beside = Right("group", "fusion", "DESCRIBE")
        found[expert] = [*worker(expert, [topic], [topics.priors(expert)]), beside]
    found["fusion"] = worker("fusion", [topics.IMAGES, *priors], [topics.CAPTIONS])
    found["dataset"] = worker("dataset", [topics.CAPTIONS, topics.REJECTS], [])
    # Each begins by verifying that the topics fit together.
    return {stage: [*rights, *every_topic(follows)] for stage, rights in found.items()}


def every_topic(follows: Iterable[str]) -> list[Right]:
    """What every part needs to know."""
    return [Right("topic", name, "DESCRIBE") for name in topics.all_topics(follows)]


def commands(follows: Mapping[str, str]) -> dict[str, list[Right]]:
    """Of the commands that a person runs."""
    names = topics.all_topics(follows)
    describe = every_topic(follows)
    groups = ["fetch", "curate", *follows, "fusion", "dataset"]
    return {
        "produce": [Right("topic", topics.URLS, "WRITE")],
        "topics create": [*(Right("topic", name, "CREATE") for name in names), *describe],
        "status": [*describe, *(Right("group", group, "DESCRIBE") for group in groups)],
        "replay": [*_replay(), *describe],
    }


def _replay() -> list[Right]:
    """Of `densefusion replay`: it reads what was given up, and puts it back where it came from."""
    back = [topics.URLS, topics.FETCHED, topics.IMAGES, topics.CAPTIONS, topics.REJECTS]
    return [
        *(Right("topic", name, "READ") for name in (topics.REJECTS, topics.DEAD_LETTERS, REPLAYED)),
        *(Right("topic", name, "WRITE") for name in (*back, REPLAYED)),
        Right("topic", REPLAYED, "CREATE"),
        Right("group", "replay", "DESCRIBE"),  # it joins none, but its consumer asks for one
        Right("transactional-id", "replay", "WRITE"),
    ]


def operator(follows: Mapping[str, str]) -> list[Right]:
    """Of a person: every command but `produce`."""
    parts = commands(follows)
    return [*parts["topics create"], *parts["status"], *parts["replay"]]


def table(parts: Mapping[str, Iterable[Right]]) -> str:
    """The rights as a Markdown table, as docs/security.md has it."""
    lines = ["| who | topics | group | transactional id |", "|---|---|---|---|"]
    for who, rights in parts.items():
        found: dict[str, dict[str, list[str]]] = {name: {} for name in _TYPES}
        for right in rights:
            if right.resource == "topic" and right.operation == "DESCRIBE":
                continue  # every topic, for all of them
            named = found[right.resource].setdefault(right.operation.capitalize(), [])
            named.append(f"`{right.name}`")
        cells = [
            "; ".join(f"{operation} {', '.join(names)}" for operation, names in named.items())
            for named in found.values()
        ]
        lines.append(f"| {who} | {' | '.join(cells)} |")
    return "\n".join(lines)


def grant(admin: AdminClient, user: str, rights: Iterable[Right], prefix: str = "") -> None:
    """Give the user these rights. Raises `KafkaException`."""
    bindings = [right.binding(user, prefix) for right in dict.fromkeys(rights)]
    for done in admin.create_acls(bindings).values():
        done.result(_SECONDS)
