"""The portal's own style sheets and scripts, each kind in one response.

The sources stay small, one component or behaviour a file; a page asks for two files instead of forty. The order is the
cascade: tokens, reset, base, layout, then components by name. The address carries a digest of the content, so browsers
keep it for ever and never keep an old one.
"""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from django.conf import settings

_FIRST_SHEETS = ("tokens", "reset", "base", "layout")


@dataclass(frozen=True, slots=True)
class Bundle:
    content: str
    media_type: str
    digest: str


class BundleUnknown(LookupError):
    """There is no bundle of that name."""


def bundle(name: str) -> Bundle:
    """`app.css` or `app.js`; read anew while developing, once otherwise."""
    return _bundle_read(name) if settings.DEBUG else _bundle_kept(name)


def _bundle_read(name: str) -> Bundle:
    root = Path(settings.STATICFILES_DIRS[0])
    if name == "app.css":
        sheets = [root / "css" / f"{sheet}.css" for sheet in _FIRST_SHEETS]
        sheets += sorted((root / "css" / "components").glob("*.css"))
        return _bundle_of("\n".join(sheet.read_text() for sheet in sheets), "text/css")
    if name == "app.js":
        # A block each, so that two files may use the same names.
        scripts = [f"{{\n{script.read_text()}}}\n" for script in sorted((root / "js").glob("*.js"))]
        return _bundle_of("\n".join(scripts), "text/javascript")
    raise BundleUnknown(name)


_bundle_kept = lru_cache(maxsize=4)(_bundle_read)


def _bundle_of(content: str, media_type: str) -> Bundle:
    return Bundle(content, media_type, blake2b(content.encode(), digest_size=8).hexdigest())
