"""What every page needs to know before it says anything of its own."""

from django.conf import settings
from django.http import HttpRequest

from apps.core.bundles import bundle

THEMES = ("system", "light", "dark")


def appearance(request: HttpRequest) -> dict[str, str]:
    theme = request.COOKIES.get("theme", "system")
    return {
        "theme": theme if theme in THEMES else "system",
        "css_digest": bundle("app.css").digest,
        "js_digest": bundle("app.js").digest,
        "check_url": settings.CHECK_URL,
    }
