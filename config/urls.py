"""Every address, one include a room."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

# The staff's login keeps to the same limits as everybody's.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

handler400 = "apps.core.views.bad_request"
handler403 = "apps.core.views.permission_denied"
handler404 = "apps.core.views.page_not_found"
handler500 = "apps.core.views.server_error"

urlpatterns = [
    path("accounts/", include("allauth.account.urls")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("api/", include("config.api")),
    path("staff/", admin.site.urls),
    path("", include("apps.core.urls")),
    path("", include("apps.tenants.urls")),
    path("", include("apps.plans.urls")),
    path("", include("apps.notifications.urls")),
    path("", include("apps.apikeys.urls")),
    path("", include("apps.limits.urls")),
    path("", include("apps.analytics.urls")),
    path("", include("apps.billing.urls")),
]
