from __future__ import annotations

import pytest

from proxy.credentials import is_secret_name
from proxy.observe.redaction import masked, masked_fields, masked_line, masked_target

SECRET = """
authkey userkey appkey masterkey encryptionkey sshkey signkey dbpass userpass
loginticket usersession userauth basicauth xauth oauth oauth2 wsse X-WSSE sess
cred creds pw user_pw userpw X-Api-Pw pat x-pat seed mnemonic magic_link
magicLink smsotp authcode otpcode pincode accesscode smscode access_code
device_code verification_code recovery_code backup-code UserCode otp_code
passkey oauth_token_secret tokenSecret token_secret appKey2 signing_keys
snapshotkey secret_sort_key public_key_token X-Amz-Security-Token private_key
"""
SHOWN = """
monkey turkey hockey hotkey X-Hotkeys bypass compass trespass possession
country_code status_code zip-code postal_code language_code currencyCode
cache_key cache-key X-Cache-Key primary_key foreign_key partition_key publicKey
public-key-pins sort_key Idempotency-Key token_count tokenizer tokenizers
secretary token_type session_timeout password_policy token_issued_at max_tokens
maxTokens author patch seedling credit passage
"""


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


@pytest.mark.parametrize("name", SECRET.split())
def test_a_name_of_a_credential_is_known_by_its_words(name: str) -> None:
    assert is_secret_name(name)
    assert is_secret_name(name, of_a_query=True)


@pytest.mark.parametrize("name", SHOWN.split())
def test_a_name_that_only_sounds_like_one_is_shown(name: str) -> None:
    assert not is_secret_name(name)
    assert not is_secret_name(name, of_a_query=True)


