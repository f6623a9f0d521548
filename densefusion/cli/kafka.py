"""``densefusion topics``."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from densefusion.cli.app import DataDir, Json, app, load


class TopicsAction(StrEnum):
    list = "list"
    create = "create"
    verify = "verify"


@app.command()
def topics(
    action: Annotated[TopicsAction, typer.Argument()] = TopicsAction.list,
    partitions: Annotated[int | None, typer.Option(help="Partitions of each new topic.")] = None,
    replication: Annotated[int | None, typer.Option(help="Replicas of each new topic.")] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List the topics, create the missing ones, or verify that they fit together."""
    from consumers.roster import make_topics
    from densefusion.cli.connect import connected
    from densefusion.topics import all_topics

    changes = {"partitions": partitions, "replication": replication}
    settings = connected(load(data_dir, kafka=changes))
    client = make_topics(settings)
    names = all_topics(settings.experts.roster)
    if action is TopicsAction.create:
        made = client.create(names)
        if not as_json:
            print(f"made {len(made)} topics, {len(names) - len(made)} were there")
    if action is not TopicsAction.list:
        client.verify(names)
    found = client.describe(names)
    if as_json:
        print(json.dumps({name: topic.partitions for name, topic in found.items()}))
        return
    for name in names:
        topic = found.get(name)
        print(f"{settings.kafka.prefix + name:28} " + (f"{topic.partitions:5} partitions" if topic
              else "missing"))  # fmt: skip
