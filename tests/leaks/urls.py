from django.urls import path

from config.urls import urlpatterns as ours


def mistake(request):
    """Fails with secrets in its variables, in what it was sent and in what it says."""
    held = dict(request.POST.items())
    password = held.get("password", "")
    raise RuntimeError(f"{len(password)} {held.get('key')}")


mistake.csrf_exempt = True
urlpatterns = [path("mistake", mistake), *ours]
