"""Staff's view of one tenant's rules, through the same services as the portal."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.postgres.forms import SimpleArrayField
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from apps.core.errors import Invalid
from apps.core.forms import errors_take
from apps.limits.models import Rule
from apps.limits.services import rule_create, rule_delete, rule_update
from apps.limits.specs import RuleSpec, spec_verify, window_words
from apps.plans.selectors import PlanForbids, entitlements_of, rule_type_require
from apps.tenants.staff import ScopedAdmin
from ratelimiter.engine.rules import Algorithm, FailurePolicy, RuleMode, RuleType

_FIELDS = (
    "name", "namespace", "type", "match", "key", "algorithm", "limit", "window_ms", "burst", "mode", "on_failure",
    "priority", "enabled", "ipv6_prefix",
)  # fmt: skip


def _choices(of: type[Algorithm | FailurePolicy | RuleMode | RuleType]) -> list[tuple[str, str]]:
    return [(value.value, value.value) for value in of]


class RuleAdminForm(forms.ModelForm):  # type: ignore[type-arg]
    """`tenant_id` is set by RuleAdmin.get_form; what is valid depends on the tenant."""

    tenant_id: int

    type = forms.ChoiceField(choices=_choices(RuleType), widget=UnfoldAdminSelectWidget)
    algorithm = forms.ChoiceField(choices=_choices(Algorithm), widget=UnfoldAdminSelectWidget)
    mode = forms.ChoiceField(choices=_choices(RuleMode), widget=UnfoldAdminSelectWidget)
    on_failure = forms.ChoiceField(choices=_choices(FailurePolicy), widget=UnfoldAdminSelectWidget)
    match = forms.JSONField(
        required=False, initial=dict, widget=UnfoldAdminTextareaWidget, help_text="routes, ips, users, attributes"
    )
    key = SimpleArrayField(
        forms.CharField(max_length=80),
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Of custom rules; comma-separated.",
    )

    class Meta:
        model = Rule
        fields = _FIELDS

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if self.errors:
            return data
        try:
            spec_verify(self.spec())
            rule_type_require(entitlements_of(self.tenant_id), data["type"])
            self._name_verify()
        except (Invalid, PlanForbids) as error:
            errors_take(self, error, {"window": "window_ms"})
        return data

    def validate_constraints(self) -> None:
        """The specification has said it already, in words."""

    def spec(self) -> RuleSpec:
        data = dict(self.cleaned_data) | {"match": self.cleaned_data["match"] or {}}
        key = tuple(data.pop("key") or ())
        return RuleSpec(**data, key=key if data["type"] == "custom" else None)

    def _name_verify(self) -> None:
        same = Rule.objects.filter(
            tenant_id=self.tenant_id, namespace=self.cleaned_data["namespace"], name=self.cleaned_data["name"]
        )
        if same.exclude(id=self.instance.pk or 0).exists():
            raise Invalid("The name is taken.", fields={"name": "This tenant has a rule of that name."})


@admin.register(Rule)
class RuleAdmin(ScopedAdmin, ModelAdmin):  # type: ignore[misc]
    form = RuleAdminForm
    fields = _FIELDS
    list_display = ("name", "namespace", "type", "limit", "window", "algorithm", "mode", "enabled", "priority")
    list_filter = ("type", "mode", "enabled")
    search_fields = ("name", "namespace")
    ordering = ("namespace", "-priority", "id")

    @admin.display(description="Window", ordering="window_ms")
    def window(self, rule: Rule) -> str:
        return window_words(rule.window_ms)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002
        tenant_id = self.tenant_of(request).id
        return type("TenantRuleForm", (super().get_form(request, obj, change, **kwargs),), {"tenant_id": tenant_id})

    def save_model(self, request: HttpRequest, obj: Rule, form: RuleAdminForm, change: bool) -> None:  # noqa: FBT001
        tenant_id = self.tenant_of(request).id
        if change:
            rule_update(tenant_id=tenant_id, rule_id=obj.pk, spec=form.spec())
            return
        obj.tenant_id = tenant_id
        obj.pk = rule_create(tenant_id=tenant_id, spec=form.spec()).id

    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        rule_delete(tenant_id=self.tenant_of(request).id, rule_id=obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        for rule in queryset:
            self.delete_model(request, rule)
