"""Metrics read in the background, and their average over time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import httpx
import pytest

from course_lib.serving.scrape import Scrape
from course_lib.serving.watch import Reading, Watch, time_average

if TYPE_CHECKING:
    from course_lib.serving.vllm_server import VllmServer

PAGE = "vllm:num_requests_running 2\nvllm:num_requests_waiting 3\nvllm:kv_cache_usage_perc 0.25\n"


class Server:
    """Answers every second time, like a server that is busy."""

    def __init__(self) -> None:
        self.asked = 0

    def metrics(self) -> Scrape:
        self.asked += 1
        if self.asked % 2 == 0:
            raise httpx.ReadTimeout("busy")
        return Scrape.parse(PAGE)


def test_a_watch_reads_until_the_block_ends_and_leaves_gaps() -> None:
    server = Server()
    with Watch(cast("VllmServer", server), every_s=0.01) as watch:
        deadline = time.monotonic() + 5
        while server.asked < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
    asked = server.asked
    time.sleep(0.05)
    assert server.asked == asked
    assert 0 < len(watch.readings) < asked
    assert watch.readings[0].in_system == 5
    assert watch.readings[0].kv_usage == 0.25


def test_the_average_weighs_each_reading_with_its_time() -> None:
    readings = [Reading(0.0, 1, 0, 0), Reading(1.0, 4, 1, 0), Reading(4.0, 0, 0, 0)]
    assert time_average(readings) == pytest.approx((1 * 1 + 5 * 3) / 4)


def test_one_reading_has_no_average() -> None:
    with pytest.raises(ValueError, match="span no time"):
        time_average([Reading(0.0, 1, 0, 0)])
