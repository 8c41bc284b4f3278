"""CHANGELOG.md as customers read it: of each release, what stands under “For customers”."""

from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

_PART = "For customers"
_UNRELEASED = "Unreleased"


@dataclass(frozen=True, slots=True)
class Release:
    """`title` is its version and date, or nothing for what has come since the last one."""

    title: str
    html: SafeString


@lru_cache(maxsize=1)
def releases() -> tuple[Release, ...]:
    """Newest first. Those without news for customers are left out."""
    return releases_read((settings.BASE_DIR / "CHANGELOG.md").read_text())


def releases_read(text: str) -> tuple[Release, ...]:
    markdown = MarkdownIt("commonmark", {"html": False})
    title = part = ""
    news: dict[str, list[Token]] = {}
    tokens = markdown.parse(text)
    for place, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            title, part = tokens[place + 1].content, ""
        elif token.type == "heading_open":
            part = tokens[place + 1].content
        elif part == _PART and not _is_of_a_heading(tokens, place):
            news.setdefault(title, []).append(token)
    return tuple(
        Release(
            "" if title == _UNRELEASED else title,
            mark_safe(markdown.renderer.render(found, markdown.options, {})),  # noqa: S308 - our own file, without HTML
        )
        for title, found in news.items()
    )


def _is_of_a_heading(tokens: list[Token], place: int) -> bool:
    return tokens[place].type == "heading_close" or tokens[place - 1].type == "heading_open"
