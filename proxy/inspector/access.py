"""Who may look below /_unbuffered/, and who may change something there.

By the address and the way of a request (`access_rule`), or by a token: where one is
set, everybody has to show it. A local proxy makes all clients look like this machine,
and in a container this machine is nobody: so no address is an exception.
"""

from __future__ import annotations

from secrets import token_urlsafe
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from proxy.config.model import AUTO, Config
from proxy.http1.head import RequestHead
from proxy.inspector.access_rule import (
    DRAIN,
    UNCERTAIN,
    Asked,
    is_foreign,
    is_known,
    may_look,
    refusal,
)
from proxy.inspector.access_token import (
    AccessToken,
    bearer_of,
    cookie_of,
    sessions_of,
)
from proxy.inspector.wrong_tokens import WrongTokens
from proxy.policy.error_response import wants_page
from proxy.policy.forwarded import public_address
from proxy.policy.local_client import UNIX, is_direct, names_of
from proxy.policy.request_value import client_address
from proxy.policy.trusted_proxies import TrustedProxies
from proxy.timeline import wall_clock
from proxy.transport.client_host import HostedStream, server_name

LOGIN = "login"
ASKED_FOR = (
    "this needs the token of the inspector ([inspector] token): send "
    "Authorization: Bearer TOKEN, or open /_unbuffered/ in a browser"
)
OF_METRICS = (
    "this needs the token of the metrics ([metrics] token): send "
    "Authorization: Bearer TOKEN"
)
WRONG = "wrong token"
FOREIGN = (
    "a page of another origin cannot read this; if a proxy in front changes Host, have "
    "it keep Host, or list it in [server] trusted_proxies"
)
NOT_FOR_PAGES = "pages cannot do this: send Authorization: Bearer TOKEN"


class Judgement(NamedTuple):
    """Why a request is not answered as it asks to be; status 0: it is."""

    status: int
    reason: str
    retry_after: int = 0  # seconds


ALLOWED = Judgement(0, "")


