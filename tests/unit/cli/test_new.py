from __future__ import annotations

import pytest

from hybrid_runtime.cli.new import copy, description, find_templates, new
from hybrid_runtime.errors import InvalidInput

TEMPLATES = ["bell", "qaoa_maxcut", "spsa_noisy", "vqe_h2", "vqe_h2_scipy"]


def test_all_templates_are_found_with_a_description():
    found = find_templates()
    assert list(found) == TEMPLATES
    assert all(description(text) for text in found.values())


def test_templates_are_listed_with_their_descriptions(capsys):
    assert new() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == TEMPLATES
    assert "Bell pair" in lines[0]


@pytest.mark.parametrize("name", ["vqe_h2", "vqe_h2.py", "vqe-h2"])
def test_a_template_is_copied_as_it_is(tmp_path, name):
    assert new(name, tmp_path / "mine.py") == 0
    assert (tmp_path / "mine.py").read_text() == find_templates()["vqe_h2"]


def test_a_folder_gets_the_template_under_its_own_name(tmp_path):
    new("bell", tmp_path)
    assert (tmp_path / "bell.py").exists()


def test_without_a_destination_it_is_copied_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new("bell")
    assert (tmp_path / "bell.py").exists()


def test_nothing_is_ever_overwritten(tmp_path):
    target = tmp_path / "bell.py"
    target.write_text("mine")
    with pytest.raises(InvalidInput, match="is left as it is"):
        new("bell", tmp_path)
    assert target.read_text() == "mine"


def test_a_dangling_link_is_not_written_through(tmp_path):
    (tmp_path / "bell.py").symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(InvalidInput, match="is left as it is"):
        new("bell", tmp_path)
    assert not (tmp_path / "elsewhere.py").exists()


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="cannot be written"):
        copy("text", tmp_path / "no" / "such.py", "x.py")


def test_a_misspelt_template_is_refused_with_the_nearest_name():
    with pytest.raises(InvalidInput, match="did you mean qaoa_maxcut"):
        new("qoaa_maxcut")
