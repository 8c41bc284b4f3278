"""A person's browser, as Django's test client is one."""

from django.test import Client

from tests.factories import PASSWORD


class Browser(Client):
    """The browser of one person."""

    def into(self, email):
        assert self.login(username=email, password=PASSWORD)
        return self
