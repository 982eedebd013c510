"""A pasted curl command, as browsers and people write it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from proxy.tools.doctor.probe.curl import read_curl
from proxy.tools.doctor.probe.request import (
    Ask,
    AskError,
    check_url,
    complete,
    variants,
)

URL = "http://localhost:8080/chat"


@pytest.mark.parametrize(
    ("command", "ask"),
    [
        pytest.param(f"curl {URL}", Ask(URL), id="url"),
        pytest.param("curl -sN localhost:8080/chat", Ask(URL), id="no scheme"),
        pytest.param(f"curl --url={URL} -X PUT", Ask(URL, "PUT"), id="method"),
        pytest.param(
            f"curl '{URL}' -H 'Accept: */*' -H 'X-Empty;' -H 'Host:' --compressed -k",
            Ask(URL, "GET", (("Accept", "*/*"), ("X-Empty", "")), insecure=True),
            id="copied from a browser",
        ),
        pytest.param(
            f"curl {URL} -d a=1 -d b=2",
            Ask(URL, "POST", (("Content-Type", "application/x-www-form-urlencoded"),),
                b"a=1&b=2"),
            id="form",
        ),
        pytest.param(
            f"""curl {URL} --json '{{"stream": true}}'""",
            Ask(URL, "POST", (("Content-Type", "application/json"),),
                b'{"stream": true}'),
            id="json",
        ),
        pytest.param(f"curl -G {URL} --data-urlencode 'q=a b'",
                     Ask(f"{URL}?q=a%20b"), id="get"),
        pytest.param(f"curl {URL} -u me:secret",
                     Ask(URL, "GET", (("Authorization", "Basic bWU6c2VjcmV0"),)),
                     id="user"),
        pytest.param(f"curl {URL} -XPOST --max-time 5 -o /dev/null",
                     Ask(URL, "POST"), id="options without meaning here"),
    ],
)  # fmt: skip
def test_a_command_is_read(command: str, ask: Ask) -> None:
    assert read_curl(shlex.split(command)) == ask
    assert read_curl([command]) == ask


def test_lines_that_a_browser_broke_are_joined() -> None:
    assert read_curl([f"curl '{URL}' \\\n  -H 'A: b' \\\n"]) == Ask(
        URL, fields=(("A", "b"),)
    )


JSON = (("accept", "text/event-stream"), ("content-type", "application/json"))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            f"""curl '{URL}' \\
  -H 'accept: text/event-stream' \\
  -H 'content-type: application/json' \\
  --data-raw $'{{"q": "it\\'s \\u0021\\n \\xe9"}}' \\
  --compressed""",
            id="bash",
        ),
        pytest.param(
            f"""curl ^"{URL}^" ^
  -H ^"accept: text/event-stream^" ^
  -H ^"content-type: application/json^" ^
  --data-raw ^"^{{^\\^"q^\\^": ^\\^"it's ^!^

 é^\\^"^}}^" --compressed""",
            id="cmd",
        ),
        pytest.param(
            f"""$ curl.exe '{URL}' `
  -H 'accept: text/event-stream' `
  -H 'content-type: application/json' --http2 -sSN `
  -d '{{"q": "it'"'"'s !\n é"}}' 2>/dev/null | head -3""",
            id="PowerShell, with a prompt and a pipe",
        ),
    ],
)
def test_a_command_is_read_as_its_shell_would(text: str) -> None:
    assert read_curl([text]) == Ask(URL, "POST", JSON, '{"q": "it\'s !\n é"}'.encode())


def test_an_empty_body_is_a_body() -> None:
    assert read_curl(["curl", "--data", "", URL]).method == "POST"


def test_what_http2_and_the_framing_add_is_left_out() -> None:
    words = ["curl", URL, "-H", ":authority: x", "-H", "Transfer-Encoding: chunked"]
    assert read_curl([*words, "-H", "Content-Length: 9"]) == Ask(URL)


def test_a_bearer_token() -> None:
    ask = read_curl(["curl", URL, "--oauth2-bearer", "abc"])
    assert ask.fields == (("Authorization", "Bearer abc"),)


def test_a_body_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"one\ntwo")
    assert read_curl(["curl", URL, "-d", f"@{path}"]).body == b"onetwo"
    assert read_curl(["curl", URL, "--data-binary", f"@{path}"]).body == b"one\ntwo"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        pytest.param("curl", "no URL", id="no url"),
        pytest.param(f"curl {URL} {URL}", "two URLs", id="two"),
        pytest.param(f"curl {URL} -F a=b", "--form is not supported", id="form"),
        pytest.param(f"curl {URL} --http3-only", "--http3-only", id="unknown"),
        pytest.param(f"curl {URL} -H", "needs a value", id="no value"),
        pytest.param(f"curl {URL} -d @/nowhere/x", "No such file", id="no file"),
        pytest.param("curl ftp://x/", "http://host:port", id="scheme"),
        pytest.param(
            f"curl {URL} -b jar.txt", "cookie files are not", id="cookie file"
        ),
        pytest.param(f"curl {URL} -H @file", "header files are not", id="field file"),
        pytest.param(f"curl {URL} --data-urlencode a@b", "files are not", id="encoded"),
        pytest.param(f"curl '^{URL}^'", "copied for Windows cmd", id="cmd in bash"),
        pytest.param(f"curl {URL} -H ': x'", "write 'Name: value'", id="field"),
        pytest.param(f"curl {URL} -H 'a b: x'", "not a valid name", id="field name"),
        pytest.param(f"curl {URL} -A 'a\nX: y'", "User-Agent: the value", id="agent"),
        pytest.param(f"curl {URL} -e 'a\rb'", "Referer: the value", id="referer"),
        pytest.param(f"curl {URL} -b 'a=b\nc'", "Cookie: the value", id="cookie"),
        pytest.param(
            f"curl {URL} --oauth2-bearer 'a\nb'",
            "Authorization: the value",
            id="bearer",
        ),
        pytest.param(f"curl {URL} -X 'GE\nT'", "not a valid method", id="method"),
    ],
)
def test_what_cannot_be_done_is_told(command: str, said: str) -> None:
    with pytest.raises(AskError, match=said):
        read_curl(shlex.split(command))


def test_half_a_command_is_told() -> None:
    with pytest.raises(AskError, match="was the whole command copied"):
        read_curl([f"curl '{URL}"])


def test_a_request_is_completed_as_a_browser_sends_it() -> None:
    head = complete(Ask("http://[::1]:8080/ä?q=1")).head()
    assert head.startswith(b"GET /%C3%A4?q=1 HTTP/1.1\r\nHost: [::1]:8080\r\n")
    assert b"Accept: text/event-stream\r\n" in head
    assert b"Accept-Encoding: gzip, deflate, br, zstd\r\n" in head


def test_a_field_of_the_person_stays() -> None:
    ask = complete(Ask(URL, fields=(("accept-encoding", "br"),)))
    assert [v for k, v in ask.fields if k.lower() == "accept-encoding"] == ["br"]


def test_the_method_is_changed_only_where_that_was_asked_for() -> None:
    ask = complete(Ask(URL))
    assert {each.method for each in variants(ask, all_methods=False)} == {"GET"}
    assert {each.method for each in variants(ask, all_methods=True)} == {"GET", "POST"}


@pytest.mark.parametrize(
    "url", ["http://", "http://x:99999/", "http://a b/", "file://x/"]
)
def test_a_url_that_cannot_be_asked_for(url: str) -> None:
    with pytest.raises(AskError):
        check_url(url)
