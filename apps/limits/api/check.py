"""POST /api/v1/check and its companions: the check API through Django, for those who have no door."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from apps.limits.api import schema
from apps.limits.api.door import DoorView
from apps.limits.judge import Asked, judge
from ratelimiter.engine.wire.render import Answer

_AUTH: list[Any] = [{"apiKey": []}]


class CheckView(DoorView):
    @extend_schema(
        operation_id="check",
        summary="May this request pass?",
        description="200: it may. 429 with `RL-Decision: deny`: it may not. Everything else says `RL-Decision: none`.",
        tags=["check"],
        parameters=[schema.IDEMPOTENCY_KEY],
        request=schema.CHECK_REQUEST,
        responses=schema.CHECK_RESPONSES,
        examples=schema.EXAMPLES,
        auth=_AUTH,
    )
    def post(self, request: Request) -> HttpResponse:
        return self.answer(request)

    def judge(self, asked: Asked, **path: str) -> Answer:
        return judge().check(asked)


class ExplainView(DoorView):
    @extend_schema(
        operation_id="explain",
        summary="What would a check meet, rule by rule?",
        description="Takes the body of a check, counts nothing, and says of every enabled rule of the namespace "
        "whether it matches and why. Always 200 for a body that is valid; it is no answer to the check.",
        tags=["check"],
        request=schema.CHECK_REQUEST,
        responses=schema.EXPLAIN_RESPONSES,
        auth=_AUTH,
    )
    def post(self, request: Request) -> HttpResponse:
        return self.answer(request)

    def judge(self, asked: Asked, **path: str) -> Answer:
        return judge().explain(asked)


class RefundView(DoorView):
    @extend_schema(
        operation_id="refund",
        summary="Give back what a check took",
        description="For checks that were made with `refundable: true`, an Idempotency-Key, or under a concurrency "
        "rule, within their window and at most a day. Gives back once: asked again, it says how much it was. Needs "
        "the scope `refund`. The plan’s checks are not given back.",
        tags=["check"],
        request=schema.REFUND_REQUEST,
        responses=schema.REFUND_RESPONSES,
        auth=_AUTH,
    )
    def post(self, request: Request, check_id: str) -> HttpResponse:
        return self.answer(request, check_id=check_id)

    def judge(self, asked: Asked, **path: str) -> Answer:
        return judge().refund(asked, check_id=path["check_id"])


class ReleaseView(DoorView):
    @extend_schema(
        operation_id="release",
        summary="End what a check began",
        description="Frees the slots that a check took under concurrency rules. Asked again, it changes nothing.",
        tags=["check"],
        request=None,
        responses=schema.RELEASE_RESPONSES,
        auth=_AUTH,
    )
    def post(self, request: Request, check_id: str) -> HttpResponse:
        return self.answer(request, check_id=check_id)

    def judge(self, asked: Asked, **path: str) -> Answer:
        return judge().release(asked, check_id=path["check_id"])
