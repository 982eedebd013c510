"""The JSON Schema of a configuration file, for editors.

Made from the model, and describes what `load` takes: a string with a reference
to the environment may stand for a number, a target may be a list, the values
of a table of cookies may be one string. What only `load` can judge (does the
pattern compile, does the file exist) is left to it: whatever the schema
refuses, `load` refuses too.

Draft 7, which every editor knows: Taplo and VS Code read newer ones in part.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import msgspec

from proxy.config.certificates_reader import CERTIFICATES
from proxy.config.certificates_reader import MOST as MOST_CERTIFICATES
from proxy.config.cookie_options import COOKIE_TABLES
from proxy.config.fault_options import Fault
from proxy.config.header_rules import TOKEN
from proxy.config.kept_options import SWITCHES
from proxy.config.listen_reader import LISTEN, MOST
from proxy.config.load import PLAIN_TABLES
from proxy.config.model import (
    AUTO,
    SHORTEST_TOKEN,
    CertificateOptions,
    ListenOptions,
)
from proxy.config.reader import DEFAULTS, fields_of
from proxy.config.route import FieldRules, HeaderRules, Route, RouteOptions

Schema: TypeAlias = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
TITLE = "Configuration of Unbuffered"
# The one definition that many keys share.
REFERENCE: Schema = {"$ref": "#/definitions/reference"}
DEFINITIONS: Schema = {
    "reference": {
        "type": "string",
        "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^{}]*)?\}",
        "description": "An environment variable: ${NAME} or ${NAME:-default}.",
    }
}
# Any scheme: which ones there are is told better by a fault.
TARGET: Schema = {"type": "string", "pattern": r"^[A-Za-z]+://|^unix:/|\$\{"}
TARGETS: Schema = {"anyOf": [TARGET, {"type": "array", "items": TARGET, "minItems": 1}]}
STRINGS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
FIELD_NAME: Schema = {"type": "string", "pattern": f"^{TOKEN.pattern}$"}
REMOVED: Schema = {
    "type": "array",
    "items": {"anyOf": [FIELD_NAME, {"type": "string", "pattern": r"\$\{"}]},
}
COMPARED: Schema = {
    "type": "array",
    "items": {
        "anyOf": [
            {"type": "string", "pattern": f"^(cookie:)?{TOKEN.pattern}$"},
            {"type": "string", "pattern": r"\$\{"},
        ]
    },
}
# "" is none.
STREAM_KEY: Schema = {
    "type": "string",
    "pattern": rf"^$|^(body|query):.|^header:{TOKEN.pattern}$|\$\{{",
}
KEY_PATH: Schema = {
    "type": "string",
    "pattern": r"^$|^/[^{}?#]*\{key\}[^{}?#]*$|\$\{",
}
ACCESS_TOKEN: Schema = {
    "type": "string",
    "pattern": rf"^$|^{AUTO}$|^(?=.{{{SHORTEST_TOKEN}}})[A-Za-z0-9._~+/-]+=*$|\$\{{",
}
BALANCE: Schema = {
    "type": "string",
    "pattern": rf"^(least_open|client)$|^(header|cookie):{TOKEN.pattern}$|\$\{{",
}
HEALTH_PATH: Schema = {
    "type": "string",
    "pattern": r'^(/[!"$-~]*)?$|\$\{',
}
CLIENT_BY: Schema = {
    "type": "string",
    "pattern": rf"^address$|^(header|cookie):{TOKEN.pattern}$|\$\{{",
}
HOST = r"(\*\.)?[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*|\[[0-9a-f:.]+\]"
PATH = r"/([A-Za-z0-9._~!$&'()+,;=:@/%-]*[A-Za-z0-9._~!$&'()+,;=:@%-])?"
PREFIX = rf"^({HOST})?{PATH}$"


def schema() -> Schema:
    """The schema of a whole file."""
    tables = {name: table(model) for name, model in PLAIN_TABLES.items()}
    tables[DEFAULTS] = table(RouteOptions)
    tables[DEFAULTS]["description"] = "Default options for every route."
    route = table(Route)
    route["required"] = ["target"]
    route["description"] = (
        "A route. The table name is its path prefix, perhaps with a host before it."
    )
    return {
        "$schema": DIALECT,
        "title": TITLE,
        "definitions": DEFINITIONS,
        "type": "object",
        "additionalProperties": False,
        "required": ["routes"],
        "properties": {
            **tables,
            LISTEN: {
                "description": "Further listeners, [[listen]], beside that of "
                "[server].",
                "type": "array",
                "maxItems": MOST,
                "items": table(ListenOptions) | {"required": ["port"]},
            },
            CERTIFICATES: {
                "description": "Further certificates, [[certificate]], chosen by the "
                "name that a client asks for.",
                "type": "array",
                "maxItems": MOST_CERTIFICATES,
                "items": table(CertificateOptions) | {"required": ["tls_certificate"]},
            },
            "routes": {
                "description": 'One table for each route, [routes."/prefix"], or '
                '[routes."api.example.com/prefix"] for one host; the most exact host '
                "wins, then the longest matching prefix.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": PREFIX},
                "additionalProperties": route,
            },
        },
    }


def table(model: type[msgspec.Struct]) -> Schema:
    """The schema of one table of the model."""
    properties = {name: key(each) for name, each in fields_of(model).items()}
    description = (model.__doc__ or "").partition("\n")[0]
    return {
        "type": "object",
        "description": description,
        "additionalProperties": False,
        "properties": properties,
    }


def key(each: msgspec.structs.FieldInfo) -> Schema:
    """The schema of one key: what it takes, what it means, its default."""
    [meaning] = [
        meta.description for meta in each.type.__metadata__ if meta.description
    ]
    name = each.encode_name
    described: Schema = {"description": meaning}
    if name == "headers":
        return described | headers()
    make = OWN_FORMS.get(name)
    described |= make() if make else plain(each.type)
    default = default_of(each)
    if name in SWITCHES:
        described["default"] = False
    elif default is None:
        described["description"] += " Default: the value of change_origin."
    elif default is not msgspec.NODEFAULT:
        described["default"] = default
    return described


def headers() -> Schema:
    """`headers.request` and `headers.response`, each with `set` and `remove`."""
    directions = table(HeaderRules)
    for name, described in directions["properties"].items():
        meaning = {"description": described["description"]}
        directions["properties"][name] = table(FieldRules) | meaning
    del directions["description"]
    return directions


def faults() -> Schema:
    """One table, or a list of them."""
    one = table(Fault) | {"required": ["kind"]}
    return {"anyOf": [one, {"type": "array", "items": one}]}


def switch(model: type[msgspec.Struct]) -> Schema:
    """True, false, or a table of its options."""
    return {"anyOf": [{"type": "boolean"}, REFERENCE, table(model)]}


def plain(annotation: Any) -> Schema:
    """What a key of a type takes; other than text also by a reference."""
    made = msgspec.json.schema(annotation)
    made.pop("description", None)
    # Several kinds are alternatives. TOML has no null.
    kinds = [kind for kind in made.get("anyOf", [made]) if kind != {"type": "null"}]
    if len(kinds) == 1 and made.get("type") in ("string", "array", "object"):
        return made
    return {"anyOf": [*kinds, REFERENCE]}


def default_of(each: msgspec.structs.FieldInfo) -> Any:
    """The default of a key; NODEFAULT where it has to be said."""
    if each.default_factory is not msgspec.NODEFAULT:
        return each.default_factory()
    return each.default


# The keys whose form in the file is not that of the model.
OWN_FORMS: dict[str, Callable[[], Schema]] = {
    "target": lambda: dict(TARGETS),
    "set": lambda: STRINGS | {"propertyNames": FIELD_NAME},
    "remove": lambda: dict(REMOVED),
    **{
        name: lambda: {"anyOf": [{"type": "string"}, STRINGS]} for name in COOKIE_TABLES
    },
    **{name: partial(switch, model) for name, model in SWITCHES.items()},
    "bind": lambda: dict(COMPARED),
    "by": lambda: dict(COMPARED),
    "balance": lambda: dict(BALANCE),
    "health_path": lambda: dict(HEALTH_PATH),
    "fault": faults,
    "client_by": lambda: dict(CLIENT_BY),
    "key": lambda: dict(STREAM_KEY),
    "path": lambda: dict(KEY_PATH),
    "stop": lambda: dict(KEY_PATH),
    "token": lambda: dict(ACCESS_TOKEN),
}
