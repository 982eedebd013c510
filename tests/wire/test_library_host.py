"""Nothing of the program around an `unbuffered.Proxy` is touched.

Each script runs in a process of its own, since the program of the tests is touched by
many: it notes what a process has, uses the library, and notes it again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SNAPSHOT = """
import asyncio, gc, locale, logging, os, resource, signal, socket, sys, threading
import warnings, http.client

async def get(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /x HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 502"), answer

def get_blocking(port):
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(b"GET /x HTTP/1.0\\r\\nHost: a\\r\\n\\r\\n")
        while client.recv(65536):
            pass

def of_logger(logger):
    return (logger.level, logger.propagate, logger.disabled, tuple(logger.handlers),
            tuple(logger.filters))

QUIET = (logging.NOTSET, True, False, (), ())

def of_process():
    known = [logging.getLogger(name) for name in ("asyncio", "host")]
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    return {
        "signals": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "signal mask": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "root logger": of_logger(logging.getLogger()),
        "loggers": [of_logger(each) for each in known],
        "disabled below": logging.root.manager.disable,
        "logger class": logging.getLoggerClass(),
        "record factory": logging.getLogRecordFactory(),
        "last resort": logging.lastResort,
        "capture of warnings": logging._warnings_showwarning,
        "warnings": (list(warnings.filters), warnings.showwarning),
        "policy": asyncio.events._event_loop_policy,
        "handler of the loop": loop and loop.get_exception_handler(),
        "debug": loop and loop.get_debug(),
        "task factory": loop and loop.get_task_factory(),
        "tasks": loop and len(asyncio.all_tasks()),
        "excepthook": sys.excepthook,
        "thread excepthook": threading.excepthook,
        "unraisablehook": sys.unraisablehook,
        "threads": set(threading.enumerate()),
        "descriptors": len(os.listdir("/dev/fd")),
        "limit of descriptors": resource.getrlimit(resource.RLIMIT_NOFILE),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "locale": locale.setlocale(locale.LC_ALL),
        "collector": (gc.isenabled(), gc.get_threshold(), len(gc.callbacks)),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "recursion": sys.getrecursionlimit(),
        "switches": sys.getswitchinterval(),
        "trace": (sys.gettrace(), sys.getprofile()),
        "socket timeout": socket.getdefaulttimeout(),
        "path": list(sys.path),
    }

def compare(before, after):
    for name in before:
        assert before[name] == after[name], (name, before[name], after[name])
    for name, logger in logging.root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger) and name not in ("asyncio", "host"):
            assert of_logger(logger) == QUIET, (name, of_logger(logger))

def handle(loop, context):
    raise AssertionError(context)

asyncio.new_event_loop().close()  # makes the policy, in some versions
logging.getLogger().addHandler(logging.NullHandler())  # of the host
logging.getLogger("host").setLevel(logging.DEBUG)
signal.signal(signal.SIGUSR1, lambda *_: None)
ROUTES = {"/": "http://127.0.0.1:1"}
"""
IN_LOOP = """
async def main():
    asyncio.get_running_loop().set_exception_handler(handle)
    # libuv keeps a descriptor in reserve from the first listener on.
    (await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)).close()
    await asyncio.sleep(0)
    before = of_process()
    import unbuffered
    async with unbuffered.Proxy(ROUTES) as one, unbuffered.Proxy(ROUTES) as other:
        during = of_process()
        for name in ("tasks", "descriptors"):
            during[name] = before[name]
        compare(before, during)
        await get(one.port)
        await other.reload({"/": "http://127.0.0.1:2"})
        await get(other.port)
    for _ in range(5):
        await asyncio.sleep(0)
    compare(before, of_process())
NEW_LOOP
"""
ASYNCIO = IN_LOOP.replace("NEW_LOOP", "asyncio.run(main())")
UVLOOP = IN_LOOP.replace(
    "NEW_LOOP",
    "import uvloop\n"
    "with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:\n"
    "    runner.run(main())",
)
IN_THREAD = """
before = of_process()
import unbuffered
for _ in range(2):
    with unbuffered.Proxy(ROUTES) as one, unbuffered.Proxy(ROUTES) as other:
        get_blocking(one.port)
        other.reload({"/": "http://127.0.0.1:2"}).result()
        get_blocking(other.port)
compare(before, of_process())
"""
FAULTY = """
before = of_process()
import unbuffered
for routes in ({}, {"/": "nothing"}):
    try:
        unbuffered.Proxy(routes)
    except unbuffered.ConfigError:
        pass
taken = socket.create_server(("127.0.0.1", 0))
try:
    unbuffered.Proxy(ROUTES, port=taken.getsockname()[1]).start()
except unbuffered.ConfigError:
    pass
taken.close()
compare(before, of_process())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="looks at a Unix process")
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(ASYNCIO, id="asyncio"),
        pytest.param(UVLOOP, id="uvloop"),
        pytest.param(IN_THREAD, id="thread"),
        pytest.param(FAULTY, id="a start that fails"),
    ],
)
def test_nothing_of_the_host_is_touched(script: str) -> None:
    if "uvloop" in script:
        pytest.importorskip("uvloop")
    assert run(SNAPSHOT + script, "-W", "error::ResourceWarning") == ""


def test_an_import_of_the_package_is_quick() -> None:
    """Nothing is imported before it is used; the names are there nevertheless."""
    script = """
import sys
before = set(sys.modules)
import unbuffered
assert {*unbuffered.__all__} <= {*dir(unbuffered)}
print(*sorted(set(sys.modules) - before))
print(unbuffered.__version__)
"""
    modules, version = run(script).splitlines()
    ours = {"proxy", "unbuffered"}
    assert {name.partition(".")[0] for name in modules.split()} - ours <= {
        "__future__", "_typing", "collections", "copyreg", "functools", "importlib",
        "operator", "re", "types", "typing", "warnings", "contextlib", "enum",
        "keyword", "reprlib", "itertools", "_operator", "_collections", "_functools",
        "_sre",
    }  # fmt: skip
    assert {name for name in modules.split() if name.startswith("proxy")} == set()
    assert version


def test_the_proxy_knows_no_aiohttp_until_a_name_is_looked_up() -> None:
    script = """
import sys, unbuffered
with unbuffered.Proxy({"/": "http://localhost:1"}):
    print("aiohttp" in sys.modules, "uvloop" in sys.modules)
"""
    assert run(script) == "False False\n"


def test_an_unknown_name_is_no_attribute() -> None:
    import unbuffered

    with pytest.raises(AttributeError, match="has no attribute 'Prox'"):
        unbuffered.Prox  # type: ignore[attr-defined]  # noqa: B018


def test_the_package_is_the_command_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "unbuffered", "--version"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.startswith("unbuffered ")


def run(script: str, *options: str) -> str:
    """A script in a process of its own; it says nothing on standard error."""
    done = subprocess.run(
        [sys.executable, *options, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
