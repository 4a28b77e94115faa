"""The OpenAPI description is complete, and the API keeps to it, whatever it is sent."""

from __future__ import annotations

import os
import re
from typing import Any

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from hybrid_runtime.api.app import description
from hybrid_runtime.resources.problem import Problem
from tests.integration.api.running import submit

DESCRIPTION = description()
OPERATIONS = [
    pytest.param(path, method, operation, id=operation["operationId"])
    for path, operations in DESCRIPTION["paths"].items()
    for method, operation in operations.items()
]
# A longer run by hand: API_EXAMPLES=500 pytest tests/integration/api/test_description.py
EXAMPLES = int(os.environ.get("API_EXAMPLES", "15"))


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_an_operation_is_described_to_the_end(path, method, operation):
    assert re.fullmatch(r"[a-z]+[A-Za-z]+", operation["operationId"])
    assert operation["summary"]
    assert len(operation["tags"]) == 1
    assert operation["description"].strip().endswith(".")
    for status, answer in operation["responses"].items():
        assert answer["description"]
        for media, content in answer.get("content", {}).items():
            assert content["schema"] != {}, (status, media)
            if status >= "400" and media == "application/problem+json":
                assert msgspec.convert(content["example"], Problem).status == int(status)
    if path.startswith("/v1/"):
        assert {"401", "422", "429", "500", "503"} <= set(operation["responses"])
        assert operation["security"] == [{"token": []}]
    if "requestBody" in operation:
        assert {"413", "415"} <= set(operation["responses"])
    for parameter in operation.get("parameters", []):
        assert parameter["description"], parameter["name"]


def test_operation_ids_are_unique():
    names = [param.id for param in OPERATIONS]
    assert len(names) == len(set(names))


def test_every_schema_of_an_answer_has_an_example_that_has_its_fields():
    schemas = DESCRIPTION["components"]["schemas"]
    used = set()
    for param in OPERATIONS:
        operation: Any = param.values[2]
        for answer in operation["responses"].values():
            for content in answer.get("content", {}).values():
                used.update(re.findall(r"schemas/(\w+)", str(content["schema"])))
    for name in used - {"Problem"}:
        (example,) = schemas[name]["examples"]
        assert set(example) == set(schemas[name]["properties"]), name


def test_the_description_is_served(api):
    assert api.client(None).get("/openapi.json").json() == DESCRIPTION


def test_the_page_for_people_shows_every_operation_and_fetches_nothing(api):
    answer = api.client(None).get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "<script" not in answer.text
    assert not re.search(r'(src|href)="(https?:)?//', answer.text)
    for param in OPERATIONS:
        assert f'id="{param.id}"' in answer.text


schema = schemathesis.openapi.from_dict(DESCRIPTION)


@pytest.fixture(scope="module")
def session(api):
    """Asks as an admin, whom nothing is forbidden, and names a job that exists where one is named."""
    submit(api.client("admin"))
    with httpx.Client() as client:
        yield client


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    deadline=None,
)
@pytest.mark.timeout(0)
def test_the_api_keeps_to_its_description(case, api, session):
    headers = {"Authorization": f"Bearer {api.secrets['admin']}"}
    # Not that all is accepted which fits the schema: a bundle has to be one, a backend has to be there.
    case.call_and_validate(base_url=api.url, headers=headers, timeout=30, excluded_checks=[positive_data_acceptance])
