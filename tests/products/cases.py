"""What each product does to a stream, and the printed cure that removes it.

One table for the live tests and for the recorded traces.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.doctor.verdict import Kind

GZIP = "gzip on; gzip_types text/event-stream; gzip_min_length 1; gzip_proxied any;"
STEADY = "steady&count=10"
FAST = "fast&count=120"
LATE = "late&count=8&every=0.1&quiet=1.5"
SILENT = "silent&silent=4"
ENVOY = "type.googleapis.com/envoy.extensions"
COMPRESSOR = f"""
- name: envoy.filters.http.compressor
  typed_config:
    "@type": {ENVOY}.filters.http.compressor.v3.Compressor
    response_direction_config:
      common_config: {{min_content_length: 10, content_type: [text/event-stream]}}
    compressor_library:
      name: gzip
      typed_config:
        "@type": {ENVOY}.compression.gzip.compressor.v3.Gzip
"""


@dataclass(frozen=True)
class Case:
    """`base` is in the configuration in any case, `fault` only without the cure.

    `place` is where lines go: before or after the mark that the product's
    command splits at. `recognised`: by which product the cure is found.
    """

    name: str
    product: str
    stream: str
    kind: Kind
    base: str = ""
    fault: str = ""
    place: str = "{}"
    method: str = "GET"
    recognised: str = ""
    coded: bool = False

    def lines(self, cure: str | None) -> str:
        """The lines of the configuration, with the fault or with the cure."""
        inner = "\n".join(
            each for each in (self.base, self.fault if cure is None else cure) if each
        )
        return self.place.format(inner)

    @property
    def cured_by(self) -> str:
        return self.recognised or self.product


CASES = (
    Case("nginx-blocks", "nginx", FAST, Kind.BLOCKS),
    Case("nginx-post", "nginx", FAST, Kind.BLOCKS, method="POST"),
    Case("nginx-at-the-end", "nginx", STEADY, Kind.AT_THE_END),
    Case("nginx-gzip", "nginx", FAST, Kind.AT_THE_END, base=GZIP, coded=True),
    Case("nginx-cut", "nginx", SILENT, Kind.CUT, base="proxy_buffering off;",
         fault="proxy_read_timeout 2s;"),
    Case("caddy-length", "caddy", "length&size=3000&count=10", Kind.BLOCKS,
         place="---{}"),
    Case("caddy-encode", "caddy", LATE, Kind.HEAD_LATE, fault="encode gzip",
         place="{}---"),
    Case("haproxy-late", "haproxy", STEADY, Kind.DELAYED),
    Case("haproxy-rhythm", "haproxy", FAST, Kind.RHYTHM),
    Case("haproxy-gzip", "haproxy", STEADY, Kind.DELAYED, coded=True,
         fault="option http-no-delay\ncompression algo gzip\n"
         "compression type text/event-stream"),
    Case("haproxy-cut", "haproxy", SILENT, Kind.CUT, base="option http-no-delay",
         fault="timeout server 2s"),
    Case("apache-cut", "apache", SILENT, Kind.CUT, fault="ProxyTimeout 2"),
    Case("envoy-cut", "envoy", SILENT, Kind.CUT, fault="timeout: 2s"),
    Case("express-compression", "express", STEADY, Kind.AT_THE_END, coded=True,
         fault="app.use(compression());", place="{}---"),
    Case("http-proxy-3-head", "http-proxy-3", LATE, Kind.HEAD_LATE, place="---{}"),
    Case("vite-head", "vite", LATE, Kind.HEAD_LATE),
    Case("webpack-dev-server", "webpack-dev-server", STEADY, Kind.AT_THE_END,
         coded=True),
    Case("webpack-dev-server-head", "webpack-dev-server", LATE, Kind.HEAD_LATE,
         fault="devServer: { compress: false }"),
)  # fmt: skip

# What people suspect, and what passes every event on when it was sent.
FREE = (
    Case("nginx-unbuffered-gzip", "nginx", STEADY, Kind.STREAMS,
         base=f"proxy_buffering off; {GZIP}", coded=True),
    Case("apache-deflate", "apache", STEADY, Kind.STREAMS,
         base="SetOutputFilter DEFLATE", coded=True),
    Case("caddy-gzip", "caddy", STEADY, Kind.STREAMS, base="encode gzip",
         place="{}---"),
    Case("envoy-compressor", "envoy", STEADY, Kind.STREAMS, base=COMPRESSOR,
         place="---{}", coded=True),
    Case("vite-steady", "vite", STEADY, Kind.STREAMS),
)  # fmt: skip
