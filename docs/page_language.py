"""A hook of mkdocs: a page of docs/zh-CN is Chinese, and so is the site around it.

So is the navigation, which says of a page that it is English.
"""

# ruff: noqa: RUF001 - Chinese titles have Chinese punctuation
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

LANGUAGES = {"zh-CN": "zh"}  # folders of docs/, and what the theme calls them
SEARCH = {"en": "Search", "zh": "搜索"}
DIALOG = 'role="dialog"'  # that of the search, which the theme gives no name

IN_ENGLISH = "（英文）"
# What stands in the navigation, but for names that are the same.
SECTIONS = {
    "Start": "入门",
    "Streams": "流",
    "Configuration": "配置",
    "Python": "Python",
    "Operation": "运维",
}
TITLES = {
    "Quickstart": "快速开始",
    "Ten minutes with Vue": "十分钟上手 Vue",
    "Vue CLI and webpack": "Vue CLI 与 webpack",
    "Migrating": "迁移",
    "The demo": "演示",
    "Streaming": "流式传输",
    "Protocol families": "协议族",
    "Heartbeats": "心跳",
    "HTTP/2 in the browser": "浏览器中的 HTTP/2",
    "Streams that outlive a connection": "比连接更长久的流",
    "More than one machine": "多台机器",
    "Who is holding my stream?": "谁扣住了我的流",
    "The doctor's cures": "doctor 的处方",
    "The inspector": "Inspector",
    "Records of streams": "流的录制",
    "Replaying a stream": "回放流",
    "Configuration": "配置项",
    "Command line": "命令行",
    "Explaining a request": "解释请求",
    "Editors and shells": "编辑器与 shell",
    "Routing": "路由",
    "Header fields": "头部字段",
    "Upstreams": "上游",
    "Limits": "限制",
    "The library": "Python 库",
    "Inside an application": "嵌入应用",
    "Deploying": "部署",
    "Containers and Kubernetes": "容器与 Kubernetes",
    "Performance": "性能",
    "Observability": "可观测性",
    "Errors": "错误",
    "Security": "安全",
    "Architecture": "架构",
}


def language_of(page: Any) -> str:
    """The language of a page, as the theme calls it."""
    return LANGUAGES.get(page.file.src_uri.partition("/")[0], "en")


def on_page_content(html: str, page: Any, **_: object) -> str:
    """The page itself, marked as what it is written in."""
    folder = page.file.src_uri.partition("/")[0]
    return f'<div lang="{folder}">\n{html}\n</div>' if folder in LANGUAGES else html


def on_nav(nav: Any, **_: object) -> None:
    """Before any page: what everything is called in English."""
    for item in items(nav):
        item.english = item.title


def items(parent: Any) -> Iterator[Any]:
    """All of the navigation, or of a section."""
    for item in getattr(parent, "items", None) or parent.children or ():
        yield item
        yield from items(item)


def on_page_context(context: Any, page: Any, config: Any, nav: Any, **_: object) -> Any:
    """The theme takes its own texts by this name, for each page anew.

    And what the navigation says: it is one for all pages, which are rendered in turn.
    """
    language = language_of(page)
    config.theme["language"] = language
    for item in items(nav):
        item.title = item.english if language == "en" else chinese(item)
    return context


def chinese(item: Any) -> str:
    """What a section or a page is called on a Chinese page."""
    title: str = item.english
    if item.is_section:
        return SECTIONS.get(title, title)
    if language_of(item) != "en":
        return title
    return TITLES.get(title, title) + IN_ENGLISH


def on_post_page(output: str, page: Any, **_: object) -> str:
    """The whole page."""
    return named(output, language_of(page))


def on_post_template(output: str, **_: object) -> str:
    """A page that is none of the documentation's, such as that of a 404."""
    return named(output, "en")


def named(output: str, language: str) -> str:
    """With a name for the dialog of the search."""
    return output.replace(DIALOG, f'{DIALOG} aria-label="{SEARCH[language]}"')