class Access:
    """The rules of one configuration."""

    def __init__(self, config: Config, wrong: WrongTokens, links: WrongTokens) -> None:
        self.own_names = names_of(config)
        self.elsewhere = bool(
            config.server.admin
        )  # is it for the admin listener alone?
        self.trusted = TrustedProxies(config.server.trusted_proxies)
        self.inspector = token_of(config.inspector.token)
        self.metrics = token_of(config.metrics.token)
        self.wrong = wrong
        self.links = links  # those in addresses that a page may have had opened

    # -- looking

    def judge(
        self, question: Asked, client: HostedStream, head: RequestHead
    ) -> Judgement | None:
        """Is a request answered by the proxy itself? None: it is for a route."""
        address = client.address
        if question.enabled is False:
            return None
        if self.elsewhere and not question.admin and address != UNIX:
            return None
        if question.path == DRAIN:
            return self.judge_drain(client, head)
        if question.probe:  # from wherever a node or a load balancer is
            return Judgement(*refusal(question, address, head, server_name(client)))
        if self.needs_token(question) and address != UNIX:
            return self.by_token(question, address, head)
        if question.admin and question.machine:  # to whom may reach the listener
            return Judgement(*refusal(question, address, head, server_name(client)))
        if may_look(question.enabled, address, head, self.own_names):
            name = server_name(client)
            return Judgement(*refusal(question, address, head, name))
        tokens = self.tokens(question)
        if tokens and (bearer_of(head) is not None or self.has_session(tokens, head)):
            return self.by_token(question, address, head)
        return None

    def still_opens(
        self, question: Asked, client: HostedStream, head: RequestHead
    ) -> bool:
        """Would a request be answered that was before? Its token is not counted."""
        if question.enabled is False:
            return False
        if self.needs_token(question) and client.address != UNIX:
            tokens = self.tokens(question)
            if self.has_session(tokens, head):
                return True
            shown = bearer_of(head)
            return shown is not None and is_one_of(tokens, shown)
        judged = self.judge(question, client, head)
        return judged is not None and not judged.status

    def sees_details(
        self, question: Asked, client: HostedStream, head: RequestHead
    ) -> bool:
        """Is a client told more by a probe than whether it is ready?"""
        judged = self.judge(question._replace(path="metrics"), client, head)
        return judged is not None and not judged.status

    def needs_token(self, question: Asked) -> bool:
        """Is it open by a token alone? How the proxy stands is no secret."""
        if question.machine and question.path != DRAIN:
            return question.path == "metrics" and self.metrics is not None
        return self.inspector is not None

    def tokens(self, question: Asked) -> list[AccessToken]:
        """Those that open it. Who may see all exchanges may see the metrics."""
        either = (self.metrics, self.inspector) if question.machine else ()
        return [each for each in either or (self.inspector,) if each is not None]

    def by_token(self, question: Asked, address: bytes, head: RequestHead) -> Judgement:
        """Is it open to who shows what this request shows?"""
        reads = head.method in (b"GET", b"HEAD")
        if not reads and not (question.path == LOGIN and head.method == b"POST"):
            return Judgement(405, "this is read-only: use GET or HEAD")
        if question.page and question.path:
            return ALLOWED  # a file, the same for everybody
        if not question.page and self.is_foreign(address, head):
            return Judgement(403, FOREIGN)
        tokens = self.tokens(question)
        if not reads:
            return ALLOWED  # the token is in its body
        if not self.has_session(tokens, head):
            shown = bearer_of(head)
            wrong = self.wrong
            if shown is None and not question.path:
                shown = token_in(question, head)
                if not is_of_a_person(head):
                    wrong = self.links
            if shown is None:
                missing = OF_METRICS if question.path == "metrics" else ASKED_FOR
                return Judgement(401, missing)
            refused = self.check(tokens, shown, address, head, wrong)
            if refused.status:
                return refused
        if question.path != LOGIN and not is_known(question):
            return Judgement(404, "not found; the inspector is at /_unbuffered/")
        return ALLOWED

    def check(
        self,
        tokens: list[AccessToken],
        shown: bytes,
        address: bytes,
        head: RequestHead,
        wrong: WrongTokens | None = None,
    ) -> Judgement:
        """Is a token one of these? Wrong ones are counted, and not many looked at."""
        wrong = wrong or self.wrong
        is_trusted = self.trusted.includes
        client = client_address(head, address, is_trusted(address), is_trusted)
        if wait := wrong.wait(client):
            words = f"too many wrong tokens from this address; try again in {wait} s"
            if wrong is self.links:
                words = (
                    "too many links with wrong tokens from this address; enter it here"
                )
            return Judgement(429, words, wait)
        if is_one_of(tokens, shown):
            return ALLOWED
        wrong.note(client)
        return Judgement(401, WRONG)

    def has_session(self, tokens: list[AccessToken], head: RequestHead) -> bool:
        """Does a browser show that it had the token of the inspector?"""
        token = self.inspector
        if token is None or token not in tokens:
            return False
        now = wall_clock()
        return any(token.opens(value, now) for value in sessions_of(head))

    # -- changing

    def judge_drain(self, client: HostedStream, head: RequestHead) -> Judgement:
        """May a client begin a drain?"""
        if head.method != b"POST":
            return Judgement(405, "POST begins a drain; see /_unbuffered/ready")
        return self.may_administer(client, head)

    def may_administer(self, client: HostedStream, head: RequestHead) -> Judgement:
        """May a client change what the proxy does, as by POST /_unbuffered/drain?

        With the token of the inspector, as a program shows it: a cookie is sent by the
        script of any page that the proxy serves, too. Without one, programs on this
        machine may.
        """
        address = client.address
        if address == UNIX:
            return ALLOWED
        shown = bearer_of(head)
        if shown is None and is_of_a_page(head):
            return Judgement(403, NOT_FOR_PAGES)
        if self.inspector is not None:
            if shown is None:
                return Judgement(401, ASKED_FOR)
            return self.check([self.inspector], shown, address, head)
        if not may_look("loopback", address, head, self.own_names):
            return Judgement(
                403,
                "this is for programs on this machine; from elsewhere it needs a token "
                "([inspector] token)",
            )
        if not is_direct(address, head, server_name(client)):
            return Judgement(403, UNCERTAIN)
        return ALLOWED

    # -- browsers

    def cookie(self, client: HostedStream, head: RequestHead) -> bytes:
        """The field Set-Cookie for a browser that has shown the token."""
        assert self.inspector is not None
        trust = self.trusted.includes(client.address)
        scheme = public_address(head, client.scheme, trust).scheme
        host = head.get(b"host") or b""
        return cookie_of(self.inspector, host, wall_clock(), secure=scheme == b"https")

    def is_foreign(self, address: bytes, head: RequestHead) -> bool:
        """Does a page of another origin ask?

        A proxy in front may have changed Host. A browser says by Sec-Fetch-Site whose
        page asks, which no page can set; else a trusted proxy has told the host.
        """
        if head.get(b"sec-fetch-site") == b"same-origin":
            return False
        if not is_foreign(head):
            return False
        origin, trust = head.get(b"origin"), self.trusted.includes(address)
        if head.get(b"sec-fetch-site") is not None or origin is None or not trust:
            return True
        public = public_address(head, b"http", trust).authority or b""
        return origin.partition(b"://")[2].lower() != public.lower()


def token_of(text: str) -> AccessToken | None:
    """The token of a key; none, if it is empty."""
    if text == AUTO:  # who serves has not made one: nobody shall know it
        text = token_urlsafe()
    return AccessToken(text) if text else None


def is_one_of(tokens: list[AccessToken], shown: bytes) -> bool:
    """Is a token one of these? All are looked at, whichever it is."""
    right = False
    for token in tokens:
        right |= token.is_right(shown)
    return right


def token_in(question: Asked, head: RequestHead) -> bytes | None:
    """The token in an address, `?token=`, that somebody has opened in a browser.

    Not where a page has it loaded as an image or in a frame: with wrong ones it could
    have the address of its visitor refused.
    """
    if not wants_page(head) or head.get(b"sec-fetch-dest") not in (None, b"document"):
        return None
    for parameter in question.query:
        name, _, value = parameter.partition("=")
        if name == "token":
            return unquote_to_bytes(value)
    return None


def is_of_a_person(head: RequestHead) -> bool:
    """Has a person opened the address, or a page of this origin, and nobody else?

    A browser says so by https and to this machine (Fetch Metadata). Else any page may
    have opened it, in a frame or a window: what is wrong with it says nothing of its
    visitor.
    """
    return head.get(b"sec-fetch-site") in (b"none", b"same-origin")


def is_of_a_page(head: RequestHead) -> bool:
    """Does a browser ask for a page? Each says so with a POST (Fetch, Origin)."""
    names = (b"origin", b"sec-fetch-site", b"sec-fetch-mode")
    return any(name in head.index for name in names)
