"""Alerts and the dashboard name metrics that there are, and compose mounts files that there are."""

import inspect
import json
import re
from pathlib import Path

import msgspec
import pytest
import yaml
from django_prometheus.middleware import Metrics
from prometheus_client import REGISTRY

from config.env import Env
from ratelimiter.door import metrics, wiring
from ratelimiter.events import ship

DOCKER = Path(__file__).resolve().parent.parent / "docker"
ALERTS = yaml.safe_load((DOCKER / "prometheus/alerts.yml").read_text())
DASHBOARD = json.loads((DOCKER / "grafana/ratelimiter.json").read_text())
NAME = re.compile(r"\b(?:ratelimiter|django)_[a-z_]+")
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]


def told():
    """Names as Prometheus has them, by reading where doors and shippers name theirs."""
    counted = re.findall(r'count\(\s*"([a-z_]+)"', inspect.getsource(metrics) + inspect.getsource(wiring))
    held = re.findall(r'gauge\(\s*"([a-z_]+)"', inspect.getsource(wiring))
    readings = inspect.getsource(ship._Readings)
    shipped = re.findall(r'^ +\("([a-z_]+)", "', readings, re.MULTILINE)
    names = {f"ratelimiter_door_{name}_total" for name in counted} | {f"ratelimiter_door_{name}" for name in held}
    names |= {f"ratelimiter_ship_{name}" for name in shipped} | {"ratelimiter_door_answers_total"}
    Metrics.get_instance()  # as the portal's middleware does
    for family in REGISTRY.collect():
        names |= {family.name, *(f"{family.name}_{end}" for end in ("total", "bucket", "sum", "count"))}
    return names


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_are_told(rule, transactional_db):
    asked = set(NAME.findall(rule["expr"]))
    assert asked or "up{" in rule["expr"]
    assert asked <= told()
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_a_panel_asks_for_metrics_that_are_told(panel, transactional_db):
    for target in panel["targets"]:
        asked = set(NAME.findall(target["expr"]))
        assert asked
        assert asked <= told()


def test_what_compose_mounts_is_there():
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    mounted = [
        mount.split(":")[0]
        for service in compose["services"].values()
        for mount in service.get("volumes", ())
        if mount.startswith("./")
    ]
    assert len(mounted) >= 5
    assert [path for path in mounted if not (DOCKER / path).exists()] == []
    for service in compose["services"].values():
        wanted = service.get("depends_on", ())
        assert set(wanted) <= set(compose["services"])


def test_what_compose_asks_of_its_environment_is_in_the_example():
    asked = set(re.findall(r"\$\{([A-Z_]+):[?-]", (DOCKER / "compose.yaml").read_text()))
    given = set(re.findall(r"^([A-Z_]+)=", (DOCKER / "env.example").read_text(), re.MULTILINE))
    assert asked == given


# What compose says by itself, or leaves as it is.
NOT_GIVEN = {
    "database_ingest_role", "events_url", "ingest_workers", "stripe_api_base", "stripe_mirror",
    "example_key", "debug", "export_dir", "spool_dir", "spool_max_bytes", "email_folder", "email_provider",
    "email_api_key", "log_level", "log_format",
}  # fmt: skip


def test_compose_gives_the_control_plane_what_it_can_be_told():
    given = {name.lower() for name in re.findall(r"([A-Z_]+): ", (DOCKER / "compose.yaml").read_text())}
    assert {field.name for field in msgspec.structs.fields(Env)} - given == NOT_GIVEN
