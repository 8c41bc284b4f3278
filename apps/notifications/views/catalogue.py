"""The public page of events that webhooks get, each with its example, and how to verify them."""

import json
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.notifications.channels.webhook import event_of
from apps.notifications.kinds import LISTED, Kind
from apps.notifications.rendering import Message, message_make
from apps.tenants.selectors import TenantInfo

_AT = datetime(2026, 11, 24, 10, 4, tzinfo=UTC)
_TENANT = TenantInfo(0, "acme", "Acme", "UTC", 1, None, _AT)


@require_safe
def catalogue(request: HttpRequest) -> HttpResponse:
    events = [(kind, json.dumps(event_of(_example(kind)), indent=2, ensure_ascii=False)) for kind in LISTED]
    return render(request, "notifications/catalogue.html", {"section": "docs", "page": "webhooks", "events": events})


def _example(kind: Kind) -> Message:
    return message_make(message_id="msg_1", kind=kind, tenant=_TENANT, context=kind.example, at=_AT)
