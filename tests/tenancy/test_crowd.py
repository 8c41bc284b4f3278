"""Two tenants of one cell, fifty threads each, and whatever goes wrong in the middle of a request: nobody ever sees or
changes a row of the other, also where connections are shared by PgBouncer.

CROWD_REQUESTS says how many requests each thread makes; `make test-long` asks for a thousand.
"""

import os
import random
import shutil
import subprocess
import threading
from collections import Counter
from io import StringIO

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction

from apps.core.scope import tenant_scope
from apps.limits.models import Rule
from tests.api.calling import Caller
from tests.database import owner_connection
from tests.door.rig import HOST, free_port, wait_until
from tests.factories import key_make, rule_make
from tests.people import Browser

REQUESTS = int(os.environ.get("CROWD_REQUESTS", "5"))
THREADS = 50
RULES = 6
PGBOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")

pytestmark = pytest.mark.django_db(transaction=True)


class Broken(Exception):
    """In the middle of a request."""


def pgbouncer(folder):
    """In transaction mode, with fewer connections than there are threads. Gives its port, and ends afterwards."""
    held, port = connection.settings_dict, free_port()
    (folder / "users.txt").write_text(f'"{held["USER"]}" "{held["PASSWORD"]}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{held['NAME']} = host={held['HOST']} port={held['PORT']}\n[pgbouncer]\n"
        f"listen_addr = {HOST}\nlisten_port = {port}\nunix_socket_dir =\nauth_type = plain\n"
        f"auth_file = {folder}/users.txt\npool_mode = transaction\ndefault_pool_size = 12\nmax_client_conn = 400\n"
    )
    command = [PGBOUNCER, "-q", str(folder / "pgbouncer.ini")]
    as_nobody = {}
    if os.geteuid() == 0:  # it refuses to be root
        folder.chmod(0o755)
        for parent in folder.parents[:3]:
            parent.chmod(parent.stat().st_mode | 0o055)
        as_nobody = {"user": "nobody"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_nobody)
    return process, port


@pytest.fixture(params=["direct", "pgbouncer"])
def way(request, transactional_db, tmp_path, settings):
    """How threads' connections reach PostgreSQL."""
    settings.API_LIMITER = "tests.api.calling.unlimited"
    if request.param == "direct":
        yield
        return
    if PGBOUNCER is None:
        pytest.skip("PgBouncer is not installed")
    process, port = pgbouncer(tmp_path)
    held = connections.settings["default"]
    before = held["HOST"], held["PORT"]
    held["HOST"], held["PORT"] = HOST, port
    try:
        wait_until(lambda: _answers(port), what="PgBouncer")
        yield
    finally:
        held["HOST"], held["PORT"] = before
        process.terminate()
        process.wait()


def _answers(port):
    held = connection.settings_dict
    try:
        psycopg.connect(host=HOST, port=port, user=held["USER"], password=held["PASSWORD"], dbname=held["NAME"]).close()
    except psycopg.OperationalError:
        return False
    return True


class Person:
    """What one tenant's threads do. Their rules have its name, and a limit that is its own remainder by 2."""

    def __init__(self, member, rest):
        self.member, self.rest = member, rest
        self.rules = [rule_make(member.tenant_id, name=f"{member.slug}-{n}", limit=10 + rest).id for n in range(RULES)]
        self.secret = key_make(member.tenant_id, scopes=["admin"]).secret
        self.done, self.wrong = Counter(), []

    def live(self, others, seed):
        chance = random.Random(seed)
        caller, browser = Caller(self.secret), Browser().into(self.member.email)
        doings = (self.list, self.page, self.change, self.reach, self.break_off, self.refused)
        try:
            for _ in range(REQUESTS):
                doing = chance.choice(doings)
                doing(caller, browser, chance, others)
                self.done[doing.__name__] += 1
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            self.wrong.append(error)
        finally:
            connections.close_all()

    def list(self, caller, browser, chance, others):
        names = [rule["name"] for rule in caller.get("rate-limits").json()["rules"]]
        assert names == [f"{self.member.slug}-{n}" for n in range(RULES)]

    def page(self, caller, browser, chance, others):
        page = browser.get(f"/t/{self.member.slug}/rules").content.decode()
        assert f"{self.member.slug}-0" in page
        assert f"{others.member.slug}-" not in page

    def change(self, caller, browser, chance, others):
        limit = chance.randrange(1, 1_000) * 2 + self.rest
        path = f"rate-limits/{chance.choice(self.rules)}"
        assert caller.patch(path, {"limit": limit}, If_Match="*").json()["limit"] == limit

    def reach(self, caller, browser, chance, others):
        path = f"rate-limits/{chance.choice(others.rules)}"
        caller.get(path, status=404)
        caller.patch(path, {"limit": 1}, status=404, If_Match="*")

    def break_off(self, caller, browser, chance, others):
        """A view that raises after it wrote, as one with a mistake would."""
        with pytest.raises(Broken):
            self._write_and_break(is_nested=chance.random() < 0.5)

    def _write_and_break(self, *, is_nested):
        with tenant_scope(self.member.tenant_id):
            assert Rule.objects.update(limit=4_000 + self.rest) == RULES
            if is_nested:
                with transaction.atomic():
                    raise Broken
            raise Broken

    def refused(self, caller, browser, chance, others):
        """Found wrong after the tenant was locked and read."""
        path = f"rate-limits/{chance.choice(self.rules)}"
        caller.patch(path, {"name": f"{self.member.slug}-{RULES}", "limit": 0}, status=400, If_Match="*")


def test_nobody_ever_meets_a_row_of_the_other(way, alice, bob, counters, sent):
    people = [Person(alice, 0), Person(bob, 1)]
    threads = [
        threading.Thread(target=people[place].live, args=[people[1 - place], number * 2 + place])
        for number in range(THREADS)
        for place in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [error for person in people for error in person.wrong] == []
    assert sum((person.done for person in people), Counter()).total() == 2 * THREADS * REQUESTS
    with owner_connection() as owner:
        cell = owner.execute(
            "SELECT c.schema_name FROM tenants_tenant t JOIN tenants_cell c ON c.id = t.cell_id WHERE t.id = %s",
            [alice.tenant_id],
        ).fetchone()[0]
        rows = owner.execute(f'SELECT tenant_id, name, "limit" FROM "{cell}".limits_rule').fetchall()
    assert len(rows) == 2 * RULES
    for tenant_id, name, limit in rows:
        [owner_of] = [person for person in people if person.member.tenant_id == tenant_id]
        assert name.startswith(f"{owner_of.member.slug}-")
        assert limit % 2 == owner_of.rest
        assert limit < 4_000
    out = StringIO()
    for person in people:
        call_command("verify_audit", "--tenant", person.member.slug, stdout=out)