@pytest.mark.parametrize(
    "value",
    [
        "sk-proj-abcdefghijklmnop",
        "sk-ant-api03-abcdefgh",
        "sk_live_abcdefgh",
        "hf_abcdefghijklmnop",
        "npm_abcdefghijklmnop",
        "pypi-AgEIcHlwaS5vcmc",
        "SG.abcdefgh.abc",
        "dop_v1_abcdef",
        '"Bearer abc"',
        "'eyJhbGciOiJIUzI1NiJ9.e30.abc'",
        '{"a": 1, "token": "abc"}',
        "{'a': {'client_secret': 'abc'}}",
        '{\\"password\\": \\"abc\\"}',
        '{"to\\u006ben": "abc"}',
    ],
)
def test_a_value_that_begins_like_a_credential_is_hidden(value: str) -> None:
    assert masked("X-Whatever", value) == "****"
    assert masked_target(f"/x?a={value}&b=1") == "/x?a=****&b=1"


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/x?user[password]=abc&b=1", "/x?user[password]=****&b=1"),
        ("/x?a[token]=abc", "/x?a[token]=****"),
        ("/x?a[b][][secret]=abc", "/x?a[b][][secret]=****"),
        ("/x?a%5Btoken%5D=abc", "/x?a%5Btoken%5D=****"),
        ("/x?filter[name]=yy&page[size]=1", "/x?filter[name]=yy&page[size]=1"),
        ("/x?to%252525252525256ben=abc", "/x?to%252525252525256ben=****"),
        ("/x?a=bearer+abc", "/x?a=****"),
        ("/x?a=%22Bearer%20abc%22", "/x?a=****"),
        ('/x?a={"b":"c;d","token":"abc"}&e=1', "/x?a=****&e=1"),
        ('/x?a=[{"b":"c?d=e","token":"abc"}]&e=1', "/x?a=****&e=1"),
        ("/x?a=%7B%22token%22%3A%22abc%22%7D", "/x?a=****"),
        ("/x?a=%7B%22b%22:1;%22token%22:%22abc%22%7D&c=1", "/x?a=****&c=1"),
        ('/x?a={"b":"c;d"}&e=1', '/x?a={"b":"c;d"}&e=1'),
        ("//yy:abc@h/x", "//****@h/x"),
        ("/x?a=//yy:abc@h/x", "/x?a=//****@h/x"),
        ("/x?a=redis://yy:a/b?c@h/x", "/x?a=redis://****@h/x"),
        ("/x?a=redis%3A%2F%2Fyy%3Aabc%40h", "/x?a=****"),
        ("/x?status_code=2&country_code=de", "/x?status_code=2&country_code=de"),
    ],
)
def test_what_is_nested_in_a_parameter_is_looked_at(target: str, shown: str) -> None:
    assert masked_target(target) == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("X-Original-URI", "app?token=abc", "app?token=****"),
        ("X-Query", "token=abc&x=1", "token=****&x=1"),
        ("X-Query", "token=abc", "token=****"),
        ("Location", "app?a=1&token=abc", "app?a=1&token=****"),
        ("Location", "token=abc", "token=****"),
        ("Location", "//yy:abc@h/x", "//****@h/x"),
        ("X-Db", "postgres://yy:a?b@h", "postgres://****@h"),
        ("X-Db", "redis://yy:a/b@h/0", "redis://****@h/0"),
        ("X-Db", "amqp://yy:a#b@c@h", "amqp://****@h"),
        ("Referer", "https://h/a@b", "https://h/a@b"),
        (
            "Forwarded",
            'for="[::1]";secret=abc;proto=http, for=10.0.0.1',
            'for="[::1]";secret=****;proto=http, for=10.0.0.1',
        ),
        ("Forwarded", 'for=_a;secret="a;b,c"', "for=_a;secret=****"),
        ("X-Note", "a, session_token=abc", "a, session_token=****"),
        ("X-Note", "a=Bearer abc; b=1", "a=****; b=1"),
        ("Set-Cookie", "a=b; Path=/x?token=abc", "a=****; Path=/x?token=****"),
        ("Set-Cookie", "a=b; Path=/, token=abc", "a=****; Path=/, token=****"),
        ("Link", "<https://h/a?token=a>b>; rel=x", "<https://h/a?token=****>; rel=x"),
        ("Link", "<https://h/a?token=abc", "<https://h/a?token=****"),
        ("Link", "<https://h/a?token=a<b>; rel=x", "<https://h/a?token=****"),
        ("Link", "https://h/a?token=abc", "https://h/a?token=****"),
        ("Accept-Language", "sk-SK,sk;q=0.9", "sk-SK,sk;q=0.9"),
        ("Content-Disposition", 'form-data; name="key"', 'form-data; name="key"'),
        ("Alt-Svc", 'h3=":443"; ma=86400', 'h3=":443"; ma=86400'),
    ],
)
def test_what_is_nested_in_a_field_is_looked_at(
    name: str, value: str, shown: str
) -> None:
    assert masked(name, value) == shown


STREAM = "3-0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Stream-Id", STREAM, "3-01234567-****"),
        ("Last-Event-ID", f"{STREAM}.17", "3-01234567-****"),
        ("X-Other", f"see {STREAM}, twice {STREAM}.1", "see 3-01234567-****, twice "
         "3-01234567-****"),
        ("Location", f"/_unbuffered/streams/{STREAM}?from=1",
         "/_unbuffered/streams/3-01234567-****?from=1"),
        ("traceparent", f"00-{STREAM[2:]}-00f067aa0ba902b7-01", None),
        ("ETag", f"{STREAM}0", None),
        ("ETag", f"x{STREAM}", None),
    ],
)  # fmt: skip
def test_of_the_id_of_a_kept_stream_the_beginning_is_shown(
    name: str, value: str, shown: str | None
) -> None:
    assert masked(name, value) == (value if shown is None else shown)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (f"/x?lastEventID={STREAM}.4&a", "/x?lastEventID=3-01234567-****&a"),
        (f"/x?lastEventID={STREAM.replace('-', '%2D')}.4&a", "/x?lastEventID=****&a"),
        (f"/_unbuffered/streams/{STREAM}", "/_unbuffered/streams/3-01234567-****"),
    ],
)
def test_of_the_id_of_a_kept_stream_in_a_target_too(target: str, shown: str) -> None:
    assert masked_target(target) == shown
