"""Where secret scanners report keys that they found; they sign, so they need no login."""

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from apps.apikeys.leaks import leaks_handle, report_read, report_verify
from apps.core.errors import ApplicationError

MAX_BODY = 1_000_000


@csrf_exempt
@require_POST
def report(request: HttpRequest) -> JsonResponse:
    if int(request.headers.get("Content-Length") or 0) > MAX_BODY:
        return JsonResponse({"code": "too_large"}, status=413)
    try:
        report_verify(
            request.body,
            key_id=request.headers.get("Github-Public-Key-Identifier", ""),
            signature=request.headers.get("Github-Public-Key-Signature", ""),
        )
        answers = leaks_handle(report_read(request.body), now=timezone.now())
    except ApplicationError as error:
        return JsonResponse({"code": error.code, "detail": error.detail}, status=error.status)
    return JsonResponse(answers, safe=False)
