"""What fusion counts of its captions."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from consumers.fusion import Fusion
from consumers.stage import Rejected
from engines.captions import Captioned, CaptionTask, Refused
from tests.consumers.in_memory_store import InMemoryStore
from tests.consumers.records import CODEC
from tests.consumers.test_fusion import joined


class Priced:
    """A caption engine on our interface, which learns its name while it is opened."""

    saw_image = True

    def __init__(self, *answers: Captioned | Exception) -> None:
        self.name = "priced:?"
        self._answers = iter(answers)

    async def open(self) -> None:
        self.name = "priced:model-7"

    async def close(self) -> None: ...

    async def caption(self, task: CaptionTask) -> Captioned:
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def value(name: str, **labels: str) -> float:
    labels.setdefault("engine", "priced:model-7")
    return REGISTRY.get_sample_value(f"densefusion_caption{name}", labels) or 0.0


async def test_captions_are_counted_with_their_tokens_price_and_length() -> None:
    engine = Priced(
        Captioned("A cat on a red mat.", 0.5, tokens_in=900, tokens_out=8, price=0.002),
        Captioned("A dog.", 1.5),  # no tokens told, no price
        Refused("caption-refused"),
    )
    fusion = Fusion(engine, InMemoryStore(), CODEC)  # type: ignore[arg-type]
    await fusion.open()
    await fusion.process(joined({}))
    await fusion.process(joined({}))
    with pytest.raises(Rejected):
        await fusion.process(joined({}))
    assert value("s_total") == 2
    assert value("_tokens_total", direction="in") == 900
    assert value("_tokens_total", direction="out") == 8
    assert value("_price_dollars_total") == pytest.approx(0.002)
    assert value("_words_count") == 2 and value("_words_sum") == 8
    assert value("_seconds_sum") == pytest.approx(2)
    assert value("s_total", engine="priced:?") == 0
