"""How the proxies are started: each with its defaults, and lines added to them."""

from __future__ import annotations

from pathlib import Path

from tests.products.product_command import APACHE, Product, program
from tests.support.certificates import Authority


def nginx(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    (folder / "nginx.conf").write_text(
        f"user root; daemon off; worker_processes 1; pid {folder}/pid;\n"
        f"error_log {folder}/error.log;\nevents {{}}\nhttp {{\n"
        f"  access_log off; proxy_temp_path {folder}/proxy;\n"
        f"  client_body_temp_path {folder}/body; fastcgi_temp_path {folder}/f;\n"
        f"  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"  proxy_cache_path {folder}/kept keys_zone=kept:1m;\n"
        f"  fastcgi_cache_path {folder}/php keys_zone=php:1m;\n"
        f"  server {{\n    listen 127.0.0.1:{port};\n    location / {{\n"
        f"      proxy_pass http://127.0.0.1:{origin};\n{lines}\n    }}\n  }}\n}}\n"
    )
    path = program("nginx") or "nginx"
    return [path, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]


def nginx_http2(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """By HTTP/2 over TLS."""
    command = nginx(port, origin, lines, folder)
    Authority(folder)
    conf = folder / "nginx.conf"
    here = f"listen 127.0.0.1:{port}"
    conf.write_text(conf.read_text().replace(
        f"{here};",
        f"{here} ssl http2;\n    ssl_certificate {folder}/cert.pem;\n"
        f"    ssl_certificate_key {folder}/key.pem;",
    ))  # fmt: skip
    return command


def caddy(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: of the site, after `---` of reverse_proxy, then global options."""
    before, _, rest = lines.partition("---")
    inside, _, options = rest.partition("---")
    (folder / "Caddyfile").write_text(
        f"{{\n admin off\n auto_https off\n{options}\n}}\n"
        f"http://127.0.0.1:{port} {{\n{before}\n"
        f" reverse_proxy 127.0.0.1:{origin} {{\n{inside}\n }}\n}}\n"
    )
    path = program("caddy") or "caddy"
    return [path, "run", "--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"]


def haproxy(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: of the defaults, and after `---` of the backend."""
    before, _, inside = lines.partition("---")
    (folder / "haproxy.cfg").write_text(
        "global\n  nbthread 1\n  maxconn 200\ndefaults\n  mode http\n"
        "  timeout connect 5s\n  timeout client 50s\n  timeout server 50s\n"
        f"{before}\n"
        f"frontend front\n  bind 127.0.0.1:{port}\n  default_backend origin\n"
        f"backend origin\n  server origin 127.0.0.1:{origin}\n{inside}\n"
    )
    return [program("haproxy") or "haproxy", "-f", f"{folder}/haproxy.cfg", "-db"]


def apache(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    names = ["mpm_event", "authz_core", "proxy", "proxy_http", "filter", "deflate",
             "headers", "setenvif", "buffer", "brotli",
             "substitute", "proxy_fcgi", "env", "ratelimit"]  # fmt: skip
    if "SecRuleEngine" in lines:
        names += ["unique_id", "security2"]
    # What a host has as well is one worker, with the timeout of the server.
    for_all = f"ProxyPass / http://127.0.0.1:{origin}/"
    if "<VirtualHost" in lines:
        for_all = ""
    loads = "\n".join(
        f"LoadModule {name}_module {APACHE}/mod_{name}.so" for name in names
    )
    (folder / "httpd.conf").write_text(
        f"ServerRoot {folder}\nPidFile {folder}/pid\nErrorLog {folder}/error.log\n"
        f"Listen 127.0.0.1:{port}\nServerName localhost\n{loads}\n"
        f"{lines.replace('127.0.0.1:8000', f'127.0.0.1:{origin}')}\n{for_all}\n"
    )
    path = program("apache2") or "apache2"
    return [path, "-f", f"{folder}/httpd.conf", "-DFOREGROUND"]


def envoy(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: YAML of the route, after `---` of the HTTP filters, then the cluster."""
    route, _, rest = lines.partition("---")
    filters, _, cluster = rest.partition("---")
    kind = "type.googleapis.com/envoy.extensions.filters"
    router = f"{kind}.http.router.v3.Router"
    manager = f"{kind}.network.http_connection_manager.v3.HttpConnectionManager"
    (folder / "envoy.yaml").write_text(
        "static_resources:\n"
        "  listeners:\n"
        "  - address:\n"
        f"      socket_address: {{address: 127.0.0.1, port_value: {port}}}\n"
        "    filter_chains:\n"
        "    - filters:\n"
        "      - name: envoy.filters.network.http_connection_manager\n"
        "        typed_config:\n"
        f'          "@type": {manager}\n'
        "          stat_prefix: doctor\n"
        "          route_config:\n"
        "            virtual_hosts:\n"
        "            - name: all\n"
        '              domains: ["*"]\n'
        "              routes:\n"
        '              - match: {prefix: "/"}\n'
        "                route:\n"
        "                  cluster: origin\n"
        f"{indented(route, 18)}"
        "          http_filters:\n"
        f"{indented(filters, 10)}"
        "          - name: envoy.filters.http.router\n"
        f'            typed_config: {{"@type": {router}}}\n'
        "  clusters:\n"
        "  - name: origin\n"
        f"{indented(cluster, 4)}"
        "    load_assignment:\n"
        "      cluster_name: origin\n"
        "      endpoints:\n"
        "      - lb_endpoints:\n"
        "        - endpoint:\n"
        "            address:\n"
        "              socket_address:\n"
        f"                {{address: 127.0.0.1, port_value: {origin}}}\n"
    )
    path = program("envoy") or "envoy"
    return [path, "-c", f"{folder}/envoy.yaml", "--concurrency", "1", "-l", "error",
            "--use-dynamic-base-id"]  # fmt: skip


def indented(text: str, by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in text.splitlines() if line.strip())


def lighttpd(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: of the file; or of the host, and after `---` of the file."""
    host, _, rest = lines.partition("---") if "---" in lines else ("", "", lines)
    host = f", {host}" if host else ""
    (folder / "lighttpd.conf").write_text(
        f'server.document-root = "{folder}"\nserver.bind = "127.0.0.1"\n'
        f'server.port = {port}\nserver.modules = ("mod_proxy", "mod_deflate")\n'
        f'proxy.server = ("" => (("host" => "127.0.0.1", "port" => {origin}{host})))\n'
        f"{rest}\n"
    )
    path = program("lighttpd") or "lighttpd"
    return [path, "-D", "-f", f"{folder}/lighttpd.conf"]


def varnish(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: VCL after the definition of the back end; after `---` of the command."""
    lines, _, options = lines.partition("---")
    (folder / "stream.vcl").write_text(
        "vcl 4.1;\nbackend default {\n"
        f'  .host = "127.0.0.1"; .port = "{origin}";\n}}\n{lines}\n'
    )
    # Its folder may not be below the one that pytest closes to other users.
    return [program("varnishd") or "varnishd", "-F", "-j", "none",
            "-a", f"127.0.0.1:{port}", "-f", f"{folder}/stream.vcl",
            "-n", f"{folder}/n", "-s", "malloc,8m", *options.split()]  # fmt: skip


def h2o(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: for all, and after `---` of the path."""
    lines, _, path = lines.partition("---")
    (folder / "h2o.yaml").write_text(
        f"user: root\nlisten: {{host: 127.0.0.1, port: {port}}}\nnum-threads: 1\n"
        f"{lines}\nhosts:\n  default:\n    paths:\n      /:\n"
        f'        proxy.reverse.url: "http://127.0.0.1:{origin}/"\n'
        f"{indented(path, 8)}"
    )
    return [program("h2o") or "h2o", "-c", f"{folder}/h2o.yaml"]


def squid(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    folder.chmod(0o777)  # it leaves root
    (folder / "squid.conf").write_text(
        f"http_port 127.0.0.1:{port} accel defaultsite=localhost no-vhost\n"
        f"cache_peer 127.0.0.1 parent {origin} 0 no-query originserver name=o\n"
        "http_access allow all\ncache deny all\naccess_log none\n"
        "cache_log /dev/null\npid_filename none\ncache_mem 8 MB\n"
        "shutdown_lifetime 0 seconds\npinger_enable off\n"
        f"visible_hostname localhost\ncoredump_dir {folder}\n{lines}\n"
    )
    # Its memory that is shared has the name of the service, whoever else runs one.
    name = f"squid{port}"
    return [program("squid") or "squid", "-N", "-n", name, "-f", f"{folder}/squid.conf"]


def mitmproxy(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: the command, from which its options are taken."""
    given = lines.split()[1:]
    return [program("mitmdump") or "mitmdump", "-q",
            "--mode", f"reverse:http://127.0.0.1:{origin}",
            "--listen-host", "127.0.0.1", "--listen-port", str(port),
            "--set", f"confdir={folder}", *given]  # fmt: skip


def nghttpx(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    (folder / "nghttpx.conf").write_text(
        f"frontend=127.0.0.1,{port};no-tls\nbackend=127.0.0.1,{origin}\nworkers=1\n"
        f"errorlog-file={folder}/error.log\n{lines}\n"
    )
    return [program("nghttpx") or "nghttpx", f"--conf={folder}/nghttpx.conf"]


PROXIES = (
    Product("nghttpx", "nghttpx", nghttpx),
    Product("lighttpd", "lighttpd", lighttpd),
    Product("varnish", "varnishd", varnish),
    Product("h2o", "h2o", h2o),
    Product("squid", "squid", squid),
    Product("mitmproxy", "mitmdump", mitmproxy),
    Product("nginx", "nginx", nginx),
    Product("nginx-http2", "nginx", nginx_http2),
    Product("caddy", "caddy", caddy),
    Product("haproxy", "haproxy", haproxy),
    Product("apache", "apache2", apache),
    Product("apache-security", f"{APACHE}/mod_security2.so", apache),
    Product("envoy", "envoy", envoy),
)
