"""The schema `analytics`: what ingest writes, cut by time; and views in `public` that show the open scope's rows.

The application's role loses the schema, so that not even a partition made later can be read past the views. Views run
with the owner's rights; `security_barrier` keeps a caller's functions away from other tenants' rows.
"""

from django.conf import settings
from django.db import migrations


CHECK = """
    tenant_id bigint NOT NULL, at timestamptz NOT NULL, namespace text NOT NULL, live boolean NOT NULL,
    allowed bigint NOT NULL, denied bigint NOT NULL, shadow_denied bigint NOT NULL, degraded bigint NOT NULL,
    billable bigint NOT NULL, cost bigint NOT NULL, latency bigint[] NOT NULL,
    PRIMARY KEY (tenant_id, at, namespace, live)
"""
RULE = """
    tenant_id bigint NOT NULL, at timestamptz NOT NULL, rule_id bigint NOT NULL,
    allowed bigint NOT NULL, denied bigint NOT NULL, shadow_denied bigint NOT NULL, cost bigint NOT NULL,
    PRIMARY KEY (tenant_id, at, rule_id)
"""
# `digest` is an identifier's, or the id of an API key; 0 is everybody who is not among the first.
DIM = """
    tenant_id bigint NOT NULL, at timestamptz NOT NULL, dimension text NOT NULL, digest bigint NOT NULL,
    allowed bigint NOT NULL, denied bigint NOT NULL, cost bigint NOT NULL,
    PRIMARY KEY (tenant_id, at, dimension, digest)
"""
OFFENDER = """
    tenant_id bigint NOT NULL, at timestamptz NOT NULL, rule_id bigint NOT NULL, dimension text NOT NULL,
    digest bigint NOT NULL, denied bigint NOT NULL, shadow_denied bigint NOT NULL,
    PRIMARY KEY (tenant_id, at, rule_id, dimension, digest)
"""
# `weight`: how many checks the row stands for, more than 1 where a tenant's raw rows are sampled. `results` are
# ratelimiter.engine.applied.outcome_code's. Identifiers are digests; the dictionary has their text.
EVENT = """
    tenant_id bigint NOT NULL, at timestamptz NOT NULL, id text NOT NULL, key_id bigint NOT NULL, live boolean NOT NULL,
    mode text NOT NULL, allowed boolean NOT NULL, degraded boolean NOT NULL, reason text NOT NULL, cost bigint NOT NULL,
    latency_us bigint NOT NULL, namespace text NOT NULL, weight integer NOT NULL,
    ip bigint, route bigint, "user" bigint, attributes jsonb, results bigint[] NOT NULL
"""
CUT = {
    **{f"check_{grain}": CHECK for grain in ("minute", "hour", "day")},
    **{f"rule_{grain}": RULE for grain in ("minute", "hour", "day")},
    "dim_hour": DIM,
    "offender_hour": OFFENDER,
    "event": EVENT,
}

