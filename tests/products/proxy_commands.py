"""How the proxies are started: each with its defaults, and lines added to them."""

from __future__ import annotations

from pathlib import Path

from tests.products.product_command import APACHE, Product, program
from tests.support.certificates import Authority
from tests.support.ports import free_port


def nginx(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    (folder / "nginx.conf").write_text(
        f"user root; daemon off; worker_processes 1; pid {folder}/pid;\n"
        f"error_log {folder}/error.log;\nevents {{}}\nhttp {{\n"
        f"  access_log off; proxy_temp_path {folder}/proxy;\n"
        f"  client_body_temp_path {folder}/body; fastcgi_temp_path {folder}/f;\n"
        f"  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"  proxy_cache_path {folder}/kept keys_zone=kept:1m;\n"
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
    loads = "\n".join(
        f"LoadModule {name}_module {APACHE}/mod_{name}.so" for name in names
    )
    (folder / "httpd.conf").write_text(
        f"ServerRoot {folder}\nPidFile {folder}/pid\nErrorLog {folder}/error.log\n"
        f"Listen 127.0.0.1:{port}\nServerName localhost\n{loads}\n"
        f"{lines.replace('127.0.0.1:8000', f'127.0.0.1:{origin}')}\n"
        f"ProxyPass / http://127.0.0.1:{origin}/\n"
    )
    path = program("apache2") or "apache2"
    return [path, "-f", f"{folder}/httpd.conf", "-DFOREGROUND"]


def envoy(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: YAML of the route, and after `---` that of the HTTP filters."""
    route, _, filters = lines.partition("---")
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
    """`lines`: VCL after the definition of the back end."""
    (folder / "stream.vcl").write_text(
        "vcl 4.1;\nbackend default {\n"
        f'  .host = "127.0.0.1"; .port = "{origin}";\n}}\n{lines}\n'
    )
    # Its folder may not be below the one that pytest closes to other users.
    return [program("varnishd") or "varnishd", "-F", "-j", "none",
            "-a", f"127.0.0.1:{port}", "-f", f"{folder}/stream.vcl",
            "-n", f"{folder}/n", "-s", "malloc,8m"]  # fmt: skip


def h2o(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    (folder / "h2o.yaml").write_text(
        f"user: root\nlisten: {{host: 127.0.0.1, port: {port}}}\nnum-threads: 1\n"
        f"{lines}\nhosts:\n  default:\n    paths:\n      /:\n"
        f'        proxy.reverse.url: "http://127.0.0.1:{origin}/"\n'
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


PHP = """<?php
parse_str($_SERVER["QUERY_STRING"], $asked);
$began = microtime(true);
header("Content-Type: text/event-stream");
foreach (array_filter(explode("\\n", getenv("FIELDS"))) as $field) header($field);
{lines}
for ($n = 1; $n <= $asked["count"]; $n++) {
  $wait = $began + ($n - 1) * ($asked["every"] ?? 0.25) - microtime(true);
  usleep((int) max($wait * 1e6, 0));
  $sent = round((microtime(true) - $began) * 1000, 1);
  $mark = ["n" => $n, "of" => (int) $asked["count"], "sent_ms" => $sent];
  echo "id: $n\\ndata: ", json_encode($mark), "\\n\\n";
  flush();
}
"""


def with_php(lines: str, folder: Path, pool: str = "") -> tuple[str, str]:
    """The start of PHP's server, for a shell; its address.

    `lines`: of the program, which plays a stream by itself.
    """
    (folder / "events.php").write_text(PHP.replace("{lines}", lines))
    address = f"127.0.0.1:{free_port()}"
    (folder / "fpm.conf").write_text(
        f"[global]\npid = {folder}/fpm.pid\nerror_log = {folder}/fpm.log\n"
        f"[www]\nlisten = {address}\nuser = root\ngroup = root\n"
        f"pm = static\npm.max_children = 2\nclear_env = no\n{pool}\n"
    )
    fpm = f"{program('php-fpm')} -R -F -n -y {folder}/fpm.conf"
    return f"{fpm} & until [ -s {folder}/fpm.pid ]; do sleep 0.05; done", address


def both(start: str, command: list[str]) -> list[str]:
    """Two servers; the first one ends with the second, though it left its group."""
    second = " ".join(command)
    ends = "trap 'kill $first $second' TERM"
    return ["sh", "-c", f"{start}; first=$!; {second} & second=$!; {ends}; wait"]


def nginx_php(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: of the location, after `---` of the program, then of its pool."""
    location, _, rest = lines.partition("---")
    code, _, pool = rest.partition("---")
    start, address = with_php(code, folder, pool)
    command = nginx(port, origin, location, folder)
    conf = folder / "nginx.conf"
    to_php = (
        f"fastcgi_pass {address};\n"
        f"      fastcgi_param SCRIPT_FILENAME {folder}/events.php;\n"
        "      fastcgi_param QUERY_STRING $query_string;\n"
        "      fastcgi_param REQUEST_METHOD $request_method;"
    )
    to_origin = f"proxy_pass http://127.0.0.1:{origin};"
    conf.write_text(conf.read_text().replace(to_origin, to_php))
    return both(start, command)


def apache_php(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: the ProxyPass to PHP, as it is printed; after `---` of PHP's pool."""
    lines, _, pool = lines.partition("---")
    start, address = with_php("", folder, pool)
    (folder / "api").mkdir()
    (folder / "events.php").rename(folder / "api" / "events")
    here = lines.replace('"fcgi://127.0.0.1:9000"', f'"fcgi://{address}{folder}/api"')
    command = apache(port, origin, here, folder)
    conf = folder / "httpd.conf"
    to_origin = f"ProxyPass / http://127.0.0.1:{origin}/\n"
    conf.write_text(conf.read_text().replace(to_origin, ""))
    # PHP runs nothing whose name does not end in .php, unless its pool says so.
    with (folder / "fpm.conf").open("a") as file:
        file.write("security.limit_extensions =\n")
    return both(start, command)


UWSGI = """
from tests.products.applications import ask, blocking, media_type
from tests.support.ports import free_port

def application(environ, start_response):
    ask(environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Type", media_type())])
    return blocking()
"""


def nginx_uwsgi(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    (folder / "app.py").write_text(UWSGI)
    socket = folder / "uwsgi"
    command = nginx(port, origin, lines, folder)
    conf = folder / "nginx.conf"
    to_uwsgi = (
        f"uwsgi_pass unix:{socket};\n"
        "      uwsgi_param QUERY_STRING $query_string;\n"
        "      uwsgi_param REQUEST_METHOD $request_method;"
    )
    to_origin = f"proxy_pass http://127.0.0.1:{origin};"
    conf.write_text(conf.read_text().replace(to_origin, to_uwsgi))
    served = (
        f"{program('uwsgi_python3')} --socket {socket} --wsgi-file {folder}/app.py "
        "--threads 2 --die-on-term"
    )
    wait = f"until [ -S {socket} ]; do sleep 0.05; done"
    return both(f"{served} & {wait}", command)


RACK = """
require "json"
require "rack"
require "uri"

class Played
  def initialize(query)
    asked = URI.decode_www_form(query).to_h
    @count = asked["count"].to_i
    @every = asked.fetch("every", "0.25").to_f
  end

  def each
    began = now
    (1..@count).each do |n|
      sleep([began + (n - 1) * @every - now, 0].max)
      mark = {n: n, of: @count, sent_ms: ((now - began) * 1000).round(1)}
      yield "id: #{n}\\ndata: #{mark.to_json}\\n\\n"
    end
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end

{lines}
run lambda { |env|
  stream = Played.new(env["QUERY_STRING"])
  fields = {"Content-Type" => "text/event-stream"}
  (ENV["FIELDS"] || "").each_line(chomp: true) do |line|
    name, value = line.split(": ", 2)
    fields[name] = value
  end
{response}
}
"""
ANSWER = "[200, fields, stream]"
DEFLATER = "use Rack::Deflater, sync: false"


def puma(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: of config.ru, and after `---` the last ones of the application."""
    return puma_at(f"tcp://127.0.0.1:{port}", lines, folder)


def puma_at(where: str, lines: str, folder: Path) -> list[str]:
    before, _, answer = lines.partition("---")
    text = RACK.replace("{lines}", before).replace("{response}", answer or ANSWER)
    (folder / "config.ru").write_text(text)
    path = program("puma") or "puma"
    return [path, "-q", "-e", "none", "-t", "2:2", "-b", where, f"{folder}/config.ru"]


def nginx_puma(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """Through a socket of the file system, at which Puma does not cork."""
    socket = folder / "puma"
    served = " ".join(puma_at(f"unix://{socket}", lines, folder))
    return nginx_at(socket, served, port, origin, "proxy_buffering off;", folder)


def nginx_deflater(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: of the location; Puma compresses behind it."""
    socket = folder / "puma"
    served = " ".join(puma_at(f"unix://{socket}", DEFLATER, folder))
    return nginx_at(socket, served, port, origin, lines, folder)


def nginx_at(
    socket: Path, served: str, port: int, origin: int, lines: str, folder: Path
) -> list[str]:
    """nginx before what is served at a socket."""
    command = nginx(port, origin, f"{lines} server_tokens off;", folder)
    conf = folder / "nginx.conf"
    to_origin = f"http://127.0.0.1:{origin}"
    conf.write_text(conf.read_text().replace(to_origin, f"http://unix:{socket}"))
    wait = f"until [ -S {socket} ]; do sleep 0.05; done"
    return both(f"{served} & {wait}", command)


PROXIES = (
    Product("lighttpd", "lighttpd", lighttpd),
    Product("varnish", "varnishd", varnish),
    Product("h2o", "h2o", h2o),
    Product("squid", "squid", squid),
    Product("mitmproxy", "mitmdump", mitmproxy),
    Product("nginx-php", "nginx+php-fpm", nginx_php),
    Product("apache-php", "apache2+php-fpm", apache_php),
    Product("nginx-uwsgi", "nginx+uwsgi_python3", nginx_uwsgi),
    Product("puma", "puma", puma),
    Product("nginx-puma", "nginx+puma", nginx_puma),
    Product("nginx-deflater", "nginx+puma", nginx_deflater),
    Product("nginx", "nginx", nginx),
    Product("nginx-http2", "nginx", nginx_http2),
    Product("caddy", "caddy", caddy),
    Product("haproxy", "haproxy", haproxy),
    Product("apache", "apache2", apache),
    Product("apache-security", f"{APACHE}/mod_security2.so", apache),
    Product("envoy", "envoy", envoy),
)
