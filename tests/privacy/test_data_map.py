"""docs/privacy.md, as far as the code writes it."""

import pytest
from django.core.management import CommandError, call_command

from privacy import data_map
from tests.conftest import ROOT


def test_the_page_says_what_the_models_say():
    call_command("data_map", check=True)


def test_a_page_that_is_out_of_date_is_told_and_mended(settings, tmp_path):
    page = tmp_path / data_map.PAGE
    page.parent.mkdir()
    right = (ROOT / data_map.PAGE).read_text()
    assert "| `users.Parent` | `first_name` `last_name` `phone` | – | `user` | – |" in right
    page.write_text(right.replace("`first_name` `last_name` `phone`", "`first_name`"))
    settings.BASE_DIR = tmp_path
    with pytest.raises(CommandError, match=r"docs/privacy\.md is out of date: run manage\.py data_map\."):
        call_command("data_map", check=True)
    call_command("data_map")
    assert page.read_text() == right


def test_a_page_without_a_place_for_it_is_refused():
    with pytest.raises(ValueError, match="no place for the data map"):
        data_map.up_to_date("# Privacy\n")
