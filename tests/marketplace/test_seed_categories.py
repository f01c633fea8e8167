"""`manage.py seed_categories`."""

import pytest

from marketplace.management.commands.seed_categories import seed
from marketplace.models import Category

pytestmark = pytest.mark.django_db


def tree():
    return {
        branch.name: list(branch.children.order_by("position").values_list("name", flat=True))
        for branch in Category.objects.filter(parent=None).order_by("position")
    }


def test_seeding_adds_the_whole_tree_of_the_data_model_in_order():
    assert seed() == 31

    assert list(tree().items()) == [
        ("Activities", ["Swimming", "Dance", "Art", "Music", "Sports", "STEM", "Martial Arts", "Language"]),
        ("Camps", ["Day Camps", "Summer Camps", "Sports Camps"]),
        (
            "Childcare & Early Education",
            ["Daycare Centers", "Preschools", "Montessori", "Pre-K Programs", "After-School Care"],
        ),
        ("Parties & Events", ["Entertainers", "Party Places", "Mobile Services"]),
        ("Wellness", ["Pediatric Dentists", "Therapists", "Specialists"]),
        ("Medical", ["Pediatricians", "Clinics", "Children's Hospitals"]),
    ]


def test_the_groups_of_later_phases_are_closed():
    seed()

    assert set(Category.objects.filter(is_active=False).values_list("slug", flat=True)) == {
        "wellness", "pediatric-dentists", "therapists", "specialists",
        "medical", "pediatricians", "clinics", "childrens-hospitals",
    }  # fmt: skip


def test_seeding_twice_changes_nothing():
    seed()
    before = list(Category.objects.order_by("id").values())

    assert seed() == 0

    assert list(Category.objects.order_by("id").values()) == before


def test_what_ops_staff_changed_stays():
    seed()
    Category.objects.filter(slug="art").update(name="Arts & Crafts", is_active=False, position=9)
    Category.objects.filter(slug="wellness").update(is_active=True)
    Category.objects.filter(slug="camps").update(slug="holiday-camps")

    assert seed() == 0

    assert Category.objects.values_list("name", "is_active", "position").get(slug="art") == ("Arts & Crafts", False, 9)
    assert Category.objects.get(slug="wellness").is_active is True
    assert Category.objects.get(slug="day-camps").parent.slug == "holiday-camps"


def test_a_name_that_ops_staff_gave_away_is_not_taken_back():
    Category.objects.create(name="Camps", slug="all-camps")
    Category.objects.create(name="Dance", slug="dancing")

    assert seed() == 29

    assert Category.objects.filter(name="Camps").count() == 1
    assert Category.objects.get(slug="day-camps").parent.slug == "all-camps"
    assert Category.objects.get(name="Dance").slug == "dancing"
