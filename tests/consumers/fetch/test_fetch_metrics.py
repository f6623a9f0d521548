"""What fetching counts: outcomes by class of host, status and reason; seconds; bytes."""

from __future__ import annotations

import asyncio
from collections import Counter

import hostile_pictures as pictures
import pytest
from hostile_server import HostileServer
from prometheus_client import REGISTRY
from test_fetch_stage import image_url, opened, quick, reason

from consumers.fetch.fetch_metrics import fetching, host_class
from consumers.stage import Rejected
from densefusion.errors import DependencyError


def outcomes() -> Counter[tuple[str, str, str]]:
    """How often each (host class, status, reason) was counted."""
    return Counter(
        {
            (s.labels["host_class"], s.labels["status"], s.labels["reason"]): int(s.value)
            for family in REGISTRY.collect()
            if family.name == "densefusion_fetch"
            for s in family.samples
            if s.name.endswith("_total")
        }
    )


def step(name: str) -> float:
    labels = {"stage": "fetch", "step": name}
    return REGISTRY.get_sample_value("densefusion_step_seconds_total", labels) or 0.0


def value(name: str) -> float:
    labels = {"host_class": "address"}
    return REGISTRY.get_sample_value(f"densefusion_fetch_{name}", labels) or 0.0


async def test_outcomes_of_a_real_server(server: HostileServer) -> None:
    before, seconds, size = outcomes(), value("seconds_count"), value("bytes_total")
    paths = ["/photo.jpg", "/404.jpg", "/503.jpg", "/reset.jpg", "/stalled.jpg", "/photo.jpg"]
    async with opened(quick(server, min_short_edge=440, read_timeout=0.5)) as stage:
        for path in paths:
            await reason(stage, server.url(path))
    assert outcomes() - before == {
        ("address", "200", "ok"): 2,
        ("address", "404", "http-404"): 1,
        ("address", "503", "http-503"): 1,
        ("address", "none", "incomplete"): 1,
        ("address", "none", "timeout"): 1,
    }
    assert value("seconds_count") - seconds == len(paths)
    assert value("bytes_total") - size == 2 * len(pictures.photo(1))


async def test_a_picture_that_is_refused_was_downloaded_all_the_same(server: HostileServer) -> None:
    before, loaded, decoded = outcomes(), step("load"), step("decode")
    async with opened(quick(server, min_short_edge=10_000)) as stage:
        assert await reason(stage, server.url("/photo.jpg")) == "too-small"
    assert outcomes() - before == {("address", "200", "too-small"): 1}
    assert step("load") > loaded and step("decode") > decoded


async def test_what_we_broke_off_ourselves_is_no_outcome(server: HostileServer) -> None:
    before = outcomes()
    async with opened(quick(server)) as stage:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await stage.process(image_url(server.url("/stalled.jpg")))
    with pytest.raises(DependencyError), fetching("http://a.example/"):
        raise DependencyError("no file descriptors left")
    assert outcomes() - before == {}


def test_time_is_up_to_the_last_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([10.0, 12.0, 99.0])
    monkeypatch.setattr("consumers.fetch.fetch_metrics.time.monotonic", lambda: next(now))
    before = value("seconds_sum")
    with fetching("http://192.0.2.1/") as attempt:
        attempt.downloaded(3)
    assert value("seconds_sum") - before == 2


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://images.example.COM/a.jpg?x=.de", "generic"),
        ("http://example.de:8080/", "country"),
        ("http://example.co.uk./", "country"),
        ("http://user@bilder.example.org/", "generic"),
        ("http://93.184.216.34/", "address"),
        ("http://[2001:db8::1]:80/", "address"),
        ("http://example.photography/", "other"),
        ("http://localhost/", "other"),
        ("http://[half", "other"),
        ("", "other"),
    ],
)
def test_hosts_are_four_classes(url: str, expected: str) -> None:
    assert host_class(url) == expected


async def test_no_label_is_of_the_servers_making(server: HostileServer) -> None:
    """Whatever a server answers, statuses and reasons are from our lists."""
    before = outcomes()
    async with opened(quick(server)) as stage:
        for url in server.elsewhere:
            await reason(stage, url)
    for (host, status, why), _ in (outcomes() - before).items():
        assert host in {"generic", "country", "other", "address"}
        assert status in {"none", "other"} or 200 <= int(status) < 600
        assert len(why) < 24


def test_rejected_is_raised_on() -> None:
    with pytest.raises(Rejected, match="dns"), fetching("http://a/"):
        raise Rejected("dns")
