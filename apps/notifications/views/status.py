"""The public status page: what is not well now, and what was not in the last 90 days."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.notifications.announcing import announcements_open, announcements_past
from apps.notifications.house.models import Announcement


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    unresolved = announcements_open()
    affected = {one.component for one in unresolved if one.state != Announcement.State.SCHEDULED}
    context = {
        "section": "status",
        "open": unresolved,
        "past": announcements_past(now=timezone.now()),
        "components": [(component.label, component.value in affected) for component in Announcement.Component],
        "is_well": not affected,
    }
    return render(request, "notifications/status_page.html", context)
