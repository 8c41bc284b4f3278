"""What every answer says to browsers beside Django's own headers: nobody embeds us, and pages need no device."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

_NOTHING = (
    "accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "magnetometer", "microphone", "midi",
    "payment", "usb",
)  # fmt: skip
HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(
        [
            *(f"{name}=()" for name in _NOTHING),
            "publickey-credentials-get=(self)",
            "publickey-credentials-create=(self)",
        ]
    ),
}


class HeadersMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response
