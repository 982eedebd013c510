"""A browser shows the token once: by a link, or in a form. Then it has a cookie.

The form works without JavaScript, too; with it, the address keeps the exchange that was
asked for. The token leaves the address at once, by a redirect that no other page hears
of (Referrer-Policy).
"""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs

from proxy.errors import ProxyError
from proxy.http1.grammar import Fields
from proxy.inspector.access import ASKED_FOR, Access, Judgement, is_one_of, token_in
from proxy.inspector.access_rule import Asked
from proxy.inspector.access_token import bearer_of
from proxy.inspector.own_response import (
    CSP,
    GUARDS,
    NO_STORE,
    OwnResponse,
    fields_of_refusal,
    refuse,
)
from proxy.inspector.static_files import PAGE
from proxy.policy.error_response import wants_page

HTML = b"text/html; charset=utf-8"
FORM = PAGE / "login" / "form.html"
SAID = b"<!-- said -->"  # where the form says what was wrong
MOST_BYTES = 4096  # of what the form sends
# By no-referrer a browser hides the origin of what a form sends (Fetch §3.1).
OF_FORM = {
    b"Content-Security-Policy": CSP.replace(
        b"form-action 'none'", b"form-action 'self'"
    ),
    b"Referrer-Policy": b"same-origin",
}
FORM_GUARDS: Fields = [(name, OF_FORM.get(name, value)) for name, value in GUARDS]


def serve(answer: OwnResponse, access: Access) -> None:
    """Answer at the address of the form."""
    if answer.head.method != b"POST":  # it has the token, or a cookie already
        shows = bearer_of(answer.head) is not None
        welcome(answer, cookie(answer, access) if shows else [])
    elif answer.malformed:
        refuse(answer, 400, "the body of this request is malformed")
    else:
        answer.client.read_body(TokenForm(answer, access))


def enter(answer: OwnResponse, access: Access, question: Asked) -> bool:
    """Take the token out of the address of who may look; False: there is none."""
    token = access.inspector
    if token is None or not any(each.startswith("token=") for each in question.query):
        return False
    shown = token_in(question, answer.head)
    right = shown is not None and is_one_of([token], shown)
    welcome(answer, cookie(answer, access) if right else [])
    return True


def cookie(answer: OwnResponse, access: Access) -> Fields:
    """The cookie for who has shown the token."""
    return [(b"Set-Cookie", access.cookie(answer.client, answer.head))]


def welcome(answer: OwnResponse, fields: Fields) -> None:
    """Lead to the page. By a relative address: a proxy in front may have a prefix."""
    fields = [NO_STORE, (b"Location", b"./"), *fields]
    answer.whole(303, b"text/plain; charset=utf-8", b"", fields)


def ask(answer: OwnResponse, refused: Judgement) -> None:
    """Ask a person for the token; a program is told what it needs."""
    if not wants_page(answer.head):
        refuse(answer, *refused)
        return
    said = "" if refused.reason == ASKED_FOR else refused.reason
    said = said[:1].upper() + said[1:] + "." if said else ""
    body = FORM.read_bytes().replace(SAID, escape(said).encode())
    answer.guards = FORM_GUARDS
    fields = fields_of_refusal(refused.status, refused.retry_after)
    answer.whole(refused.status, HTML, body, fields)


class TokenForm:
    """What the form sends, until all of it is here."""

    blocked = False

    def __init__(self, answer: OwnResponse, access: Access) -> None:
        self.answer = answer
        self.access = access
        self.data = bytearray()

    def piece(self, data: bytes) -> None:
        """Some of it."""
        if self.answer.over:
            return
        self.data += data
        if len(self.data) > MOST_BYTES:
            refuse(self.answer, 413, f"a token has less than {MOST_BYTES} bytes")

    def end(self, trailers: Fields) -> None:
        """All of it is here."""
        answer, access = self.answer, self.access
        if answer.over:
            return
        assert access.inspector is not None
        given = parse_qs(self.data.decode("latin-1"), encoding="latin-1").get("token")
        shown = given[0].strip().encode("latin-1") if given else b""
        refused = access.check(
            [access.inspector], shown, answer.client.address, answer.head
        )
        if refused.status:
            ask(answer, refused)
        else:
            welcome(answer, cookie(answer, access))

    def broken(self, error: ProxyError) -> None:
        """The rest of it will never come."""
        self.answer.fail(error)
