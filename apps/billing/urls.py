from django.urls import path

from apps.billing import views, webhooks

app_name = "billing"

urlpatterns = [
    path("stripe/webhook", webhooks.webhook, name="stripe_webhook"),
    path("t/<slug:slug>/plan/change", views.plans, name="plans"),
    path("t/<slug:slug>/plan/bought", views.bought, name="bought"),
    path("t/<slug:slug>/plan/portal", views.portal, name="portal"),
    path("t/<slug:slug>/bill", views.bill, name="bill"),
    path("t/<slug:slug>/bill.csv", views.bill_csv, name="bill_csv"),
]
