"""What is a credential, told from its name and from its value. Pure.

Names are split into words, and a word or a stem decides. So a field or a parameter
that nobody has listed is known by what it is called: X-Session-Token, x-otp, apiKey2.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

# A name that contains one of these is a credential's, wherever it stands in it.
STEMS = (
    "token", "secret", "passw", "passphrase", "passcode", "credential", "apikey",
    "accesskey", "privatekey", "secretkey", "subscriptionkey", "sessionid", "sessid",
    "signature", "assertion", "authorization", "saml", "hmac", "csrf", "xsrf",
)  # fmt: skip
# A name that has one of these as a word is one.
WORDS = frozenset({
    "key", "keys", "keyid", "auth", "authentication", "authorisation", "pass", "pwd",
    "passwd", "otp", "totp", "hotp", "pin", "mfa", "sid", "sig", "sign", "session",
    "bearer", "jwt", "jws", "jwe", "dpop", "oidc", "cookie", "cert", "certs",
    "certificate", "pem", "ticket", "ticketid", "verifier", "hdnts", "hdnea", "hdntl",
    "hdnt", "hdntkn",
})  # fmt: skip
# What is one in a query if it is the whole name: OAuth's state, CloudFront's Policy,
# the links of nginx and of many others that are signed.
WHOLE_NAMES = frozenset({
    "nonce", "state", "policy", "md5", "hash", "mac", "st", "verify", "access",
    "refresh", "magic", "invite",
})  # fmt: skip
HARMLESS = frozenset(
    {
        "sec-websocket-key",
        "idempotency-key",
        "surrogate-key",
        "cache-key",
        "x-cache-key",
        "x-cache-keys",
        "public-key-pins",
        "access-control-allow-credentials",
        "www-authenticate",
        "proxy-authenticate",
        "signature-input",
        "sort_key",
        "sort-key",
        "token_type",
    }
)
# apiKey, APIKey, api_key and API-KEY are two words each; so are key1 and key.
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
PART = re.compile(r"[a-z]+")  # DPoP is one word
LONGEST_NAME = 256  # characters; what is longer is no name, and shown to nobody
# How values begin that are credentials whatever they are called: tokens of JOSE, of
# AWS, Google, GitHub, GitLab, Slack, OpenAI, Stripe; keys and certificates as PEM.
VALUE = re.compile(
    r"eyJ[\w-]{8}|(?:AKIA|ASIA)[0-9A-Z]{12}|AIza[\w-]{20}|ya29\.|gh[oprsu]_\w{20}"
    r"|(?i:(?:basic|bearer|digest|negotiate|ntlm|apikey|aws4-hmac-sha256) +\S)"
    r"|github_pat_|glpat-|xox[abeoprs]-|[srp]k[-_]\w{8}|-----BEGIN|MII[A-Za-z0-9+/]{40}"
)
# The schemes of RFC 9110 §11 that a value may begin with; which it was may be shown.
SCHEME = re.compile(
    r"(basic|bearer|digest|negotiate|ntlm|dpop|hoba|mutual|oauth|gnap|vapid|hawk|token"
    r"|apikey|key|privatetoken|scram-sha-(?:1|256)|aws4-hmac-sha256) +(?=\S)",
    re.IGNORECASE,
)
MOST_LAYERS = 4  # of percent-encoding; beyond it nobody decodes, and nothing is shown


def is_secret_name(name: str, *, of_a_query: bool = False) -> bool:
    """Does a name say that its value is a credential?"""
    if len(name) > LONGEST_NAME:
        return True
    lower = name.lower()
    if lower in HARMLESS:
        return False
    if of_a_query and lower in WHOLE_NAMES:
        return True
    joined = lower.replace("-", "").replace("_", "").replace(".", "")
    joined = joined.replace("tokens", "")  # which are counted: max_tokens=100
    if any(stem in joined for stem in STEMS):
        return True
    words = {word.lower() for word in (*WORD.findall(name), *PART.findall(lower))}
    return not words.isdisjoint(WORDS) or (of_a_query and "code" in words)


def is_secret_value(value: str) -> bool:
    """Does a value look like a credential, whatever it is called?"""
    return VALUE.match(value) is not None


def decoded(text: str) -> list[str]:
    """A text, and what it is decoded once, twice … by percent-encoding."""
    layers = [text]
    while len(layers) <= MOST_LAYERS and "%" in layers[-1]:
        layers.append(unquote(layers[-1]))
        if layers[-1] == layers[-2]:
            del layers[-1]
            break
    return layers
