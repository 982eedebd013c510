from __future__ import annotations

import pytest

from proxy.observe.masking import masked, masked_fields, masked_line, masked_target


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Bearer abc", "Bearer ****"),
        ("authorization", "abc", "****"),
        ("Proxy-Authorization", "Basic eDp5", "Basic ****"),
        ("Cookie", "a=1; b=2", "a=****; b=****"),
        ("Cookie", "bare", "****"),
        ("Set-Cookie", "a=1; Path=/; HttpOnly", "a=****; Path=/; HttpOnly"),
        ("X-Api-Key", "abc", "****"),
        ("api-key", "abc", "****"),
        ("X-Goog-Api-Key", "abc", "****"),
        ("OpenAI-Token", "abc", "****"),
        ("X-Auth-Token", "abc", "****"),
        ("X-Session-Id", "abc", "****"),
        ("Mcp-Session-Id", "abc", "****"),
        ("X-Forwarded-Authorization", "Bearer abc", "Bearer ****"),
        ("X-Forwarded-Access-Token", "abc", "****"),
        ("X-Amzn-Oidc-Accesstoken", "abc", "****"),
        ("Ocp-Apim-Subscription-Key", "abc", "****"),
        ("x-functions-key", "abc", "****"),
        ("Sec-WebSocket-Key", "abc", "abc"),
        ("Idempotency-Key", "abc", "abc"),
        ("x-ratelimit-remaining-tokens", "5", "5"),
        ("WWW-Authenticate", "Bearer realm=a", "Bearer realm=a"),
        ("Sec-WebSocket-Protocol", "realtime, beta-v1", "realtime, beta-v1"),
        (
            "Sec-WebSocket-Protocol",
            "realtime, openai-insecure-api-key.sk-abc, beta-v1",
            "realtime, openai-insecure-api-key.****, beta-v1",
        ),
        ("Sec-WebSocket-Protocol", "access_token,abc,chat", "access_token, ****, chat"),
        (
            "Sec-WebSocket-Protocol",
            "base64url.bearer.authorization.k8s.io.abc",
            "base64url.bearer.****",
        ),
        ("Sec-WebSocket-Protocol", f"chat, {'eyJ' * 20}", "chat, ****"),
        ("Location", "/x?token=abc&a=1", "/x?token=****&a=1"),
        (
            "Location",
            "https://a/#access_token=abc&a=1",
            "https://a/#access_token=****&a=1",
        ),
        ("Location", "https://yy:abc@a/b@c", "https://****@a/b@c"),
        ("X-Original-URI", "/x?token=abc", "/x?token=****"),
        (
            "Link",
            '<https://a/?key=abc>; rel="next"',
            '<https://a/?key=****>; rel="next"',
        ),
        ("Referer", "http://a/?key=abc", "http://a/?key=****"),
        ("Accept", "text/event-stream", "text/event-stream"),
        ("X-Pass", "abc", "****"),
        ("X-OTP", "123456", "****"),
        ("DPoP", "abc", "****"),
        ("X-Client-Cert", "abc", "****"),
        ("X-Forwarded-Client-Cert", "Hash=abc", "****"),
        ("Cookie2", "abc", "****"),
        ("X-Amz-Security-Token", "abc", "****"),
        ("xApiKey", "abc", "****"),
        ("X-APIKey2", "abc", "****"),
        ("authorization", "s3cret more", "****"),
        ("X-Whatever", "Bearer abc", "Bearer ****"),
        ("X-Whatever", "eyJhbGciOiJIUzI1NiJ9.e30.abc", "****"),
        ("X-Whatever", "ghp_0123456789abcdefghijABCDEFGHIJ", "****"),
        ("X-Whatever", "-----BEGIN%20CERTIFICATE-----", "****"),
        ("x" * 300, "abc", "****"),
        ("Access-Control-Allow-Credentials", "true", "true"),
        ("X-Note", "token bucket", "token bucket"),
        (
            "Link",
            '<https://a/?b=1>; rel="next", </c?sig=abc&d=1>',
            '<https://a/?b=1>; rel="next", </c?sig=****&d=1>',
        ),
        ("Location", '/x?token=a"b>c&a=1', "/x?token=****&a=1"),
        ("Location", "https://yy:a@b@c/d", "https://****@c/d"),
        ("Author", "yy", "yy"),
        ("X-Monkey", "1", "1"),
        ("Content-Type", "text/event-stream; key=1", "text/event-stream; key=1"),
    ],
)
def test_credentials_lose_their_values_and_nothing_else(
    name: str, value: str, shown: str
) -> None:
    assert masked(name, value) == shown


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/x", "/x"),
        ("/x?a=1&b=2", "/x?a=1&b=2"),
        ("/x?key=abc", "/x?key=****"),
        ("/x?a=1&api_key=abc&b=2", "/x?a=1&api_key=****&b=2"),
        ("/x?access_token=a=b", "/x?access_token=****"),
        ("/x?a=1&client_secret=abc#f", "/x?a=1&client_secret=****#f"),
        ("/x?PASSWORD=abc", "/x?PASSWORD=****"),
        ("/key=abc", "/key=abc"),
        ("/x?last=4&sig=abc", "/x?last=4&sig=****"),
        ("/x?sessionid=abc&sid=abc&inside=1", "/x?sessionid=****&sid=****&inside=1"),
        (
            "/x?X-Amz-Credential=abc&X-Amz-Date=1",
            "/x?X-Amz-Credential=****&X-Amz-Date=1",
        ),
        ("/x?authorization=Bearer%20abc", "/x?authorization=****"),
        ("/x?token[]=abc", "/x?token[]=****"),
        ("/x?to%6ben=abc", "/x?to%6ben=****"),
        ("/x;jsessionid=abc", "/x;jsessionid=****"),
        ('/x?token=a"b>c d', "/x?token=****"),
        ("/x?token=a;b?c/d&e=1", "/x?token=****&e=1"),
        ("/x;sid=abc/y;a=1?b=2", "/x;sid=****/y;a=1?b=2"),
        ("/x?a/token=abc", "/x?a/token=****"),
        (
            "/x?id_token_hint=abc&oauth_verifier=abc",
            "/x?id_token_hint=****&oauth_verifier=****",
        ),
        ("/x?hdnts=st=1~exp=2~acl=/*~hmac=abc&a=1", "/x?hdnts=****&a=1"),
        ("/x?a=exp=2~hmac=abc&b=1", "/x?a=****&b=1"),
        (
            "/x?Policy=abc&Signature=abc&Key-Pair-Id=abc&Expires=1",
            "/x?Policy=****&Signature=****&Key-Pair-Id=****&Expires=1",
        ),
        ("/x?X-Amz-Security-Token=abc", "/x?X-Amz-Security-Token=****"),
        (
            "/x?AWSAccessKeyId=abc&X-Goog-Signature=abc",
            "/x?AWSAccessKeyId=****&X-Goog-Signature=****",
        ),
        ("/x?se=1&sp=r&sig=abc", "/x?se=1&sp=r&sig=****"),
        ("/x?a=eyJhbGciOiJIUzI1NiJ9.e30.abc&b=1", "/x?a=****&b=1"),
        ("/x?a=Bearer%20abc", "/x?a=****"),
        ("/x?max_tokens=5&state=abc&status=1", "/x?max_tokens=5&state=****&status=1"),
        ("/x?%74%256fken=abc", "/x?%74%256fken=****"),
        ("/x?a=%2525252525252541", "/x?a=****"),
        ("/x?next=/b?c=1;token=abc?d&e=1", "/x?next=/b?c=1;token=****&e=1"),
        ("/x?a=/b?token=abc&c=%20", "/x?a=/b?token=****&c=%20"),
        ("/x?a=http%3A%2F%2Fb%2F%3Ftoken%3Dabc&c=1", "/x?a=****&c=1"),
        ("/x?a=http%3A%2F%2Fb%2F%3Fc%3D1", "/x?a=http%3A%2F%2Fb%2F%3Fc%3D1"),
    ],
)
def test_parameters_that_are_credentials_lose_their_values(
    target: str, shown: str
) -> None:
    assert masked_target(target) == shown


def test_fields_keep_order_names_and_bytes() -> None:
    fields = [(b"X-A", b"\xff"), (b"Cookie", b"a=1"), (b"X-A", b"2")]
    assert masked_fields(fields) == [["X-A", "ÿ"], ["Cookie", "a=****"], ["X-A", "2"]]


def test_a_request_line_keeps_its_version() -> None:
    line = "GET /x?token=abc HTTP/1.1"
    assert masked_line(line) == "GET /x?token=**** HTTP/1.1"


def test_addresses_within_addresses_are_looked_at_without_an_end() -> None:
    """What is nested is not looked at by what is nested in the program."""
    target = "/" + "?a=" * 20_000 + "?token=abc"
    assert masked_target(target) == "/" + "?a=" * 20_000 + "?token=****"
    assert "abc" not in masked_target("/?a=%" + "25" * 20_000 + "3Ftoken%3Dabc")
