"""POST /v1/provider/profile: opening an account, with a slug that both regions share."""

import threading
from datetime import timedelta

import pytest
from django.db import connections

from providers import services
from providers.models import ProviderAccount, ProviderUser
from providers.tasks import settle_slugs
from regions import services as regions
from regions.models import SlugReservation
from tests.conftest import free_port
from tests.factories import ProviderAccountFactory, ProviderUserFactory, UserFactory

pytestmark = pytest.mark.django_db(databases=["default", "global"])
REAL = pytest.mark.django_db(transaction=True, databases=["default", "global"])

PROFILE = "/v1/provider/profile"


def taken() -> dict[str, tuple]:
    return {row.slug: (row.region, row.held_for) for row in SlugReservation.objects.all()}


@pytest.fixture
def global_layer_down():
    """Nobody listens where the global database was; for tests with real transactions."""
    connection = connections["global"]
    port = connection.settings_dict["PORT"]
    connection.close()
    connection.settings_dict["PORT"] = free_port()
    yield
    connection.settings_dict["PORT"] = port


def test_a_parent_opens_a_business_and_becomes_a_provider(api):
    user = UserFactory()
    body = {
        "type": "business", "businessName": "  Blue   Fin\nSwimming ", "description": "Since 1999.",
        "email": "office@bluefin.example", "phone": "+1 512 555 0123", "website": "https://bluefin.example",
    }  # fmt: skip
    answer = api.as_user(user).post(PROFILE, body)
    assert answer.status == 201
    account = ProviderAccount.objects.get()
    assert answer.data == {
        "id": str(account.pk), "businessName": "Blue Fin Swimming", "slug": "blue-fin-swimming", "type": "business",
        "status": "pending", "statusReason": "", "submittedAt": None, "verifiedAt": None,
        "description": "Since 1999.", "email": "office@bluefin.example", "phone": "+15125550123",
        "website": "https://bluefin.example", "createdAt": answer.data["createdAt"],
    }  # fmt: skip
    member = ProviderUser.objects.get()
    assert (member.provider_account, member.user, member.role) == (account, user, "owner")
    user.refresh_from_db()
    assert user.role == "provider"
    assert taken() == {"blue-fin-swimming": ("us", None)}
    assert api.as_user(user).get(PROFILE).data["id"] == str(account.pk)


def test_a_new_provider_still_has_a_parents_abilities(api):
    caller = api.as_user(UserFactory())
    caller.post(PROFILE, {"businessName": "Blue Fin", "type": "individual"})
    assert caller.get("/v1/me/bookings").status == 200
    assert caller.get("/v1/me").data["role"] == "provider"


def test_the_slug_may_be_chosen(api):
    answer = api.as_user(UserFactory()).post(PROFILE, {"businessName": "Blue Fin", "slug": "fins"})
    assert (answer.status, answer.data["slug"]) == (201, "fins")


@pytest.mark.parametrize("slug", ["ab", "Blue", "blue fin", "-fins", "fins-", "fi--ns", "fin_s", "x" * 81, "नीला-मछली"])
def test_an_ugly_slug_is_refused(api, slug):
    answer = api.as_user(UserFactory()).post(PROFILE, {"businessName": "Blue Fin", "slug": slug})
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [each["field"] for each in answer.error["details"]] == ["slug"]
    assert taken() == {}


def test_a_slug_of_the_other_region_is_taken_here_too(api):
    SlugReservation.objects.create(slug="blue-fin", region="in")
    user = UserFactory()
    answer = api.as_user(user).post(PROFILE, {"businessName": "Blue Fin", "slug": "blue-fin"})
    assert answer.code == (409, "SLUG_TAKEN")
    assert answer.error["details"] == [{"field": "slug", "message": answer.error["message"]}]
    user.refresh_from_db()
    assert (user.role, ProviderAccount.objects.count()) == ("parent", 0)
    assert taken() == {"blue-fin": ("in", None)}


def test_a_name_that_is_taken_gets_a_number(api):
    SlugReservation.objects.create(slug="blue-fin", region="in")
    ProviderAccountFactory(slug="blue-fin-2")
    answer = api.as_user(UserFactory()).post(PROFILE, {"businessName": "Blue Fin"})
    assert (answer.status, answer.data["slug"]) == (201, "blue-fin-3")


