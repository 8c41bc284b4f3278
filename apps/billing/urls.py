from django.urls import path

from apps.billing import views

app_name = "billing"

urlpatterns = [
    path("t/<slug:slug>/bill", views.bill, name="bill"),
    path("t/<slug:slug>/bill.csv", views.bill_csv, name="bill_csv"),
]
