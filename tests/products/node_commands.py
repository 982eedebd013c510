"""How the programs on Node are started."""

from __future__ import annotations

from pathlib import Path

from tests.products.product_command import HERE, NEXT, Command, Product

READY = "It listens."


def express(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    before, _, each = lines.partition("---")
    return ["node", str(HERE / "express.mjs"), str(port), str(origin), before, each]


def http_proxy(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    before, _, options = lines.partition("---")
    script = str(HERE / "http-proxy.mjs")
    return ["node", script, str(port), str(origin), options, before]


def next_dev(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: a whole configuration, to which the rewrite is added."""
    (folder / "node_modules").symlink_to(NEXT / "node_modules")
    (folder / "package.json").write_text("{}")
    (folder / "pages").mkdir()
    (folder / "pages" / "index.js").write_text("export default () => null;\n")
    (folder / "next.config.js").write_text(
        f"{lines}\nmodule.exports.rewrites = async () => [{{\n"
        "  source: '/api/:path*',\n"
        f"  destination: 'http://127.0.0.1:{origin}/api/:path*',\n}}];\n"
    )
    script = NEXT / "node_modules" / "next" / "dist" / "bin" / "next"
    return ["node", str(script), "dev", "-p", str(port), "-H", "127.0.0.1"]


def devserver(kind: str) -> Command:
    def command(port: int, origin: int, lines: str, folder: Path) -> list[str]:
        script = str(HERE / "devserver.mjs")
        return ["node", script, kind, str(port), str(origin), lines, str(folder)]

    return command


def relay(kind: str) -> Command:
    def command(port: int, origin: int, lines: str, folder: Path) -> list[str]:
        return ["node", str(HERE / "relay.mjs"), kind, str(port), str(origin), lines]

    return command


NODE = (
    Product("koa-compress", "node:koa-compress", relay("koa")),
    Product("hono", "node:@hono/node-server", relay("hono")),
    Product("fastify-compress", "node:@fastify/compress", relay("fastify")),
    Product("http-proxy", "node:http-proxy", relay("http-proxy")),
    Product("express", "node:compression", express),
    Product("http-proxy-3", "node:http-proxy-3", http_proxy),
    Product("vite", "node:vite", devserver("vite"), READY),
    Product(
        "webpack-dev-server",
        "node:webpack-dev-server",
        devserver("webpack-dev-server"),
        READY,
    ),
    Product("next", "node:next", next_dev, "Ready in"),
)
