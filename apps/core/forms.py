"""Between a form and a service: what the service refuses stands beside the field it is about."""

from collections.abc import Mapping

from django.forms import BaseForm

from apps.core.errors import ApplicationError


def errors_take(form: BaseForm, error: ApplicationError, names: Mapping[str, str] | None = None) -> None:
    """What concerns a field goes there, the rest above the form; `names` translates the service's field names."""
    rest = []
    for name, text in error.fields.items():
        field = (names or {}).get(name, name)
        if field in form.fields:
            form.add_error(field, text)
        else:
            rest.append(text)
    if rest or not error.fields:
        form.add_error(None, " ".join(rest) or error.detail)
