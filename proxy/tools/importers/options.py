"""The options of one entry of a dev server's proxy, as keys of a route.

They are those of http-proxy and http-proxy-middleware. An option that is not
known here is named as lost, like a function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from proxy.config.cookie_options import ANY, check_domain, check_path
from proxy.config.header_rules import check_field_name, check_field_value
from proxy.tools.importers.draft import Draft, SourceFile
from proxy.tools.importers.references import Reference, is_secret, variable_name
from proxy.tools.importers.rewrite_rules import read_rewrite
from proxy.tools.importers.targets import read_target
from proxy.tools.importers.values import is_function, number, shown, source, table

# No remark: they say where the entry applies, or nothing about a route.
ELSEWHERE = {
    "context",
    "path",
    "pathFilter",
    "prefix",
    "logLevel",
    "logger",
    "loglevel",
}
ELSEWHERE |= {"logProvider", "prependPath", "preserveHeaderKeyCase"}
STAYS = "it can stay in the old file, next to the new target"
FUNCTIONS = {
    "bypass": STAYS,
    "configure": STAYS,
    "onProxyReq": f"for plain fields write headers.request; else {STAYS}",
    "onProxyRes": f"for plain fields write headers.response; else {STAYS}",
    "onProxyReqWs": STAYS,
    "onError": "Unbuffered sends its own error responses (docs/errors.md)",
    "onOpen": STAYS,
    "onClose": STAYS,
    "on": f"for plain fields write headers.request or .response; else {STAYS}",
    "plugins": STAYS,
    "router": "write one route for each target that it can choose",
}
OTHERS = {
    "followRedirects": "redirects go to the client; redirect_rewrite corrects those "
    "that point to the target",
    "selfHandleResponse": (
        "it buffers the whole response, which Unbuffered never does"
    ),
    "buffer": "Unbuffered does not buffer",
    "agent": "Unbuffered keeps connections itself (upstream_keepalive_seconds)",
    "ssl": "for the CA of the target, write ca_file",
    "ca": "write ca_file, with the path of a PEM file",
    "cert": "client certificates are not supported",
    "key": "client certificates are not supported",
    "localAddress": "the operating system chooses the address",
}
REDIRECTS = ("autoRewrite", "hostRewrite", "protocolRewrite")


class Translation:
    """Fills a draft from the options of its entry.

    `mounted`: the entry sees its paths without the prefix.
    """

    def __init__(
        self,
        draft: Draft,
        origin: SourceFile,
        path: str,
        context: str,
        mounted: bool = False,
    ) -> None:
        self.draft = draft
        self.origin = origin
        self.path = path
        self.context = "" if mounted else context
        self.seen = "/" if mounted else draft.prefix

    def read(self, options: Mapping[str, object]) -> None:
        """Carry over all options; what cannot be is named."""
        keys, draft = self.draft.keys, self.draft
        try:
            keys["target"], remarks = read_target(options.get("target"))
        except ValueError as fault:
            draft.inactive = str(fault)
            keys["target"] = "http://localhost:1"
        else:
            draft.notes += remarks
        self.addressing(options)
        for option, value in options.items():
            if value in (None, False) and option != "secure":
                continue
            reader = READERS.get(option)
            if reader is not None:
                reader(self, value)
            elif option not in ELSEWHERE | {"target", "ignorePath"}:
                self.lose(option, value)

    def lose(self, option: str, value: object, advice: str = "") -> None:
        """Name an option that is not carried over, and its place."""
        # A bundler may have printed the function anew.
        snippets = (source(value), f"{option}:", f"{option}(", option)
        path = f"{self.path}.{option}"
        if STAYS in FUNCTIONS.get(option, "") and not advice:
            self.draft.staying.append(option)
        advice = advice or FUNCTIONS.get(option) or OTHERS.get(option, "")
        what = shown(value) if advice or is_function(value) else "no equivalent here"
        self.draft.lost.append(
            f"{self.origin.place(path, *snippets)}: {advice or what}"
        )

    def addressing(self, options: Mapping[str, object]) -> None:
        """`prependPath` and `ignorePath`: what becomes of the two paths."""
        target = str(self.draft.keys["target"])
        if target.startswith("unix:"):
            return
        base = urlsplit(target).path
        bare = target.removesuffix(base) if base else target
        if options.get("prependPath") is False and base:
            self.draft.keys["target"], base = bare, ""
            self.draft.notes.append(
                f"prependPath was false: the path of {target} was dropped"
            )
        if options.get("ignorePath"):
            self.draft.keys["target"] = bare
            path = (base or "/").replace("$", "$$")
            self.draft.keys["path_rewrite"] = {"^.*": path}
            self.draft.remarks["path_rewrite"] = "ignorePath"

    # -- one option each

    def change_origin(self, value: object) -> None:
        self.draft.keys["change_origin"] = True

    def ws(self, value: object) -> None:
        self.draft.keys["ws"] = True

    def rewrite(self, value: object, option: str) -> None:
        if "path_rewrite" in self.draft.keys:  # ignorePath wins there too
            return
        found = read_rewrite(value, self.context, self.seen)
        if found.rules:
            self.draft.keys["path_rewrite"] = found.rules
        if found.remark:
            self.draft.remarks["path_rewrite"] = found.remark
        if found.lost:
            advice = "write path_rewrite; until then the path is not changed"
            self.lose(option, value, f"{found.lost}: {advice}")

    def secure(self, value: object) -> None:
        if value is False and str(self.draft.keys["target"]).startswith(
            ("https:", "wss:")
        ):
            self.draft.keys["verify"] = False
            self.draft.remarks["verify"] = (
                "secure: false. The certificate is not verified; ca_file would be safer"
            )

    def headers(self, value: object) -> None:
        fields: dict[str, str] = {}
        for name, raw in table(value).items():
            if isinstance(raw, list):
                raw = ", ".join(map(str, raw))
            if not isinstance(raw, str | int | float):
                self.lose(f"headers.{name}", raw)
                continue
            try:
                check_field_name(name)
                check_field_value(str(raw))
            except ValueError as fault:
                self.lose(f"headers.{name}", raw, str(fault))
                continue
            fields[name] = str(raw)
        self.set_fields(fields)
        if not table(value):
            self.lose("headers", value)

    def set_fields(self, fields: Mapping[str, str]) -> None:
        """Set request fields; a secret becomes a reference to the environment."""
        known = self.draft.keys.setdefault("headers.request.set", {})
        assert isinstance(known, dict)
        for name, content in fields.items():
            if is_secret(name, content):
                variable = variable_name(self.draft.prefix, name)
                self.draft.notes.append(
                    f"{name}: its value was not copied; set the environment "
                    f"variable {variable} to it"
                )
                known[name] = Reference(variable)
            else:
                known[name] = content
        if not known:
            del self.draft.keys["headers.request.set"]

    def auth(self, value: object) -> None:
        variable = variable_name(self.draft.prefix, "auth")
        known = self.draft.keys.setdefault("headers.request.set", {})
        assert isinstance(known, dict)
        known["Authorization"] = Reference(variable, "Basic ")
        self.draft.notes.append(
            "auth: its value was not copied; set the environment variable "
            f"{variable}: {variable}=$(printf %s 'user:password' | base64)"
        )

    def cookies(self, value: object, key: str, option: str) -> None:
        check: Callable[[str], None]
        check = check_domain if key == "cookie_domain_rewrite" else check_path
        raw = table(value) or {ANY: value}
        found: dict[str, str] = {}
        for old, new in raw.items():
            new = "" if new in (None, False) else new
            try:
                if old != ANY:
                    check(old)
                if new:
                    check(str(new))
            except ValueError as fault:
                self.lose(f"{option}.{old}", new, str(fault))
                continue
            if isinstance(new, str):
                found[old] = new
        if found:
            self.draft.keys[key] = found.get(ANY) if [*found] == [ANY] else found

    def timeout(self, value: object, keys: tuple[str, ...], option: str) -> None:
        milliseconds = number(value)
        if not milliseconds or milliseconds < 0:
            return
        for key in keys:
            known = self.draft.keys.get(key)
            if isinstance(known, float) and known < milliseconds / 1000:
                continue  # the shorter one ends it there too
            self.draft.keys[key] = milliseconds / 1000
            self.draft.remarks[key] = f"{option}: {milliseconds:g} ms"
            if key == "idle_timeout_seconds":
                self.draft.remarks[key] += (
                    "; it cuts a stream that is silent for this long; 0 means no limit"
                )

    def redirects(self, value: object, option: str) -> None:
        if not self.draft.keys.get("change_origin"):
            self.draft.keys["redirect_rewrite"] = True
            self.draft.remarks["redirect_rewrite"] = option
        if option != "autoRewrite":
            self.draft.notes.append(
                f"{option}: redirects get the host and scheme of the client's request"
            )

    def ws_origin(self, value: object) -> None:
        self.draft.keys["rewrite_origin"] = True
        self.draft.remarks["rewrite_origin"] = (
            "here it applies to every request, not only WebSockets"
        )

    def called(self, value: object) -> None:
        self.draft.notes.append(
            "a function created this entry: imported as it is at startup; how it "
            "handles each request is unknown"
        )

    def xfwd(self, value: object) -> None:
        self.draft.forwards = True
        self.draft.notes.append("xfwd: X-Forwarded-* fields are always sent")


Reader = Callable[[Translation, object], None]
BOTH_LIMITS = ("first_byte_timeout_seconds", "idle_timeout_seconds")
READERS: dict[str, Reader] = {
    "changeOrigin": Translation.change_origin,
    "ws": Translation.ws,
    "pathRewrite": lambda it, value: it.rewrite(value, "pathRewrite"),
    "rewrite": lambda it, value: it.rewrite(value, "rewrite"),
    "secure": Translation.secure,
    "headers": Translation.headers,
    "auth": Translation.auth,
    "cookieDomainRewrite": lambda it, value: it.cookies(
        value, "cookie_domain_rewrite", "cookieDomainRewrite"
    ),
    "cookiePathRewrite": lambda it, value: it.cookies(
        value, "cookie_path_rewrite", "cookiePathRewrite"
    ),
    "timeout": lambda it, value: it.timeout(value, BOTH_LIMITS[1:], "timeout"),
    "proxyTimeout": lambda it, value: it.timeout(value, BOTH_LIMITS, "proxyTimeout"),
    "rewriteWsOrigin": Translation.ws_origin,
    "xfwd": Translation.xfwd,
    "$called": Translation.called,
    **{
        name: lambda it, value, name=name: it.redirects(value, name)  # type: ignore[misc]
        for name in REDIRECTS
    },
}
