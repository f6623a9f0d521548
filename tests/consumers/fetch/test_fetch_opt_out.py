"""Images whose server opts out, by X-Robots-Tag."""

from __future__ import annotations

import hostile_handlers as misbehave
import hostile_pictures as pictures
import pytest
from aiohttp import web
from hostile_server import HostileServer
from multidict import CIMultiDict, CIMultiDictProxy
from test_fetch_stage import image, opened, quick

from consumers.fetch.opt_out import opted_out
from consumers.stage import Rejected


@pytest.mark.parametrize(
    ("tags", "directive"),
    [
        (["noai"], "noai"),
        (["NoImageAI"], "noimageai"),
        (["nofollow, noindex"], "noindex"),
        (["nofollow", "noimageindex"], "noimageindex"),
        (["densefusion: noai"], "noai"),
        (["noai, unavailable_after: 25 Jun 2010 15:00:00 PST"], "noai"),
        (["otherbot: noai, noindex"], None),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST"], None),
        (["all", "nofollow", ""], None),
        ([], None),
    ],
)
def test_directives(tags: list[str], directive: str | None) -> None:
    headers = CIMultiDictProxy(CIMultiDict([("x-robots-tag", tag) for tag in tags]))
    assert opted_out(headers, "densefusion/0.1") == directive


@pytest.mark.parametrize("respect", [True, False])
async def test_an_image_that_is_opted_out(server: HostileServer, respect: bool) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        response = misbehave.picture(pictures.photo(40), "image/jpeg")
        response.headers["X-Robots-Tag"] = "noai"
        return response

    server._serve("/mine.jpg", handler, "opt-out")
    async with opened(quick(server, respect_opt_out=respect)) as stage:
        if not respect:
            assert (await image(stage, server.url("/mine.jpg"))).topic == "fetched"
            return
        with pytest.raises(Rejected) as rejected:
            await image(stage, server.url("/mine.jpg"))
    assert (rejected.value.reason, rejected.value.detail) == ("opt-out", "X-Robots-Tag: noai")
