from contextlib import closing

import pytest

from apps.analytics.ingest.database import connect


@pytest.fixture
def metering(transactional_db):
    """The metering role's connection."""
    with closing(connect()) as connection:
        yield connection
