from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.plans.cards import plan_card
from apps.plans.selectors import plans_all


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    """Open to everybody."""
    cards = [plan_card(plan) for plan in plans_all()]
    return render(request, "site/pricing.html", {"section": "pricing", "plans": cards})
