"""How old a child is on a day."""

from datetime import date

import pytest

from users.models import Child


@pytest.mark.parametrize(
    ("born", "day", "years"),
    [
        ("2018-05-01", "2026-04-30", 7),
        ("2018-05-01", "2026-05-01", 8),
        ("2018-05-01", "2018-05-01", 0),
        ("2018-12-31", "2026-01-01", 7),
        ("2020-02-29", "2025-02-28", 4),
        ("2020-02-29", "2025-03-01", 5),
        ("2020-02-29", "2024-02-29", 4),
    ],
)
def test_a_child_is_as_old_as_the_birthdays_it_has_had(born, day, years):
    assert Child(birth_date=date.fromisoformat(born)).age_on(date.fromisoformat(day)) == years


def test_a_removed_child_has_no_age():
    with pytest.raises(ValueError, match="removed"):
        Child(birth_date=None).age_on(date(2026, 1, 1))