REST = """
CREATE INDEX event_tenant_at ON analytics.event (tenant_id, at);
CREATE INDEX event_id ON analytics.event (id);

-- How far ingest is. A row is a partition of the bus, and locking it is owning the partition. `stopped` says why nobody
-- may go on; '' is nothing.
CREATE TABLE analytics.consumer_offset (
    partition integer PRIMARY KEY, topic_id text NOT NULL DEFAULT '', position text NOT NULL DEFAULT '',
    stopped text NOT NULL DEFAULT '', updated_at timestamptz NOT NULL DEFAULT now()
);

-- The last number counted of each door process in each partition, and until when it was heard of.
CREATE TABLE analytics.ingest_source (
    boot text NOT NULL, partition integer NOT NULL, last_seq bigint NOT NULL, heard_at timestamptz NOT NULL,
    is_over boolean NOT NULL DEFAULT false, left_out_at timestamptz, PRIMARY KEY (boot, partition)
);
CREATE TABLE analytics.ingest_gap (
    boot text NOT NULL, partition integer NOT NULL, first_seq bigint NOT NULL, missing bigint NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (boot, partition, first_seq)
);
CREATE INDEX ingest_gap_found ON analytics.ingest_gap (found_at);

-- Checks on record that may come again are counted by who gets their row in here.
CREATE TABLE analytics.event_once (
    tenant_id bigint NOT NULL, id text NOT NULL, claimed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX event_once_claimed ON analytics.event_once (claimed_at);

CREATE TABLE analytics.dead_letter (
    partition integer NOT NULL, position text NOT NULL, number integer NOT NULL, reason text NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (partition, position, number)
);

-- Text of identifiers. Erasing a person is deleting rows here.
CREATE TABLE analytics.identifier (
    tenant_id bigint NOT NULL, digest bigint NOT NULL, kind text NOT NULL, value text NOT NULL,
    PRIMARY KEY (tenant_id, digest)
);

-- Before `until`, every check of every door that lives has been counted.
CREATE TABLE analytics.settled (one boolean PRIMARY KEY DEFAULT true CHECK (one), until timestamptz NOT NULL);
INSERT INTO analytics.settled (until) VALUES ('epoch');
-- Hours that got checks after they had settled.
CREATE TABLE analytics.late_hour (
    tenant_id bigint NOT NULL, at timestamptz NOT NULL, checks bigint NOT NULL, found_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, at)
);
-- How far dim_hour and offender_hour are folded from raw rows.
CREATE TABLE analytics.folded (one boolean PRIMARY KEY DEFAULT true CHECK (one), until timestamptz NOT NULL);
INSERT INTO analytics.folded (until) VALUES ('epoch');

-- The key of all identifier digests.
CREATE TABLE analytics.secret (one boolean PRIMARY KEY DEFAULT true CHECK (one), salt bytea NOT NULL);
INSERT INTO analytics.secret (salt)
    VALUES (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

CREATE TABLE analytics.preference (tenant_id bigint PRIMARY KEY, pseudonymise boolean NOT NULL DEFAULT false);
CREATE TABLE analytics.marker (
    id bigint PRIMARY KEY DEFAULT nextval('public.row_id'), tenant_id bigint NOT NULL, at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('deploy', 'rule')), text text NOT NULL
);
CREATE INDEX marker_tenant_at ON analytics.marker (tenant_id, at);
"""

SEEN = (*CUT, "identifier", "late_hour")  # read-only to a tenant
OWN = ("preference", "marker")  # a tenant's to write
SHARED = ("settled",)  # of the house, not of a tenant


def tables_make(apps, schema_editor):
    execute, role = schema_editor.execute, schema_editor.quote_name(settings.DATABASE_APPLICATION_ROLE)
    execute("CREATE SCHEMA analytics")
    execute(f"REVOKE ALL ON SCHEMA analytics FROM {role}")
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")
        has_timescale = cursor.fetchone() is not None
    for name, columns in CUT.items():
        if has_timescale:
            width = "1 day" if name.endswith("minute") or name == "event" else "1 month"
            execute(f"CREATE TABLE analytics.{name} ({columns})")
            execute(f"SELECT create_hypertable('analytics.{name}', by_range('at', INTERVAL '{width}'))")
        else:
            execute(f"CREATE TABLE analytics.{name} ({columns}) PARTITION BY RANGE (at)")
    execute(REST)
    for name in (*SEEN, *OWN, *SHARED):
        mine = "" if name in SHARED else "WHERE tenant_id = public.app_tenant()"
        check = "WITH CASCADED CHECK OPTION" if name in OWN else ""
        execute(
            f"CREATE VIEW public.analytics_{name} WITH (security_barrier) AS SELECT * FROM analytics.{name} {mine} {check}"
        )
        if name not in OWN:
            execute(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON public.analytics_{name} FROM {role}")


def tables_drop(apps, schema_editor):
    for name in (*SEEN, *OWN, *SHARED):
        schema_editor.execute(f"DROP VIEW public.analytics_{name}")
    schema_editor.execute("DROP SCHEMA analytics CASCADE")


class Migration(migrations.Migration):
    initial = True
    dependencies = [("tenants", "0002_scope")]


    operations = [migrations.RunPython(tables_make, tables_drop)]
