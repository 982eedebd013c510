"""How servers of applications are started, alone or behind a proxy."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.products.product_command import APACHE, HERE, Product, program
from tests.products.proxy_commands import apache, caddy, h2o, lighttpd, nginx
from tests.support.ports import free_port

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
  if (!getenv("UNFLUSHED")) flush();
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
    """`lines`: the ProxyPass as it is printed; after `---` of the pool, then PHP."""
    lines, _, rest = lines.partition("---")
    pool, _, code = rest.partition("---")
    start, address = with_php(code, folder, pool)
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


CGI = f"""#!{sys.executable}
import os, sys
sys.path.insert(0, {str(HERE.parents[1])!r})
from tests.products.applications import ask, blocking, media_type

ask(os.environ["QUERY_STRING"])
print("Content-Type:", media_type(), end="\\n\\n", flush=True)
for piece in blocking():
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
"""


def apache_cgi(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: of the host that runs the program."""
    (folder / "api").mkdir()
    program = folder / "api" / "events"
    program.write_text(CGI)
    program.chmod(0o755)
    loads = "\n".join(
        f"LoadModule {name}_module {APACHE}/mod_{name}.so" for name in ("cgid", "alias")
    )
    here = (
        f"{loads}\nScriptSock {folder}/cgi\n<VirtualHost *:*>\n"
        f"ScriptAlias /api {folder}/api\n{lines}\n</VirtualHost>"
    )
    return apache(port, origin, here, folder)


def caddy_php(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: of the site, after `---` of the program, then of its pool."""
    site, _, rest = lines.partition("---")
    code, _, pool = rest.partition("---")
    start, address = with_php(code, folder, pool)
    (folder / "events.php").rename(folder / "index.php")
    command = caddy(port, origin, site, folder)
    conf = folder / "Caddyfile"
    to_origin = f" reverse_proxy 127.0.0.1:{origin} {{\n\n }}\n"
    to_php = f" root * {folder}\n php_fastcgi {address}\n"
    conf.write_text(conf.read_text().replace(to_origin, to_php))
    return both(start, command)


def at_its_path(lines: str, folder: Path) -> tuple[str, str, str]:
    """The start of PHP's server, its host and port; the program has its path as name.

    `lines`: of the program, after `---` of its pool.
    """
    code, _, pool = lines.partition("---")
    start, address = with_php(code, folder, f"{pool}\nsecurity.limit_extensions =")
    (folder / "api").mkdir()
    (folder / "events.php").rename(folder / "api" / "events")
    host, _, number = address.partition(":")
    return start, host, number


def lighttpd_php(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: of the file, after `---` of the program, then of its pool."""
    file, _, rest = lines.partition("---")
    start, host, number = at_its_path(rest, folder)
    to_php = (
        'server.modules += ("mod_fastcgi")\n'
        f'fastcgi.server = ("events" => (("host" => "{host}", "port" => {number}, '
        '"check-local" => "disable")))'
    )
    command = lighttpd(port, origin, f"{to_php}\n{file}", folder)
    conf = folder / "lighttpd.conf"
    conf.write_text(re.sub("(?m)^proxy.server.*\n", "", conf.read_text()))
    return both(start, command)


def h2o_php(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    """`lines`: of the path, after `---` of the program, then of its pool."""
    path, _, rest = lines.partition("---")
    start, host, number = at_its_path(rest, folder)
    command = h2o(port, origin, f"---{path}", folder)
    conf = folder / "h2o.yaml"
    to_php = (
        f"fastcgi.connect: {{host: {host}, port: {number}, type: tcp}}\n"
        f"        fastcgi.document_root: {folder}"
    )
    to_origin = f'proxy.reverse.url: "http://127.0.0.1:{origin}/"'
    conf.write_text(conf.read_text().replace(to_origin, to_php))
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
    return by_uwsgi("uwsgi", port, origin, lines, folder)


def nginx_scgi(port: int, origin: int, lines: str, folder: Path) -> list[str]:
    return by_uwsgi("scgi", port, origin, lines, folder)


def by_uwsgi(
    protocol: str, port: int, origin: int, lines: str, folder: Path
) -> list[str]:
    """uWSGI behind nginx, asked by one of its protocols."""
    (folder / "app.py").write_text(UWSGI)
    socket = folder / "uwsgi"
    command = nginx(port, origin, lines, folder)
    conf = folder / "nginx.conf"
    to_uwsgi = (
        f"{protocol}_pass unix:{socket};\n"
        f"      {protocol}_param QUERY_STRING $query_string;\n"
        f"      {protocol}_param REQUEST_METHOD $request_method;"
    )
    to_origin = f"proxy_pass http://127.0.0.1:{origin};"
    conf.write_text(conf.read_text().replace(to_origin, to_uwsgi))
    option = "--socket" if protocol == "uwsgi" else f"--{protocol}-socket"
    served = (
        f"{program('uwsgi_python3')} {option} {socket} --wsgi-file {folder}/app.py "
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


SERVERS = (
    Product("apache-cgi", f"{APACHE}/mod_cgid.so", apache_cgi),
    Product("nginx-php", "nginx+php-fpm", nginx_php),
    Product("apache-php", "apache2+php-fpm", apache_php),
    Product("nginx-uwsgi", "nginx+uwsgi_python3", nginx_uwsgi),
    Product("nginx-scgi", "nginx+uwsgi_python3", nginx_scgi),
    Product("caddy-php", "caddy+php-fpm", caddy_php),
    Product("h2o-php", "h2o+php-fpm", h2o_php),
    Product("lighttpd-php", "lighttpd+php-fpm", lighttpd_php),
    Product("puma", "puma", puma),
    Product("nginx-puma", "nginx+puma", nginx_puma),
    Product("nginx-deflater", "nginx+puma", nginx_deflater),
)
