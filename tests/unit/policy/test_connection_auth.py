"""What authenticates a connection instead of a request (RFC 4559)."""

from __future__ import annotations

import pytest

from proxy.policy.connection_auth import asks_to_bind


@pytest.mark.parametrize(
    ("status", "values", "asks"),
    [
        pytest.param(401, [b"NTLM"], True, id="NTLM"),
        pytest.param(401, [b"Negotiate"], True, id="Negotiate"),
        pytest.param(401, [b"negotiate YII="], True, id="with a token, any case"),
        pytest.param(401, [b"Basic realm=a, NTLM"], True, id="one of two, in a list"),
        pytest.param(401, [b"Basic realm=a", b"NTLM"], True, id="one of two fields"),
        pytest.param(401, [b"Basic realm=a"], False, id="Basic"),
        pytest.param(401, [b'Bearer realm="NTLM"'], False, id="another's parameter"),
        pytest.param(401, [], False, id="none"),
        pytest.param(200, [b"Negotiate oYG="], False, id="what came was enough"),
        pytest.param(403, [b"NTLM"], False, id="refused for good"),
    ],
)
def test_a_401_asks_for_credentials_of_the_connection(
    status: int, values: list[bytes], asks: bool
) -> None:
    fields = [(b"WWW-Authenticate", value) for value in values]
    assert asks_to_bind(status, [(b"Date", b"x"), *fields]) is asks
