"""Addresses of the API that lead nowhere."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.core.errors import NotFound
from apps.core.negotiation import AnyAccept


@extend_schema(exclude=True)
class UnknownView(APIView):
    """A program that mistypes an address is told in its own language, whatever method it uses."""

    authentication_classes = ()
    permission_classes = ()
    content_negotiation_class = AnyAccept

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raises NotFound."""
        super().initial(request, *args, **kwargs)
        raise NotFound("There is nothing at this address. /api/docs has those that there are.")  # keys stand in some
