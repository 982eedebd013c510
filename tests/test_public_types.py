"""A stranger's program that uses the library passes `mypy --strict`.

Its checker sees the packages as they are installed: in a folder of site-packages, with
what the wheel has, and no configuration of ours.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
import tomllib
import venv
from pathlib import Path

import pytest

import unbuffered

pytest.importorskip("mypy", reason="mypy is not installed: pip install --group dev")

ROOT = Path(__file__).parents[1]
RIGHT = """
    import asyncio

    import unbuffered
    from unbuffered.testing import ScriptedOrigin, StartBroken, StartProxy, StartReplay


    def ended(exchange: unbuffered.Exchange) -> None:
        status: int = exchange.status
        ending: str | None = exchange.ending
        print(status, ending)


    async def main() -> None:
        routes = {"/": "http://localhost:8002"}
        async with unbuffered.Proxy(routes, server={"max_exchanges": 9}) as proxy:
            url: str = proxy.url
            remove = proxy.on_end(ended)
            await proxy.reload({"/a": {"target": url, "heartbeat_seconds": 15}})
            [first, *_] = await proxy.wait_ended(1)
            print(first.target, [each.pieces for each in proxy.exchanges()])
            cut: int = await proxy.drain(5)
            print(cut)
            remove()
        async with unbuffered.StreamOrigin() as origin:
            request = await origin.request()
            await request.respond()
        fault = unbuffered.Fault(kind="fin", after=3)
        record: unbuffered.ExchangeRecord = unbuffered.read_record(b"", "name")
        async with unbuffered.ReplayOrigin([record], faults=[fault]) as replayed:
            print(replayed.port)


    def synchronous() -> int:
        with unbuffered.Proxy.from_file("config.toml", port=0) as proxy:
            pending: unbuffered.Pending[int] = proxy.drain()
            return pending.result(timeout=5)


    def refused() -> list[str]:
        try:
            unbuffered.Proxy({})
        except unbuffered.ConfigError as error:
            return error.faults
        return [unbuffered.__version__]


    async def test_something(
        stream_origin: ScriptedOrigin,
        unbuffered_proxy: StartProxy,
        broken: StartBroken,
        replay: StartReplay,
    ) -> None:
        proxy = unbuffered_proxy(stream_origin.url)
        request = await stream_origin.request("/events")
        request.respond()
        await request.send_event({"n": 1}, id=1)
        request.cut().result()
        print(proxy.port, broken("reset", after=2).url, replay("a.jsonl").requests)


    asyncio.run(main())
"""
WRONG = """
    import unbuffered

    unbuffered.Prox
    unbuffered.Proxy("http://localhost:8002")
    unbuffered.Proxy({"/": "http://localhost:8002"}, port="80")
    unbuffered.Fault(kind="fine")
    with unbuffered.Proxy({}) as proxy:
        proxy.exchanges()[0].status = 5
        proxy.drain().result() + "text"
"""


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """mypy, for an environment that has what the wheel has."""
    folder = tmp_path_factory.mktemp("stranger")
    venv.create(folder / "venv", with_pip=False)
    site = next((folder / "venv").glob("[Ll]ib/**/site-packages"))
    manifest = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = manifest["tool"]["hatch"]["build"]["targets"]["wheel"]
    for package in wheel["packages"]:
        (site / package).symlink_to(ROOT / package)
    # What it depends on is where it is for these tests.
    others = [path for path in sys.path if path.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join(others), "utf-8")
    names = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    python = (folder / "venv").joinpath(*names)
    (folder / "mypy.ini").write_text("[mypy]\n", "utf-8")  # none of whoever tests
    own = ["--config-file", str(folder / "mypy.ini")]
    options = ["--strict", "--no-error-summary", *own]
    cache = ["--cache-dir", str(folder / "cache"), "--python-executable", str(python)]
    return [sys.executable, "-m", "mypy", *options, *cache]


def check(checker: list[str], folder: Path, text: str) -> list[str]:
    """What mypy says of a file."""
    file = folder / "stranger.py"
    file.write_text(textwrap.dedent(text), "utf-8")
    done = subprocess.run(
        [*checker, file.name], cwd=folder, capture_output=True, text=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_program_of_a_stranger_is_checked(checker: list[str], tmp_path: Path) -> None:
    assert check(checker, tmp_path, RIGHT) == []


def test_what_is_wrong_is_found(checker: list[str], tmp_path: Path) -> None:
    found = check(checker, tmp_path, WRONG)
    lines = {line.split(":")[1] for line in found if ": error:" in line}
    assert sorted(lines, key=int) == ["4", "5", "6", "7", "9", "10"]


def test_all_names_are_there_and_have_docstrings() -> None:
    for name in unbuffered.__all__:
        found = getattr(unbuffered, name)
        assert name == "__version__" or found.__doc__
        if isinstance(found, type) and found.__module__.startswith("proxy.library"):
            for part, value in vars(found).items():
                if not part.startswith("_") and (callable(value) or value.__doc__):
                    assert value.__doc__, f"{name}.{part}"


def test_what_the_wheel_is_made_of_goes_into_every_build() -> None:
    """Each package of the wheel: in the source archive and in the image, too."""
    manifest = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    targets = manifest["tool"]["hatch"]["build"]["targets"]
    packages = targets["wheel"]["packages"]
    with_code = [path.parent.name for path in ROOT.glob("*/__init__.py")]
    assert sorted(packages) == sorted({*with_code} - {"bench", "fuzz", "tests"})
    assert {f"/{each}" for each in packages} <= {*targets["sdist"]["include"]}
    for name in (".containerignore", "deploy/Containerfile.dockerignore"):
        lines = (ROOT / name).read_text("utf-8").splitlines()
        assert {f"!{each}" for each in packages} <= {*lines}, name
    image = (ROOT / "deploy" / "Containerfile").read_text("utf-8")
    for each in packages:
        assert f"COPY {each} {each}\n" in image
