"""Alerts and dashboards speak of metrics that are served, each alert fires on its own trouble, and the docs know it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from ops.manifests import ROOT
from ops.monitoring import FOREIGN, TARGET, alerts, exported, expressions, rules, uses

OPERATIONS = (ROOT / "docs/operations.md").read_text()
RISING = "0+{step}x800"  # every 30 s


def histogram(metric: str, labels: str, fast: int, slow: int) -> dict[str, str]:
    """Of two kinds of request: those that take a second, and those that take 50 s."""
    series = {
        f'{metric}_bucket{{{labels}, le="{le}"}}': RISING.format(step=fast if float(le) < 60 else fast + slow)
        for le in ("1", "30", "60", "inf")
    }
    return {name.replace('"inf"', '"+Inf"'): values for name, values in series.items()}


POST = 'service="gateway", method="POST"'
QUIET = {
    **{f'up{{job="{job}", instance="a"}}': "1x1000" for job in ("gateway", "perception", "semantics", "reasoner")},
    'gateway_upstream_ready{instance="a", upstream="reasoner"}': "1x1000",
    'gateway_upstream_ready{instance="b", upstream="reasoner"}': "0x1000",
    f'http_request_seconds_count{{{POST}, status="200"}}': RISING.format(step=100),
    f'http_request_seconds_count{{{POST}, status="503"}}': RISING.format(step=0),
    **histogram("http_request_seconds", POST, 100, 0),
    **histogram("gateway_stage_seconds", 'stage="perception"', 100, 0),
    'http_problems_total{service="gateway", code="internal"}': "0x800",
    'http_problems_total{service="gateway", code="overloaded"}': "0x800",
    'perception_queue_depth{job="perception"}': "1x800",
    'admission_waiting{job="gateway"}': "3 3 0 3 3 0 " * 130,
    'engine_breaker_open{engine="vlm"}': "0x800",
    'engine_calls_total{engine="vlm", outcome="ok"}': RISING.format(step=100),
    'engine_calls_total{engine="vlm", outcome="unavailable"}': RISING.format(step=1),
    'engine_cost_usd_total{engine="vlm"}': RISING.format(step=0.01),
    'vllm:kv_cache_usage_perc{job="llm"}': "0.5x800",
    'gateway_store_reads_total{kind="proposals", result="hit"}': RISING.format(step=10),
    'gateway_store_reads_total{kind="proposals", result="miss"}': RISING.format(step=10),
    'perception_out_of_memory_halvings_total{instance="a"}': "0x800",
    'perception_device_memory_bytes{kind="allocated", instance="a"}': "4e9x800",
}
# Alert -> what is otherwise where it fires.
FIRES = {
    "ServiceDown": {'up{job="gateway", instance="a"}': "0x800"},
    "ServiceNotReady": {'gateway_upstream_ready{instance="a", upstream="reasoner"}': "0x800"},
    "InternalErrors": {'http_problems_total{service="gateway", code="internal"}': "0x90 1x100"},
    "FailedAnswers": {f'http_request_seconds_count{{{POST}, status="503"}}': RISING.format(step=10)},
    "SlowAnswers": histogram("http_request_seconds", POST, 90, 10),
    "SlowStage": histogram("gateway_stage_seconds", 'stage="perception"', 90, 10),
    "PerceptionQueueLong": {'perception_queue_depth{job="perception"}': "9x800"},
    "Saturated": {'admission_waiting{job="gateway"}': "3x800"},
    "Shedding": {'http_problems_total{service="gateway", code="overloaded"}': RISING.format(step=5)},
    "EngineUnreachable": {'engine_breaker_open{engine="vlm"}': "1x800"},
    "EngineErrors": {'engine_calls_total{engine="vlm", outcome="unavailable"}': RISING.format(step=10)},
    "EngineRateLimited": {'engine_calls_total{engine="vlm", outcome="rate_limited"}': RISING.format(step=1)},
    "EngineInvalidAnswers": {'engine_calls_total{engine="vlm", outcome="invalid"}': RISING.format(step=30)},
    "EngineCacheFull": {'vllm:kv_cache_usage_perc{job="llm"}': "0.99x800"},
    "CostHigh": {'engine_cost_usd_total{engine="vlm"}': RISING.format(step=1)},
    "StoreFailing": {'gateway_store_reads_total{kind="twin", result="unavailable"}': RISING.format(step=1)},
    "ProposalsNotCached": {'gateway_store_reads_total{kind="proposals", result="hit"}': "0x800"},
    "DeviceOutOfMemory": {'perception_out_of_memory_halvings_total{instance="a"}': "0x90 2x100"},
    "DeviceMemoryGrows": {'perception_device_memory_bytes{kind="allocated", instance="a"}': "4e9+1e7x1000"},
}


def test_every_expression_speaks_of_metrics_and_labels_that_are_served() -> None:
    known = exported() | FOREIGN
    faults = []
    for where, expression in expressions().items():
        used = uses(expression)
        assert used, where
        faults += [f"{where}: no service serves {use.metric}" for use in used if use.metric not in known]
        labels = {label for use in used for label in known.get(use.metric, ())} | TARGET
        faults += [f"{where}: no label {label}" for use in used for label in use.labels - labels]
    assert faults == []


def test_the_table_of_the_docs_has_every_metric() -> None:
    told = set(re.findall(r"^\| `([a-z_]+)` \| (?:counter|gauge|histogram) ", OPERATIONS, re.MULTILINE))
    assert told == {re.sub(r"_(bucket|count|sum)$", "", name) for name in exported()}


def test_a_wrong_expression_is_noticed() -> None:
    [use, other] = uses('sum by (engin) (rate(engine_calls{outcom="ok"}[5m])) > 0.5 and up == 1')
    assert (use.metric, use.labels) == ("engine_calls", frozenset({"outcom", "engin"}))
    assert other.metric == "up"


def test_the_docs_say_what_to_do_for_each_alert() -> None:
    for alert in alerts():
        name = alert["alert"]
        assert alert["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"
        assert f"\n### {name}\n" in OPERATIONS


def test_each_alert_fires_on_its_own_trouble_and_none_on_a_quiet_day(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool: apt-get install prometheus")
    assert set(FIRES) == {alert["alert"] for alert in alerts()}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules()))
    tests = [day("a quiet day", QUIET, [])]
    tests += [day(alert, QUIET | trouble, [alert]) for alert, trouble in FIRES.items()]
    tests += [day("no pod at all", QUIET | {'up{job="reasoner", instance="a"}': "_x800"}, ["ServiceDown"])]
    (tmp_path / "tests.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": tests}))
    done = subprocess.run([promtool, "test", "rules", "tests.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def day(name: str, series: dict[str, str], firing: list[str]) -> dict[str, object]:
    """A test of promtool: which alerts fire, of all."""
    at = {"DeviceMemoryGrows": "8h", "ProposalsNotCached": "3h", "a quiet day": "3h"}.get(name, "50m")
    expect = [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in firing]
    check = {"expr": 'group by (alertname) (ALERTS{alertstate="firing"})', "eval_time": at, "exp_samples": expect}
    given = [{"series": key, "values": values.strip()} for key, values in series.items()]
    return {"interval": "30s", "name": name, "input_series": given, "promql_expr_test": [check]}