def test_a_name_that_everybody_has_gets_letters(api):
    for number in ("", "-2", "-3", "-4", "-5"):
        SlugReservation.objects.create(slug=f"blue-fin{number}", region="in")
    slug = api.as_user(UserFactory()).post(PROFILE, {"businessName": "Blue Fin"}).data["slug"]
    assert slug.startswith("blue-fin-")
    assert len(slug) == len("blue-fin-") + 8


def test_a_name_in_devanagari_gets_a_slug_all_the_same(api, india):
    answer = api.as_user(UserFactory()).post(PROFILE, {"businessName": "नीली मछली तैराकी"})
    assert answer.status == 201
    assert answer.data["businessName"] == "नीली मछली तैराकी"
    assert answer.data["slug"].startswith("provider-")
    assert taken() == {answer.data["slug"]: ("in", None)}


def test_a_long_name_gives_a_slug_that_fits(api):
    answer = api.as_user(UserFactory()).post(PROFILE, {"businessName": "Swimming " * 22})
    assert (answer.status, len(answer.data["slug"])) == (201, 70)


def test_the_same_name_twice_is_one_account(api):
    caller = api.as_user(UserFactory())
    assert caller.post(PROFILE, {"businessName": "Blue Fin"}).status == 201
    assert caller.post(PROFILE, {"businessName": "blue fin"}).code == (409, "INVALID_STATE")
    assert ProviderAccount.objects.count() == 1
    assert taken() == {"blue-fin": ("us", None)}
    assert caller.post(PROFILE, {"businessName": "Red Fin"}).status == 201


def test_nobody_collects_accounts(api):
    user = UserFactory(role="provider")
    for _ in range(10):
        ProviderUserFactory(user=user)
    assert api.as_user(user).post(PROFILE, {"businessName": "Blue Fin"}).code == (409, "INVALID_STATE")
    assert taken() == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "businessName"),
        ({"businessName": " "}, "businessName"),
        ({"businessName": "x" * 201}, "businessName"),
        ({"businessName": "X", "type": "charity"}, "type"),
        ({"businessName": "X", "status": "verified"}, "status"),
        ({"businessName": "X", "verifiedAt": "2026-01-01T00:00:00Z"}, "verifiedAt"),
        ({"businessName": "X", "phone": "12"}, "phone"),
        ({"businessName": "X", "website": "javascript:alert(1)"}, "website"),
        ({"businessName": "X", "description": "x" * 10_001}, "description"),
        ({"businessName": ["X"]}, "businessName"),
    ],
)
def test_what_is_wrong_is_named(api, body, field):
    answer = api.as_user(UserFactory()).post(PROFILE, body)
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [each["field"] for each in answer.error["details"]] == [field]
    assert (ProviderAccount.objects.count(), taken()) == (0, {})


def test_who_is_not_signed_in_or_lives_elsewhere_opens_nothing(api):
    assert api.post(PROFILE, {"businessName": "X"}).code == (401, "UNAUTHORIZED")
    elsewhere = UserFactory(home_region="in")
    assert api.as_user(elsewhere).post(PROFILE, {"businessName": "X"}).code == (403, "REGION_MISMATCH")
    assert taken() == {}


# --- The global layer -----------------------------------------------------------------------------------------------


@REAL
def test_without_the_global_layer_nothing_is_half_done(api, global_layer_down):
    user = UserFactory()
    answer = api.as_user(user).post(PROFILE, {"businessName": "Blue Fin"})
    assert answer.code == (503, "SERVICE_UNAVAILABLE")
    assert "register of slugs" in answer.error["message"]
    assert int(answer.headers["Retry-After"]) > 0
    user.refresh_from_db()
    assert (user.role, ProviderAccount.objects.count(), ProviderUser.objects.count()) == ("parent", 0, 0)


@REAL
def test_without_the_global_layer_a_profile_can_be_edited(api, global_layer_down):
    member = ProviderUserFactory()
    assert api.as_user(member.user).patch(PROFILE, {"businessName": "Blue Fin"}).status == 200


def test_a_crash_before_the_account_leaves_a_slug_that_the_sweep_gives_back(api, now, monkeypatch):
    class Crash(BaseException):
        """The process dies: no `except` of ours runs."""

    def die(**_):
        raise Crash

    monkeypatch.setattr(services, "check_another", die)
    with pytest.raises(Crash):
        services.open_account(user=UserFactory(), business_name="Blue Fin")
    [(slug, (region, held_for))] = taken().items()
    assert (slug, region, held_for is not None) == ("blue-fin", "us", True)
    monkeypatch.undo()

    # Not at once: a slow request might still be on its way.
    assert services.settle_slugs(now=now + regions.HOLD - timedelta(minutes=1)) == 0
    assert api.as_user(UserFactory()).post(PROFILE, {"businessName": "X", "slug": "blue-fin"}).status == 409

    assert services.settle_slugs(now=now + regions.HOLD + timedelta(minutes=1)) == 1
    assert taken() == {}
    assert api.as_user(UserFactory()).post(PROFILE, {"businessName": "X", "slug": "blue-fin"}).status == 201


