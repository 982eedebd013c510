"""The answers of the embedded endpoint: repeatable, and cut into tokens.

Pure: the same prompt has the same answer, in the language of the prompt.
"""

# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation

from __future__ import annotations

import hashlib
import re

QUOTED = 60  # characters of the prompt that the answer repeats at most

# Chinese goes by one or two characters, other words with the blank before
# them, as the tokenizers of real models do it. Nothing is lost or added.
TOKEN = re.compile(
    r"[\u3400-\u9fff]{1,2}|\s*[^\W\u3400-\u9fff]+|\s*[^\w\s]|\s+", re.DOTALL
)
CHINESE = re.compile(r"[\u3400-\u9fff]")

WHO_CHINESE = re.compile(r"\s*+你是(谁|什么人)\s*+[?？]?\s*+")
WHO_ENGLISH = re.compile(r"\s*+who\s++are\s++you\s*+\??\s*+", re.IGNORECASE)

SELF_CHINESE = (
    "我是 Unbuffered 自带的演示模型。我没有联网，也不会思考，"
    "但我的回答会一个词一个词地送到你面前：每个词一产生就发出，中间没有谁把它卡住。"
    "设置好 API 密钥，就可以换成真正的模型。"
)
SELF_ENGLISH = (
    "I am the demo model that comes with Unbuffered. I know nothing and think "
    "nothing, but my answer reaches you token by token: each one is sent as soon as "
    "it exists, and nothing on the way buffers it. Set an API key to ask a real "
    "model."
)
ENDINGS_CHINESE = (
    "我不知道答案，但你能看到每个词是什么时候到的，这正是我要演示的。",
    "真正的模型会回答得更好，到达的方式却完全一样：一个词接着一个词。",
    "如果这些字是一下子全部出现的，那么路上一定有谁把它们卡住了。",
)
ENDINGS_ENGLISH = (
    "I cannot tell you more than that, but you can see when each word arrives, "
    "and that is what I am here to show.",
    "A real model would know better, yet its words would reach you in just this "
    "way: one after the other, without buffering.",
    "If all of these words had appeared at the same moment, something between us "
    "would be buffering them.",
)


def answer_to(prompt: str) -> str:
    if WHO_CHINESE.fullmatch(prompt):
        return SELF_CHINESE
    if WHO_ENGLISH.fullmatch(prompt):
        return SELF_ENGLISH
    quoted = " ".join(prompt.split())
    if len(quoted) > QUOTED:
        quoted = f"{quoted[:QUOTED]}…"
    # Not hash(): that one differs from process to process.
    variant = hashlib.sha256(prompt.encode("utf-8", "replace")).digest()[0]
    if CHINESE.search(prompt):
        ending = ENDINGS_CHINESE[variant % len(ENDINGS_CHINESE)]
        return f"你写的是：「{quoted}」，一共 {len(prompt)} 个字符。{ending}"
    ending = ENDINGS_ENGLISH[variant % len(ENDINGS_ENGLISH)]
    return f"You wrote “{quoted}”, {len(prompt)} characters in all. {ending}"


def split_tokens(text: str) -> list[str]:
    """Pieces that make up `text` again when they are joined."""
    return TOKEN.findall(text)
