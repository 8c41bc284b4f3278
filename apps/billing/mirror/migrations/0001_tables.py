"""dj-stripe's tables as of 2.11, in one step and in the shared schema only.

Its own migrations change sixty tables that refer to each other one column at a time, and Django renders all of them
anew each time: 100 seconds, and as long again for every cell, which gets none of them. So here they only say what the
tables are. When dj-stripe has a newer migration, add its name to a further migration of this kind, with the
operations on the database that it needs.
"""

from importlib import import_module

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, migrations, router
from django.db.migrations.operations.base import Operation


class TablesCreate(Operation):
    def __init__(self, names):
        self.names = names

    def deconstruct(self):
        return self.__class__.__qualname__, [self.names], {}

    def describe(self):
        return "Create dj-stripe's tables"

    def state_forwards(self, app_label, state):
        if not router.allow_migrate(DEFAULT_DB_ALIAS, app_label):
            return  # in a cell, whose other migrations are then quicker, too
        state.__dict__.pop("apps", None)  # rendered again when it is wanted, instead of after each operation
        for name in self.names:
            for operation in import_module(f"djstripe.migrations.{name}").Migration.operations:
                operation.state_forwards(app_label, state)

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        for model in self._models(app_label, to_state):
            schema_editor.create_model(model)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        for model in reversed(self._models(app_label, from_state)):
            schema_editor.delete_model(model)

    @staticmethod
    def _models(app_label, state):
        if not router.allow_migrate(DEFAULT_DB_ALIAS, app_label):
            return []
        return list(state.apps.get_app_config(app_label).get_models())


class Migration(migrations.Migration):
    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [TablesCreate(["0001_initial", "0002_2_10", "0003_2_11"])]
