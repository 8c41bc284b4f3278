"""What anybody may read: the landing page and the docs."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.limits.algorithms import ALGORITHMS


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """Open to everybody."""
    return render(request, "site/landing.html", {"algorithms": ALGORITHMS, "example_key": settings.EXAMPLE_KEY})


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Open to everybody."""
    context = {"section": "docs", "page": "quickstart", "portal_url": settings.PORTAL_URL}
    return render(request, "docs/quickstart.html", context)


@require_safe
def docs_concepts(request: HttpRequest) -> HttpResponse:
    """Open to everybody."""
    return render(request, "docs/concepts.html", {"section": "docs", "page": "concepts"})


@require_safe
def docs_algorithms(request: HttpRequest) -> HttpResponse:
    """Open to everybody."""
    context = {"section": "docs", "page": "algorithms", "algorithms": ALGORITHMS}
    return render(request, "docs/algorithms.html", context)
