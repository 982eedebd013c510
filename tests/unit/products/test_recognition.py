"""What the fields of a response say of who sent it."""

from __future__ import annotations

import pytest

from proxy.products.recognition import named_products


def found(*fields: tuple[str, str]) -> list[tuple[str, str, bool]]:
    return [(each.product, each.name, each.behind) for each in named_products(fields)]


def test_a_name_that_is_not_in_the_table_is_told() -> None:
    assert found(("Server", "Foo/1.2")) == [("", "Foo/1.2", False)]
    assert found(("Via", "1.1 google"), ("Server", "nginx")) == [
        ("nginx", "nginx", False),
        ("", "1.1 google", False),
    ]


def test_a_server_beside_a_via_that_passes_it_on_is_the_one_behind() -> None:
    """Caddy sets its own Server only where the response has none."""
    assert found(("Server", "gunicorn"), ("Via", "1.1 Caddy")) == [
        ("caddy", "Caddy", False),
        ("gunicorn", "gunicorn", True),
    ]
    assert found(("Via", "1.1 Caddy"), ("Server", "Foo")) == [
        ("caddy", "Caddy", False),
        ("", "Foo", True),
    ]


@pytest.mark.parametrize("via", ["1.1 varnish (Varnish/7.1)", "1.1 x (squid/5.7)"])
@pytest.mark.parametrize("server", ["nginx", "Caddy", "lighttpd/1.4", "h2o/2.2"])
def test_a_proxy_beside_a_via_may_stand_on_either_side(server: str, via: str) -> None:
    """nginx in front replaces Server, and Caddy adds its own where there is none."""
    signs = found(("Server", server), ("Via", via))
    assert len(signs) == 2
    assert not any(behind for _, _, behind in signs)


def test_of_two_servers_the_second_one_is_behind() -> None:
    """Caddy 2.6 adds its own before the one that it passes on."""
    fields = (("Server", "Caddy"), ("Server", "lighttpd/1.4.69"))
    assert found(*fields) == [("caddy", "Caddy", False), ("lighttpd", "lighttpd", True)]
    seen = [each.seen for each in named_products(fields)]
    assert seen == ["server: Caddy", "server: lighttpd/1.4.69"]


@pytest.mark.parametrize("coding", ["", "identity", "Identity"])
def test_a_sign_of_compressed_responses_needs_one(coding: str) -> None:
    fields = [("X-Powered-By", "Express"), ("Content-Encoding", coding)]
    assert found(*fields) == [("http-proxy-middleware", "Express", False)]
    fields[1] = ("Content-Encoding", "gzip")
    assert found(*fields) == [("express", "Express with compression", False)]


def test_repeated_fields_are_read_together() -> None:
    assert found(("Via", "1.1 a"), ("via", "1.1 Caddy")) == [("caddy", "Caddy", False)]


def test_a_response_without_names_has_no_sign() -> None:
    assert found(("Content-Type", "text/event-stream"), ("Server", "")) == []


def test_php_beside_a_server_means_its_fastcgi() -> None:
    fields = [("X-Powered-By", "PHP/8.2"), ("Server", "nginx/1.22")]
    assert [each for each, _, _ in found(*fields)] == ["nginx-php", "nginx", "php"]
    fields[1] = ("Server", "Apache/2.4")
    assert [each for each, _, _ in found(*fields)] == ["apache-php", "apache", "php"]