def test_a_crash_after_the_account_leaves_a_slug_that_the_sweep_keeps(now, monkeypatch):
    monkeypatch.setattr(services, "keep_slug", lambda slug: (_ for _ in ()).throw(regions.SlugsOutOfReach))
    account = services.open_account(user=UserFactory(), business_name="Blue Fin")
    assert taken() == {"blue-fin": ("us", account.pk)}
    monkeypatch.undo()
    assert services.settle_slugs(now=now + regions.HOLD + timedelta(minutes=1)) == 1
    assert taken() == {"blue-fin": ("us", None)}
    assert services.settle_slugs(now=now + timedelta(days=1)) == 0


def test_the_sweep_leaves_the_other_region_alone(now):
    account = ProviderAccountFactory.build()
    SlugReservation.objects.create(slug="fins", region="in", held_for=account.pk)
    assert services.settle_slugs(now=now + timedelta(days=1)) == 0
    assert taken() == {"fins": ("in", account.pk)}


@REAL
def test_the_sweep_waits_for_the_global_layer(global_layer_down):
    assert settle_slugs() == 0


def test_an_account_whose_slug_was_lost_gets_it_back_in_the_register():
    ProviderAccountFactory(slug="fins")
    regions.keep_slug("fins")
    regions.keep_slug("fins")
    assert taken() == {"fins": ("us", None)}


# --- Two at once ----------------------------------------------------------------------------------------------------


@REAL
def test_of_eight_who_want_one_slug_one_gets_it(api, at_once):
    users = [UserFactory() for _ in range(8)]
    answers = at_once(
        lambda user: api.as_user(user).post(PROFILE, {"businessName": f"Fin {user.pk}", "slug": "fins"}), users
    )
    assert sorted(answer.status for answer in answers) == [201, *[409] * 7]
    assert {answer.error["code"] for answer in answers if answer.status == 409} == {"SLUG_TAKEN"}
    assert ProviderAccount.objects.get().slug == "fins"
    assert taken() == {"fins": ("us", None)}


@REAL
def test_of_two_regions_that_want_one_slug_at_once_one_gets_it(at_once):
    """Each region has a database of its own; what they share is the register."""
    accounts = {"us": ProviderAccountFactory.build().pk, "in": ProviderAccountFactory.build().pk}

    def hold(region):
        SlugReservation.objects.create(slug="fins", region=region, held_for=accounts[region])
        return region

    results = at_once(hold, ["us", "in"])
    [winner] = [each for each in results if isinstance(each, str)]
    assert taken() == {"fins": (winner, accounts[winner])}


@REAL
def test_eight_who_share_a_name_get_eight_slugs(api, at_once):
    users = [UserFactory() for _ in range(6)]
    answers = at_once(lambda user: api.as_user(user).post(PROFILE, {"businessName": "Fins"}), users)
    assert [answer.status for answer in answers] == [201] * 6
    assert set(taken()) == {answer.data["slug"] for answer in answers}
    assert len(taken()) == 6


@REAL
def test_a_double_click_opens_one_account(api, at_once):
    user = UserFactory()
    answers = at_once(lambda _: api.as_user(user).post(PROFILE, {"businessName": "Fins"}), [1, 2, 3])
    assert sorted(answer.status for answer in answers) == [201, 409, 409]
    account = ProviderAccount.objects.get()
    assert taken() == {account.slug: ("us", None)}


@REAL
def test_control_without_the_lock_a_double_click_opens_several(api, at_once, monkeypatch):
    user = UserFactory()
    everybody_looked = threading.Barrier(3)
    check = services.check_another

    def look(**given):
        check(**given)
        everybody_looked.wait(timeout=10)

    monkeypatch.setattr(services, "check_another", look)
    monkeypatch.setattr(type(user).objects, "select_for_update", lambda **_: type(user).objects)
    answers = at_once(lambda _: api.as_user(user).post(PROFILE, {"businessName": "Fins"}), [1, 2, 3])
    assert [answer.status for answer in answers] == [201] * 3
    assert ProviderAccount.objects.count() == 3
