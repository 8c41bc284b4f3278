"""Between a form and a service: what the service refuses stands beside the field it is about."""

from django.forms import Form

from apps.core.errors import ApplicationError


def errors_take(form: Form, error: ApplicationError) -> None:
    """What concerns a field of this form goes there, the rest above the form."""
    placed = False
    for name, text in error.fields.items():
        field = name.replace("/", ".").split(".")[0]
        if field in form.fields:
            form.add_error(field, text)
            placed = True
    if not placed:
        form.add_error(None, " ".join([error.detail, *error.fields.values()]))
