from django.urls import path

from apps.billing import invoice_views, plan_views, views, webhooks

app_name = "billing"

urlpatterns = [
    path("stripe/webhook", webhooks.webhook, name="stripe_webhook"),
    path("t/<slug:slug>/plan/change", plan_views.plans, name="plans"),
    path("t/<slug:slug>/plan/change/<slug:code>", plan_views.change, name="change"),
    path("t/<slug:slug>/plan/keep", plan_views.keep, name="keep"),
    path("t/<slug:slug>/plan/trial", plan_views.trial, name="trial"),
    path("t/<slug:slug>/plan/bought", plan_views.bought, name="bought"),
    path("t/<slug:slug>/bill", views.bill, name="bill"),
    path("t/<slug:slug>/bill.csv", views.bill_csv, name="bill_csv"),
    path("t/<slug:slug>/invoices", invoice_views.invoices, name="invoices"),
    path("t/<slug:slug>/invoices/alerts", invoice_views.alerts, name="alerts"),
    path("t/<slug:slug>/invoices/contact", invoice_views.contact, name="contact"),
    path("t/<slug:slug>/invoices/portal", invoice_views.payment_portal, name="payment_portal"),
    path("t/<slug:slug>/invoices/back", invoice_views.payment_changed, name="payment_changed"),
]
