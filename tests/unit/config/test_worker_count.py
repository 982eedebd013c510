from __future__ import annotations

import os

import pytest

from proxy.config.reader import Entry, Reader
from proxy.config.worker_count import check_workers, number_of_workers
from tests.unit.config.conftest import Load, Refuse

ROUTE = '[routes."/a"]\ntarget = "http://h:1"\n'


@pytest.mark.parametrize(
    ("text", "workers"),
    [
        pytest.param("", 1, id="nothing is said"),
        pytest.param("workers = 3", 3, id="a number"),
        pytest.param('workers = "auto"', "auto", id="auto"),
        pytest.param('workers = "${N:-4}"', 4, id="a number from the environment"),
    ],
)
def test_workers_are_a_number_or_auto(
    read: Load, text: str, workers: int | str
) -> None:
    assert read(f"[server]\n{text}\n{ROUTE}").server.workers == workers


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "257", '"many"', "true"])
def test_anything_else_is_a_fault(refuse: Refuse, value: str) -> None:
    (fault,) = refuse(f"[server]\nworkers = {value}\n{ROUTE}")
    assert '[server] workers: expected an integer from 1 to 256 or "auto", ' in fault


def test_auto_is_as_many_as_there_are_processors() -> None:
    usable = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    assert number_of_workers("auto", can_share=True) == len(usable(0))
    assert number_of_workers("auto", can_share=False) == 1
    assert number_of_workers(7) == 7


@pytest.mark.parametrize(
    ("value", "can_share", "faulty"),
    [
        pytest.param(2, False, True, id="two where a port cannot be shared"),
        pytest.param(1, False, False, id="one"),
        pytest.param("auto", False, False, id="as many as can be"),
        pytest.param(2, True, False, id="two where it can"),
    ],
)
def test_a_port_that_cannot_be_shared_has_one_worker(
    value: int | str, can_share: bool, faulty: bool
) -> None:
    reader = Reader("config.toml", {})
    check_workers(reader, {"workers": Entry("workers", value, "")}, can_share=can_share)
    assert bool(reader.faults) is faulty
    for fault in reader.faults:
        assert "[server] workers: 2 workers cannot share a port on this system" in fault
