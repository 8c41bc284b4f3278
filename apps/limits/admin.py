"""Staff's view of one tenant's rules, overrides and shards, through the same services as the portal."""

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
from apps.limits.models import MAX_VALUE, Override, Rule, Sharding
from apps.limits.override_services import override_delete, override_put
from apps.limits.overrides import OverrideSpec, override_verify
from apps.limits.selectors import rule_get
from apps.limits.services import rule_create, rule_delete, rule_update, sharding_set
from apps.limits.specs import RuleSpec, spec_verify, window_words
from apps.plans.selectors import PlanForbids, entitlements_of, rule_type_require
from apps.tenants.staff import ScopedAdmin
from ratelimiter.engine.rules import Action, Algorithm, CalendarUnit, FailurePolicy, RuleMode, RuleType

_FIELDS = (
    "name", "namespace", "type", "match", "key", "algorithm", "limit", "window_ms", "burst", "mode", "on_failure",
    "priority", "enabled", "ipv6_prefix", "action", "calendar_unit", "calendar_zone", "calendar_anchor",
    "escalation_breaches", "escalation_within_ms", "escalation_block_ms", "lease",
)  # fmt: skip


def _choices(
    of: type[Action | Algorithm | CalendarUnit | FailurePolicy | RuleMode | RuleType],
) -> list[tuple[str, str]]:
    return [(value.value, value.value) for value in of]


class RuleAdminForm(forms.ModelForm):  # type: ignore[type-arg]
    """`tenant_id` is set by RuleAdmin.get_form; what is valid depends on the tenant."""

    tenant_id: int

    type = forms.ChoiceField(choices=_choices(RuleType), widget=UnfoldAdminSelectWidget)
    algorithm = forms.ChoiceField(choices=_choices(Algorithm), widget=UnfoldAdminSelectWidget)
    mode = forms.ChoiceField(choices=_choices(RuleMode), widget=UnfoldAdminSelectWidget)
    on_failure = forms.ChoiceField(choices=_choices(FailurePolicy), widget=UnfoldAdminSelectWidget)
    action = forms.ChoiceField(choices=_choices(Action), initial="limit", widget=UnfoldAdminSelectWidget)
    calendar_unit = forms.ChoiceField(
        choices=[("", "none"), *_choices(CalendarUnit)], required=False, widget=UnfoldAdminSelectWidget
    )
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
    list_display = (
        "name",
        "namespace",
        "action",
        "type",
        "limit",
        "window",
        "algorithm",
        "mode",
        "enabled",
        "priority",
    )
    list_filter = ("action", "type", "mode", "enabled")
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


class OverrideAdminForm(forms.ModelForm):  # type: ignore[type-arg]
    rule_id = forms.TypedChoiceField(coerce=int, label="Rule", widget=UnfoldAdminSelectWidget)
    values = SimpleArrayField(
        forms.CharField(max_length=MAX_VALUE),
        widget=UnfoldAdminTextInputWidget,
        help_text="One for each of the rule's dimensions, comma-separated.",
    )

    class Meta:
        model = Override
        fields = ("rule_id", "values", "limit", "burst", "expires_at", "note")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_new = self.instance._state.adding  # noqa: SLF001 - its id is an expression, not a number
        self._held_id = 0 if is_new else self.instance.pk
        self.fields["limit"].help_text = "0 blocks, empty is unlimited."
        rules = Rule.objects.filter(key__len__gt=0).order_by("namespace", "name")
        choices = [(rule.id, f"{rule.namespace}/{rule.name} ({', '.join(rule.key)})") for rule in rules]
        if self._held_id:
            choices = [choice for choice in choices if choice[0] == self.instance.rule_id]
            self.initial["rule_id"] = self.instance.rule_id
        self.fields["rule_id"].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not self.errors:
            rule = Rule.objects.get(id=data["rule_id"])
            try:
                verified = override_verify(self.spec(), rule)
                self._values_verify(rule, verified)
            except Invalid as error:
                fields = {name.partition(".")[0]: text for name, text in error.fields.items()}
                errors_take(self, Invalid(error.detail, fields=fields))
        return data

    def validate_constraints(self) -> None:
        """The specification has said it already, in words."""

    def spec(self) -> OverrideSpec:
        data = self.cleaned_data
        return OverrideSpec(tuple(data["values"]), data["limit"], data["burst"] or 0, data["expires_at"], data["note"])

    def _values_verify(self, rule: Rule, verified: OverrideSpec) -> None:
        same = Override.objects.filter(rule_id=rule.id, values=list(verified.values))
        if same.exclude(id=self._held_id).exists():
            raise Invalid("They are taken.", fields={"values": "The rule has an override for these values."})


@admin.register(Override)
class OverrideAdmin(ScopedAdmin, ModelAdmin):  # type: ignore[misc]
    form = OverrideAdminForm
    fields = ("rule_id", "values", "limit", "burst", "expires_at", "note")
    list_display = ("__str__", "rule", "limit", "expires_at", "note")
    search_fields = ("values", "note")
    ordering = ("rule_id", "values")

    @admin.display(description="Rule", ordering="rule_id")
    def rule(self, override: Override) -> str:
        return rule_get(tenant_id=override.tenant_id, rule_id=override.rule_id).name

    def save_model(self, request: HttpRequest, obj: Override, form: OverrideAdminForm, change: bool) -> None:  # noqa: FBT001
        obj.tenant_id = self.tenant_of(request).id
        held = override_put(
            tenant_id=obj.tenant_id,
            rule_id=form.cleaned_data["rule_id"],
            spec=form.spec(),
            override_id=obj.pk if change else None,
        )
        obj.pk = held.id

    def delete_model(self, request: HttpRequest, obj: Override) -> None:
        override_delete(tenant_id=self.tenant_of(request).id, rule_id=obj.rule_id, override_id=obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Override]) -> None:
        for override in queryset:
            self.delete_model(request, override)


class ShardingAdminForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Sharding
        fields = ("shards", "dimension")
        help_texts = {
            "shards": "1 to 64. Changing it starts new counters for every rule, and for the quota: what was counted in "
            "this window counts no more. A limit that is not counted by the dimension must be at least 100 a shard.",
            "dimension": "ip, route, user or attributes.<name>: what most rules count by. Those stay exact; others are "
            "split evenly.",
        }

    def validate_constraints(self) -> None:
        """The service says it, in words."""


@admin.register(Sharding)
class ShardingAdmin(ScopedAdmin, ModelAdmin):  # type: ignore[misc]
    """At most one row; deleting it takes the tenant back to one slot."""

    form = ShardingAdminForm
    list_display = ("__str__", "shards", "dimension")

    def save_model(self, request: HttpRequest, obj: Sharding, form: ShardingAdminForm, change: bool) -> None:  # noqa: FBT001
        obj.tenant_id = self.tenant_of(request).id
        sharding_set(tenant_id=obj.tenant_id, shards=obj.shards, dimension=obj.dimension)
        obj.pk = Sharding.objects.get(tenant_id=obj.tenant_id).pk

    def delete_model(self, request: HttpRequest, obj: Sharding) -> None:
        sharding_set(tenant_id=self.tenant_of(request).id, shards=1, dimension=obj.dimension)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Sharding]) -> None:
        for sharding in queryset:
            self.delete_model(request, sharding)
