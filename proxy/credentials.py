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
    "magiclink",
)  # fmt: skip
# A name that has one of these as a word is one.
WORDS = frozenset({
    "key", "keys", "keyid", "auth", "authentication", "authorisation", "pass", "pwd",
    "passwd", "otp", "totp", "hotp", "pin", "mfa", "sid", "sig", "sign", "session",
    "bearer", "jwt", "jws", "jwe", "dpop", "oidc", "cookie", "cert", "certs",
    "certificate", "pem", "ticket", "ticketid", "verifier", "hdnts", "hdnea", "hdntl",
    "hdnt", "hdntkn", "pat", "seed", "mnemonic", "sess", "cred", "creds", "wsse",
})  # fmt: skip
# A name that has a word which ends in one of these is one: authkey, dbpass, oauth2.
ENDINGS = (
    "key", "keys", "pass", "pw", "pwd", "otp", "auth", "ticket", "session",
)  # fmt: skip
# A code is one if what is in front of it says what it opens.
CODE = re.compile(
    r"(?:access|auth|authorization|device|user|verification|recovery|backup|otp|pin"
    r"|sms|login|mfa)codes?"
)
# Parts of names that are none, whatever they end in.
ORDINARY = re.compile(
    r"(?:cache|primary|foreign|partition|public|sort|surrogate|idempotency)[-_.]?keys?"
    r"(?![a-z])|(?:country|status|zip|postal|language|currency|area|error)[-_.]?codes?"
    r"(?![a-z])|(?<![a-z])(?:(?:mon|tur|hoc|hot|don|joc|whis)keys?"
    r"|(?:by|com|encom|over|sur|tres|under)pass|(?:ob|pos)sessions?)(?![a-z])",
    re.IGNORECASE,
)
# What is counted or made of them, as the end of a word: max_tokens=100, a tokenizer.
COUNTED = re.compile(r"(?:tokens|tokeni[sz](?:er|ed?|ing|ation)s?|secretar(?:y|ies))$")
# What is told of a credential by the last word of a name: token_count, session_timeout.
ABOUT = frozenset({"count", "type", "timeout", "policy", "at"})
# What is one in a query if it is the whole name: OAuth's state, CloudFront's Policy,
# the links of nginx and of many others that are signed.
WHOLE_NAMES = frozenset({
    "nonce", "state", "policy", "md5", "hash", "mac", "st", "verify", "access",
    "refresh", "magic", "invite",
})  # fmt: skip
HARMLESS = frozenset({  # with "_" as "-"
    "sec-websocket-key", "access-control-allow-credentials", "www-authenticate",
    "proxy-authenticate", "signature-input",
})  # fmt: skip
# apiKey, APIKey, api_key and API-KEY are two words each; so are key1 and key.
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
PART = re.compile(r"[a-z]+")  # DPoP is one word
LONGEST_NAME = 256  # characters; what is longer is no name, and shown to nobody
# How values begin that are credentials whatever they are called: tokens of JOSE, of
# AWS, Google, GitHub, GitLab, Slack, OpenAI, Anthropic, Stripe, Hugging Face, npm,
# PyPI, SendGrid, DigitalOcean; keys and certificates as PEM. A `+` is a space.
VALUE = re.compile(
    r"eyJ[\w-]{8}|(?:AKIA|ASIA)[0-9A-Z]{12}|AIza[\w-]{20}|ya29\.|gh[oprsu]_\w{20}"
    r"|(?i:(?:basic|bearer|digest|negotiate|ntlm|apikey|aws4-hmac-sha256)[ +]+[^\s+])"
    r"|github_pat_|glpat-|xox[abeoprs]-|[srp]k[-_](?:\w{8}|[\w-]{12})|-----BEGIN"
    r"|MII[A-Za-z0-9+/]{40}|hf_[A-Za-z0-9]{10}|npm_[A-Za-z0-9]{12}|pypi-\w{12}"
    r"|SG\.[\w-]{8}|do[opr]_v1_"
)
BEFORE_VALUE = " \t\"'"  # what may be in front of a value that is quoted
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
    if lower.replace("_", "-") in HARMLESS:
        return False
    if of_a_query and lower in WHOLE_NAMES:
        return True
    name = ORDINARY.sub(" ", name)
    parts = [word.lower() for word in WORD.findall(name)]
    if len(parts) > 1 and parts[-1] in ABOUT:
        return False
    joined = "".join(COUNTED.sub("", word) for word in parts)
    if any(stem in joined for stem in STEMS) or CODE.search(joined):
        return True
    words = {*parts, *PART.findall(name.lower())}
    return (
        not words.isdisjoint(WORDS)
        or any(word.endswith(ENDINGS) for word in words)
        or (of_a_query and "code" in words)
    )


# The ID of a kept stream gives access to it; its beginning tells streams apart.
STREAM_ID = re.compile(
    r"(?<![\w-])((?:0|[1-9]\d{0,5})-[0-9a-f]{8})[0-9a-f]{24}(?![\w-])(?:\.\d+)?"
)


def without_stream_ids(value: str) -> str:
    """A value in which IDs of kept streams are cut short."""
    return STREAM_ID.sub(r"\1-****", value) if "-" in value else value


def is_secret_value(value: str) -> bool:
    """Does a value look like a credential, whatever it is called?"""
    return VALUE.match(value.lstrip(BEFORE_VALUE)) is not None


def decoded(text: str) -> list[str]:
    """A text, and what it is decoded once, twice … by percent-encoding."""
    layers = [text]
    while len(layers) <= MOST_LAYERS and "%" in layers[-1]:
        layers.append(unquote(layers[-1]))
        if layers[-1] == layers[-2]:
            del layers[-1]
            break
    return layers
