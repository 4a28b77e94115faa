from __future__ import annotations

import pytest

from hybrid_runtime.protocol.bundles import Bundle
from tests.attacks.bundles import FORGED
from tests.attacks.conftest import PYTHON, bundle_of
from tests.attacks.table import MODULES, PAGE, page_with_table
from tests.attacks.toolbox import ATTACKS, REFUSED, Attack


def assert_undisturbed(neighbour, runtime):
    assert (neighbour["state"], neighbour["isolation"]) == ("completed", runtime.level), neighbour["text"]
    found = neighbour["result"]["found"]
    assert all(sum(counts) == 64 for counts in found)
    assert found == runtime.expect(found)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.number}-{attack.name}")
def test_the_attack_fails_and_its_neighbour_is_undisturbed(runtime, attack: Attack):
    ran = runtime.attack(bundle_of(attack), attack.limits, attack.steps)
    assert_undisturbed(ran["neighbour"], runtime)
    job = ran["attack"]
    if runtime.level in attack.open_at:
        assert job["result"]["gained"], "this attack is documented as not stopped, but it is"
    elif job["state"] == "completed":
        # Without a result, a limit has stopped it.
        assert job["result"] is None or job["result"]["gained"] is None, job["result"]
        assert REFUSED in attack.ends, job
    else:
        assert job["kind"] in attack.ends, (job["kind"], job["text"], job["logs"][-5:])


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_bundle_is_refused(runtime, forged):
    change = FORGED[forged]
    content = {"entry": "main.py", "files": {"main.py": b"print('run')", **change.get("files", {})}}
    ran = runtime.attack(Bundle(python=PYTHON, **content | {k: v for k, v in change.items() if k != "files"}))
    assert_undisturbed(ran["neighbour"], runtime)
    assert ran["attack"]["kind"] == "BundleError", ran["attack"]
    assert ran["attack"]["logs"] == []


def test_the_table_is_complete_and_in_order():
    assert [attack.number for attack in ATTACKS] == list(range(1, len(ATTACKS) + 1))
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
    assert {attack.function.__module__ for attack in ATTACKS} == {module.__name__ for module in MODULES}


def test_the_page_about_the_sandbox_has_this_table():
    page = PAGE.read_text()
    assert page == page_with_table(page), "write it by python -m tests.attacks.table"
