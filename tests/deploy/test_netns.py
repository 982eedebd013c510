"""The machines that tests make: they reach each other, and nothing is left of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support import netns
from tests.support.netns import network
from tests.support.raw import Upstream, idle


@pytest.fixture(autouse=True)
def machines_can_be_made() -> None:
    if reason := netns.missing():
        pytest.skip(reason)


async def test_what_is_sent_to_an_unplugged_machine_comes_when_it_is_plugged_in() -> (
    None
):
    with network("here", "there") as (here, there):
        async with Upstream(bound=there.listener(), host=there.address) as server:
            near = await here.connect(there, server.port)
            far = await server.connection()
            assert far.writer.get_extra_info("peername")[0] == here.address
            there.unplug()
            await near.send(b"late")
            reading = asyncio.ensure_future(far.read(4))
            await idle()
            assert not reading.done()
            there.plug()
            assert await reading == b"late"
            near.close()


def test_a_machine_reaches_the_others_and_nothing_else() -> None:
    with network("here", "there") as machines:
        for machine in machines:
            [route] = machine.run("ip", "route").splitlines()
            assert route.startswith(f"{netns.NETWORK}.0/24 dev eth0 ")


def test_nothing_is_left_of_a_machine_even_if_nobody_removes_it() -> None:
    with network("here") as (here,):
        process = Path(f"/proc/{here.life.pid}")
        assert process.exists()
        assert here.life.stdin is not None
        here.life.stdin.close()  # as if the test had died
        assert here.life.wait(5) == 0
        assert not process.exists()


def test_a_line_can_be_made_slow() -> None:
    with network("here") as (here,):
        if reason := here.cannot_impair():
            pytest.skip(reason)
        here.impair("delay", "50ms")
        assert "delay 50" in here.run("tc", "qdisc", "show", "dev", "eth0")
