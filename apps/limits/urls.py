from django.urls import path

from apps.limits.views import find, onboarding, overrides, plan, rules, site

app_name = "limits"

urlpatterns = [
    path("", site.landing, name="landing"),
    path("docs/", site.docs, name="docs"),
    path("docs/concepts", site.docs_concepts, name="docs_concepts"),
    path("docs/algorithms", site.docs_algorithms, name="docs_algorithms"),
    path("t/<slug:slug>/find", find.find, name="find"),
    path("t/<slug:slug>/onboarding", onboarding.onboarding, name="onboarding"),
    path("t/<slug:slug>/plan", plan.plan, name="plan"),
    path("t/<slug:slug>/rules", rules.rules, name="rules"),
    path("t/<slug:slug>/rules/live", rules.live, name="rules_live"),
    path("t/<slug:slug>/rules/new", rules.create, name="rule_create"),
    path("t/<slug:slug>/rules/preview", rules.preview, name="rule_preview"),
    path("t/<slug:slug>/rules/<int:rule_id>", rules.rule, name="rule"),
    path("t/<slug:slug>/rules/<int:rule_id>/mode", rules.mode, name="rule_mode"),
    path("t/<slug:slug>/rules/<int:rule_id>/enabled", rules.enabled, name="rule_enabled"),
    path("t/<slug:slug>/rules/<int:rule_id>/delete", rules.delete, name="rule_delete"),
    path("t/<slug:slug>/rules/<int:rule_id>/overrides", overrides.overrides, name="overrides"),
    path("t/<slug:slug>/rules/<int:rule_id>/overrides/import", overrides.bring, name="overrides_import"),
    path("t/<slug:slug>/rules/<int:rule_id>/overrides/export", overrides.export, name="overrides_export"),
    path("t/<slug:slug>/rules/<int:rule_id>/overrides/<int:override_id>", overrides.override, name="override"),
    path(
        "t/<slug:slug>/rules/<int:rule_id>/overrides/<int:override_id>/delete",
        overrides.delete,
        name="override_delete",
    ),
]
