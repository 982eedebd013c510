"""`resume`, `share` and `[store]`; each fault with the line a person reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy.cli.main import main
from proxy.config.diff import changes
from proxy.config.effective import report, route_table
from proxy.config.kept_options import Resume, Share, StoreOptions
from proxy.config.route import Route
from tests.unit.config.conftest import Load, Refuse, without_line

ROUTE = '\n[routes."/a"]\ntarget = "http://upstream"\n'
OTHER = '\n[routes."/b"]\ntarget = "http://upstream"\n'
BOUND = 'key = "body:id"\nbind = ["Cookie"]\n'
OPEN = 'resume = { key = "body:id", bind = [] }\n'
PLACE = 'config.toml: [routes."/a"]'


def route(read: Load, text: str, environ: Mapping[str, str] = {}) -> Route:
    return read(text, environ).routes["/a"]


def test_a_stream_is_neither_kept_nor_shared_unless_that_is_asked_for(
    read: Load,
) -> None:
    config = read(ROUTE)
    assert config.routes["/a"].resume is None
    assert config.routes["/a"].share is None
    assert config.store == StoreOptions(max_bytes=268_435_456)
    assert config.warnings == ()


@pytest.mark.parametrize("value", ["true", "{}", '"${ON:-true}"'])
@pytest.mark.parametrize("table", ["", "[defaults]\n"])
def test_true_and_an_empty_table_take_all_defaults(
    read: Load, value: str, table: str
) -> None:
    lines = f"resume = {value}\nshare = {value}\n"
    text = f"{table}{lines}{ROUTE}" if table else f"{ROUTE}{lines}"
    found = route(read, text)
    assert found.resume == Resume(
        keep_seconds=60,
        max_bytes=8_388_608,
        ids="auto",
        bind=("Authorization",),
        key="",
        path="",
        stop="",
        resume_upstream=True,
    )
    assert found.share == Share(by=("Authorization", "Cookie"), replay=0)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('[routes."/a".resume]\n{}\n', id="table"),
        pytest.param("resume = {{ {} }}\n", id="inline table"),
    ],
)
def test_every_key_of_resume(read: Load, text: str) -> None:
    keys = [
        "keep_seconds = 1.5",
        "max_bytes = 1024",
        "ids = false",
        'bind = ["cookie:sid", "X-User"]',
        'key = "header:X-Chat"',
        'path = "/chat/{key}"',
        'stop = "/chat/{key}/stop"',
        "resume_upstream = false",
    ]
    joined = ("\n" if text.startswith("[") else ", ").join(keys)
    assert route(read, ROUTE + text.format(joined)).resume == Resume(
        keep_seconds=1.5,
        max_bytes=1024,
        ids=False,
        bind=("cookie:sid", "X-User"),
        key="header:X-Chat",
        path="/chat/{key}",
        stop="/chat/{key}/stop",
        resume_upstream=False,
    )


def test_every_key_of_share_and_of_the_store(read: Load) -> None:
    text = (
        f"[store]\nmax_bytes = 1024\n{ROUTE}"
        '[routes."/a".share]\nby = ["cookie:sid"]\nreplay = 10000\n'
    )
    config = read(text)
    assert config.routes["/a"].share == Share(by=("cookie:sid",), replay=10_000)
    assert config.store == StoreOptions(max_bytes=1024)


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ('"auto"', "auto"),
        ("true", True),
        ("false", False),
        ('"${IDS}"', True),
        ('"${NO:-auto}"', "auto"),
    ],
)
def test_ids(read: Load, value: str, ids: object) -> None:
    found = route(read, f"{ROUTE}resume.ids = {value}", {"IDS": "true"})
    assert found.resume is not None
    assert found.resume.ids == ids


@pytest.mark.parametrize(
    ("key", "is_taken"),
    [
        ("body:id", True),
        ("body:chat id", True),
        ("header:X-Chat-Id", True),
        ("query:id", True),
        ("", True),
        ("body", False),
        ("body:", False),
        ("Body:id", False),
        ("cookie:sid", False),
        ("id", False),
        (":id", False),
        ("header:a b", False),
    ],
)
def test_forms_of_a_key(read: Load, refuse: Refuse, key: str, is_taken: bool) -> None:
    text = f'{ROUTE}resume = {{ key = "{key}", bind = ["Cookie"] }}'
    if is_taken:
        found = route(read, text).resume
        assert found is not None
        assert found.key == key
    else:
        [fault] = refuse(text)
        assert fault.startswith(f"{PLACE} resume.key: ")


# -- [defaults] ---------------------------------------------------------------------

DEFAULTS = "keep_seconds = 5\nmax_bytes = 2048"


@pytest.mark.parametrize(
    ("defaults", "own", "merged"),
    [
        pytest.param(DEFAULTS, "", Resume(keep_seconds=5, max_bytes=2048),
                     id="nothing said"),
        pytest.param(DEFAULTS, "resume = true", Resume(keep_seconds=5, max_bytes=2048),
                     id="true takes the defaults"),
        pytest.param(DEFAULTS, "resume = {}", Resume(keep_seconds=5, max_bytes=2048),
                     id="and so does an empty table"),
        pytest.param(DEFAULTS, "resume.keep_seconds = 9",
                     Resume(keep_seconds=9, max_bytes=2048), id="a key of the route"),
        pytest.param('bind = ["A", "B"]', 'resume.bind = ["C"]', Resume(bind=("C",)),
                     id="a list replaces a list"),
        pytest.param(DEFAULTS, "resume = false", None, id="false switches off"),
        pytest.param("false", "resume.keep_seconds = 9", Resume(keep_seconds=9),
                     id="a table over false"),
        pytest.param("false", "", None, id="false for all"),
        pytest.param("true", "resume.keep_seconds = 9", Resume(keep_seconds=9),
                     id="a table over true"),
    ],
)  # fmt: skip
def test_resume_of_a_route_merges_over_the_defaults(
    read: Load, defaults: str, own: str, merged: Resume | None
) -> None:
    table = (
        f"[defaults]\nresume = {defaults}\n"
        if defaults in ("true", "false")
        else f"[defaults.resume]\n{defaults}\n"
    )
    config = read(f"{table}{ROUTE}{own}{OTHER}")
    assert config.routes["/a"].resume == merged
    assert config.routes["/b"].resume == read(f"{table}{ROUTE}").routes["/a"].resume


def test_share_of_a_route_merges_over_the_defaults(read: Load) -> None:
    text = f"[defaults.share]\nby = []\nreplay = 3\n{ROUTE}share.replay = 4{OTHER}"
    config = read(text)
    assert config.routes["/a"].share == Share(by=(), replay=4)
    assert config.routes["/b"].share == Share(by=(), replay=3)


def test_a_list_of_the_defaults_and_a_key_of_the_route_go_together(read: Load) -> None:
    text = f'[defaults]\nresume.bind = ["Cookie"]\n{ROUTE}resume.key = "body:id"\n'
    assert route(read, text).resume == Resume(bind=("Cookie",), key="body:id")


# -- faults -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        pytest.param("resume = 5", "resume: expected true, false or a table, got the "
                     "integer 5", id="integer for a table"),
        pytest.param('share = "true"', "share: expected true, false or a table, got "
                     'the string "true": remove the quotes', id="true in quotes"),
        pytest.param("resume = []", "resume: expected true, false or a table, got a "
                     "list", id="list for a table"),
        pytest.param("resume.keep_second = 5", "resume.keep_second: unknown key: did "
                     "you mean keep_seconds?", id="misspelt"),
        pytest.param("resume.keepSeconds = 5", "resume.keepSeconds: unknown key: write "
                     "keep_seconds", id="camel case"),
        pytest.param("share.url = 5", "share.url: unknown key: expected by or replay",
                     id="what other proxies have elsewhere"),
        pytest.param("keep_seconds = 5", "keep_seconds: unknown key here: keep_seconds "
                     'belongs in [routes."/prefix".resume]', id="outside of its table"),
        pytest.param("resume.keep_seconds = -1", "resume.keep_seconds: expected a "
                     "finite number of 0 or more, got the integer -1", id="negative"),
        pytest.param("resume.keep_seconds = inf", "resume.keep_seconds: expected a "
                     "finite number of 0 or more, got the number inf", id="for ever"),
        pytest.param('resume.keep_seconds = "60s"', "resume.keep_seconds: expected a "
                     'finite number of 0 or more, got the string "60s": write 60',
                     id="seconds with a unit"),
        pytest.param("resume.max_bytes = 1023", "resume.max_bytes: expected an integer "
                     "of 1024 or more, got the integer 1023", id="too few bytes"),
        pytest.param('resume.ids = "always"', 'resume.ids: expected "auto", true or '
                     'false, got the string "always"', id="ids"),
        pytest.param("share.replay = 10001", "share.replay: expected an integer from 0 "
                     "to 10000, got the integer 10001", id="too many events"),
        pytest.param('resume.bind = "Cookie"', "resume.bind: expected a list of "
                     'strings, got the string "Cookie"', id="string for a list"),
        pytest.param('share.by = ["A", 5]', "share.by, item 2: expected a string, got "
                     "the integer 5", id="integer for a name"),
        pytest.param('share.by = ["a b"]', 'share.by, item 1: "a b" is not a valid '
                     "field name (RFC 9110 §5.1)", id="no name of a field"),
        pytest.param('share.by = [""]', 'share.by, item 1: "" is not a valid field '
                     "name (RFC 9110 §5.1)", id="an empty name"),
        pytest.param('resume.bind = ["cookie:"]', 'resume.bind, item 1: "cookie:" does '
                     "not end in a valid cookie name (RFC 6265 §4.1.1)",
                     id="no name of a cookie"),
        pytest.param('resume.bind = ["cookie:a=b"]', "resume.bind, item 1: "
                     '"cookie:a=b" does not end in a valid cookie name (RFC 6265 '
                     "§4.1.1)", id="a cookie with its value"),
        pytest.param('resume.bind = ["Cookie:sid"]', "resume.bind, item 1: "
                     '"Cookie:sid": write "cookie:sid"', id="cookie in other letters"),
        pytest.param('resume.bind = ["cookie: sid"]', "resume.bind, item 1: "
                     '"cookie: sid" does not end in a valid cookie name (RFC 6265 '
                     "§4.1.1)", id="a space behind the colon"),
        pytest.param('resume.bind = ["header:X-A"]', "resume.bind, item 1: "
                     '"header:X-A": write "X-A"', id="the form of a key"),
        pytest.param('resume.bind = ["last-event-id"]', "resume.bind, item 1: "
                     "last-event-id differs whenever a stream is resumed: remove it",
                     id="what can never be the same"),
        pytest.param('share.by = ["Cookie", "A", "cookie"]', "share.by, item 3: the "
                     'same field as "Cookie": names are case-insensitive; list it only '
                     "once", id="field twice"),
        pytest.param('share.by = ["cookie:a", "cookie:A", "cookie:a"]',
                     'share.by, item 3: the same cookie as "cookie:a"; list it only '
                     "once", id="cookie twice"),
        pytest.param('resume.key = "id"\nresume.bind = []', 'resume.key: expected '
                     '"body:NAME", "header:NAME" or "query:NAME", got "id"',
                     id="key without where it is"),
        pytest.param('resume.key = "header:a b"\nresume.bind = []',
                     'resume.key: "header:a b" does not end in a valid field name '
                     "(RFC 9110 §5.1)", id="key in no field"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("table", ["defaults", 'routes."/a"'])
def test_faults(refuse: Refuse, table: str, line: str, fault: str) -> None:
    text = ROUTE + line if table != "defaults" else f"[defaults]\n{line}{ROUTE}"
    assert refuse(text) == [f"config.toml: [{table}] {fault}"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        pytest.param("uri = ''", "uri: unknown key: did you mean url?", id="uri"),
        pytest.param("max_bytes = 0", "max_bytes: expected an integer of 1024 or more, "
                     "got the integer 0", id="no bytes"),
    ],
)  # fmt: skip
def test_faults_of_the_store(refuse: Refuse, line: str, fault: str) -> None:
    assert refuse(f"[store]\n{line}{ROUTE}") == [f"config.toml: [store] {fault}"]


NOT_BOUND = (
    'resume.key: "body:id" can be guessed, so resume.bind must be set: write bind = '
    '["Authorization"], or the fields or "cookie:NAME" that tell your users apart'
)
NO_KEY = 'needs a key: write key = "body:NAME", "header:NAME" or "query:NAME"'


@pytest.mark.parametrize(
    ("defaults", "own", "faults"),
    [
        pytest.param("", 'key = "body:id"', [NOT_BOUND], id="nobody says who"),
        pytest.param('key = "body:id"', "", [NOT_BOUND], id="nor do the defaults"),
        pytest.param("", 'key = "body:id"\nbind = 5',
                     ["resume.bind: expected a list of strings, got the integer 5"],
                     id="it is said, with a fault"),
        pytest.param("", 'path = "/{key}"\nstop = "/{key}/stop"',
                     [f"resume.path: {NO_KEY}", f"resume.stop: {NO_KEY}"],
                     id="paths without a key"),
        pytest.param("", 'key = ""\npath = "/{key}"', [f"resume.path: {NO_KEY}"],
                     id="a key that is none"),
        pytest.param(BOUND, 'key = ""\nstop = "/{key}"', [f"resume.stop: {NO_KEY}"],
                     id="a route without the key of the defaults"),
        pytest.param("", 'key = "id"\nbind = []\npath = "/{key}"',
                     ['resume.key: expected "body:NAME", "header:NAME" or '
                      '"query:NAME", got "id"'], id="a faulty key is one fault"),
        pytest.param("", f'{BOUND}path = "/chat/stream"',
                     ["resume.path: expected {key} exactly once, and no other "
                      'placeholder, such as "/api/chat/{key}/stream", got '
                      '"/chat/stream"'], id="a path without the key in it"),
        pytest.param("", f'{BOUND}stop = "/a?id={{key}}"',
                     ["resume.stop: a path cannot contain a query or fragment: remove "
                      "? and #"], id="a query"),
        pytest.param("", f'{BOUND}path = "/{{key}}"\nstop = "/{{key}}"',
                     ['resume.stop: the same path as [routes."/a"] resume.path'],
                     id="one path for two things"),
        pytest.param("", f'{BOUND}path = "/%41/{{key}}"\nstop = "/A/{{key}}"',
                     ['resume.stop: the same path as [routes."/a"] resume.path'],
                     id="one path in two forms"),
    ],
)  # fmt: skip
def test_what_has_to_go_together(
    refuse: Refuse, defaults: str, own: str, faults: list[str]
) -> None:
    text = f'[defaults.resume]\n{defaults}\n{ROUTE}[routes."/a".resume]\n{own}\n'
    assert refuse(text) == [f"{PLACE} {fault}" for fault in faults]


@pytest.mark.parametrize(("one", "other"), [("path", "path"), ("path", "stop")])
def test_a_path_leads_to_one_route(refuse: Refuse, one: str, other: str) -> None:
    text = (
        f'[defaults.resume]\n{BOUND}{ROUTE}resume.{one} = "/chat/{{key}}"\n'
        f'{OTHER}resume.{other} = "/chat/{{key}}"\n'
    )
    assert refuse(text) == [
        f'config.toml: [routes."/b"] resume.{other}: the same path as [routes."/a"] '
        f"resume.{one}"
    ]


def test_a_path_of_a_route_that_does_not_resume_is_free(read: Load) -> None:
    text = (
        f'[defaults.resume]\n{BOUND}path = "/chat/{{key}}"\n{ROUTE}resume = false\n'
        f"{OTHER}"
    )
    assert read(text).routes["/b"].resume is not None


@pytest.mark.parametrize(
    ("defaults", "own"),
    [
        ("", 'on_client_leave = "finish"\nresume = true'),
        ('on_client_leave = "finish"', "resume = true"),
        ("resume = true", 'on_client_leave = "finish"'),
    ],
)
def test_resume_reads_on_by_itself(refuse: Refuse, defaults: str, own: str) -> None:
    text = f"[defaults]\n{defaults}\n{ROUTE}{own}\n"
    assert refuse(text) == [
        f"{PLACE} on_client_leave: resume already reads the stream on, for "
        'resume.keep_seconds: write on_client_leave = "close", or resume = false'
    ]


def test_routes_that_finish_and_routes_that_resume_are_neighbours(read: Load) -> None:
    text = (
        f'[defaults]\non_client_leave = "finish"\n{ROUTE}on_client_leave = "close"\n'
        f"resume = true\n{OTHER}share = true\n"
    )
    assert read(text).routes["/b"].on_client_leave == "finish"


# -- how it is told -----------------------------------------------------------------

WARNING = (
    f"{PLACE} resume.bind: the list is empty, so whoever guesses the value of "
    '"body:id" (resume.key) can read and stop the stream of somebody else'
)


@pytest.mark.parametrize("own", [OPEN, 'resume.key = "body:id"\n'])
def test_a_key_that_is_bound_to_nothing_is_taken_with_a_warning(
    read: Load, own: str
) -> None:
    config = read(f"[defaults]\nresume.bind = []\n{ROUTE}{own}")
    assert config.routes["/a"].resume == Resume(bind=(), key="body:id")
    assert tuple(map(without_line, config.warnings)) == (WARNING,)


@pytest.mark.parametrize("own", ["resume.bind = []", "resume = {}", "resume = false"])
def test_an_id_that_cannot_be_guessed_needs_no_warning(read: Load, own: str) -> None:
    assert read(f"{ROUTE}{own}").warnings == ()


def test_check_tells_warnings_beside_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(ROUTE + OPEN, "utf-8")
    assert main(["check"]) == 0
    told = capsys.readouterr()
    assert without_line(told.err) == f"unbuffered: warning: {WARNING}\n"
    assert "resume.bind" in told.out


def test_the_report_says_what_is_on_and_who_said_so(read: Load) -> None:
    text = (
        f"[defaults.resume]\nkeep_seconds = 5\n{ROUTE}"
        f'resume.bind = ["${{F}}"]\n{OTHER}resume = false\n'
    )
    lines = [line.split() for line in report(read(text, {"F": "Cookie"})).splitlines()]
    told = [line for line in lines if line and line[0].startswith(("resume", "share"))]
    assert told == [
        ["resume", "true", "config.toml"],
        ["resume.keep_seconds", "5", "config.toml", "[defaults]"],
        ["resume.max_bytes", "8388608", "default"],
        ["resume.ids", '"auto"', "default"],
        ["resume.bind", '["Cookie"]', "config.toml,", "${F}"],
        ["resume.key", '""', "default"],
        ["resume.path", '""', "default"],
        ["resume.stop", '""', "default"],
        ["resume.resume_upstream", "true", "default"],
        ["share", "false", "default"],
        ["resume", "false", "config.toml"],
        ["share", "false", "default"],
    ]


def test_an_empty_list_of_the_defaults_is_said_to_be_theirs(read: Load) -> None:
    config = read(f"[defaults]\nshare.by = []\n{ROUTE}")
    assert config.sources['routes."/a".share'] == "config.toml [defaults]"
    assert config.sources['routes."/a".share.by'] == "config.toml [defaults]"


def test_what_is_off_has_no_keys_that_came_from_somewhere(read: Load) -> None:
    config = read(f"[defaults]\nresume.ids = true\n{ROUTE}resume = false\n")
    assert {key for key in config.sources if ".resume" in key} == {'routes."/a".resume'}


def test_the_route_table_has_flags_for_them(read: Load) -> None:
    text = f"{ROUTE}resume = true\nws = true\n{OTHER}share = true\n"
    assert route_table(read(text)).splitlines()[1:] == [
        "/a     http://upstream  -             ws resume",
        "/b     http://upstream  -             share",
    ]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param("", "resume = true", "route /a changed (resume)", id="on"),
        pytest.param("share = true", "share = false", "route /a changed (share)",
                     id="off"),
        pytest.param("resume = true", "resume.keep_seconds = 5\nresume.ids = true",
                     "route /a changed (resume.keep_seconds, resume.ids)", id="keys"),
        pytest.param("resume = true", "resume = {}", "nothing changed", id="the same"),
    ],
)  # fmt: skip
def test_a_reload_names_what_is_different(
    read: Load, before: str, after: str, told: str
) -> None:
    assert changes(read(ROUTE + before), read(ROUTE + after)) == told
