"""What belongs to no room: the theme, the bundled assets, and the pages for when something went wrong."""

import json
from http import HTTPStatus

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_POST, require_safe

from apps.core.bundles import BundleUnknown, bundle
from apps.core.catalogue import CATALOGUE
from apps.core.changelog import releases
from apps.core.context import THEMES, appearance
from apps.core.errors import problem_document

_YEAR_S = 31_536_000


@require_POST
def theme_set(request: HttpRequest) -> HttpResponse:
    """Anybody may choose how pages look; the choice is a cookie."""
    theme = request.POST.get("theme", "")
    if theme not in THEMES:
        return HttpResponseBadRequest("theme is system, light or dark")
    response = HttpResponseRedirect(_back(request))
    response.set_cookie("theme", theme, max_age=_YEAR_S, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE)
    return response


@require_safe
@gzip_page
def asset(request: HttpRequest, digest: str, name: str) -> HttpResponse:  # noqa: ARG001 - Django passes it
    try:
        found = bundle(name)
    except BundleUnknown:
        raise Http404 from None
    response = HttpResponse(found.content, content_type=f"{found.media_type}; charset=utf-8")
    # A page of the version before asks with its digest; it gets today's content, but may not keep it under that name.
    is_exact = digest == found.digest
    response["Cache-Control"] = f"public, max-age={_YEAR_S}, immutable" if is_exact else "no-cache"
    return response


@require_safe
def changelog(request: HttpRequest) -> HttpResponse:
    """Open to everybody."""
    return render(request, "docs/changelog.html", {"section": "docs", "page": "changelog", "releases": releases()})


@require_safe
def problems(request: HttpRequest) -> HttpResponse:
    """Open to everybody."""
    context = {"section": "docs", "page": "errors", "problems": sorted(CATALOGUE.items())}
    return render(request, "docs/problems.html", context)


@require_safe
def problem(request: HttpRequest, code: str) -> HttpResponse:
    """Open to everybody: what the `type` of a problem document leads to."""
    known = CATALOGUE.get(code)
    if known is None:
        raise Http404
    document = problem_document(known.status, code, known.example, known.fields)
    example = json.dumps(document, indent=2, ensure_ascii=False)
    context = {
        "section": "docs", "page": "errors", "code": code, "problem": known, "example": example,
        "phrase": HTTPStatus(known.status).phrase,
    }  # fmt: skip
    return render(request, "docs/problem.html", context)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    return render(request, "errors/400.html", status=400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "errors/403.html", {"reason": str(exception)}, status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    return render(request, "errors/csrf.html", status=403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    return render(request, "errors/404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Rendered without request and context processors: whatever failed may fail again."""
    return HttpResponse(render_to_string("errors/500.html", appearance(request)), status=500)


def _back(request: HttpRequest) -> str:
    target = request.POST.get("next", "")
    return target if url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}) else "/"
