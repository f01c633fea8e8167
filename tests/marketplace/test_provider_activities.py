"""/v1/provider/activities: from draft to published to archived, and what parents see of it."""

import threading

import pytest

from marketplace import catalogue, upkeep
from marketplace.models import Activity, Category, Offering, Session
from tests.factories import (
    ActivityFactory,
    BookingFactory,
    CategoryFactory,
    LocationFactory,
    OfferingFactory,
    ProviderUserFactory,
    SessionFactory,
    in_days,
)

pytestmark = pytest.mark.django_db

ACTIVITIES = "/v1/provider/activities"
NOBODY = "01a1fbf9-4878-7649-8bf6-6dcf95dc5ee4"


@pytest.fixture
def owner():
    return ProviderUserFactory(provider_account__slug="blue-fin", provider_account__business_name="Blue Fin")


@pytest.fixture
def caller(api, owner):
    return api.as_user(owner.user)


def body(**changes):
    return {"title": "Swim Sharks", "categoryId": str(CategoryFactory().pk)} | changes


def draft(owner, **fields) -> Activity:
    """A draft with all that parents need."""
    if not owner.provider_account.locations.exists():
        LocationFactory(provider=owner.provider_account)
    given = {"status": "draft", "published_at": None, "description": "Water confidence."} | fields
    return OfferingFactory(activity=ActivityFactory(provider=owner.provider_account, **given)).activity


def state(activity) -> str:
    activity.refresh_from_db()
    return activity.status


def found(api) -> list[str]:
    upkeep.catch_up()
    return [each["slug"] for each in api.get("/v1/activities").data]


# --- Writing --------------------------------------------------------------------------------------------------------


def test_a_draft_with_all_that_can_be_said(caller, owner):
    category = CategoryFactory()
    given = {
        "title": "Swim  Sharks", "summary": "For beginners", "description": "Line one.\n\nLine two.", "ageMin": 5,
        "ageMax": 9, "duration": 45, "categoryId": str(category.pk),
    }  # fmt: skip
    answer = caller.post(ACTIVITIES, given)
    assert answer.status == 201
    row = Activity.objects.get()
    assert row.provider == owner.provider_account
    assert answer.data == {
        **given, "id": str(row.pk), "slug": "swim-sharks", "title": "Swim Sharks",
        "category": {"id": str(category.pk), "name": "Swimming", "slug": "swimming"}, "imageUrl": None,
        "status": "draft", "publishedAt": None, "offerings": [], "images": [],
        "createdAt": answer.data["createdAt"], "updatedAt": answer.data["updatedAt"],
    }  # fmt: skip
    assert caller.get(f"{ACTIVITIES}/{row.pk}").data == answer.data


def test_title_and_category_are_enough_for_a_draft(caller):
    answer = caller.post(ACTIVITIES, body())
    assert answer.status == 201
    assert [answer.data[name] for name in ("summary", "description", "ageMin", "ageMax", "duration")] == [
        "", "", None, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"summary": "x" * 301}, "summary"),
        ({"description": "x" * 10_001}, "description"),
        ({"categoryId": NOBODY}, "categoryId"),
        ({"categoryId": 7}, "categoryId"),
        ({"ageMin": -1}, "ageMin"),
        ({"ageMax": 100}, "ageMax"),
        ({"ageMin": 9, "ageMax": 8}, "ageMax"),
        ({"ageMin": 1.5}, "ageMin"),
        ({"duration": 0}, "duration"),
        ({"duration": 10**18}, "duration"),
        ({"status": "published"}, "status"),
        ({"slug": "mine"}, "slug"),
        ({"imageUrl": "https://evil.example/x.jpg"}, "imageUrl"),
        ({"offerings": []}, "offerings"),
        ({"providerId": NOBODY}, "providerId"),
    ],
)
def test_what_is_wrong_is_named(caller, changes, field):
    answer = caller.post(ACTIVITIES, body(**changes))
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [each["field"] for each in answer.error["details"]] == [field]
    assert Activity.objects.count() == 0


def test_only_open_categories_without_any_below_can_be_chosen(caller):
    branch = CategoryFactory(name="Activities")
    leaf = Category.objects.create(name="Dance", slug="dance", parent=branch)
    closed = Category.objects.create(name="Music", slug="music", parent=branch, is_active=False)
    hidden = Category.objects.create(name="Clinics", slug="clinics", parent=closed)
    assert caller.post(ACTIVITIES, body(categoryId=str(leaf.pk))).status == 201
    for category in (branch, closed, hidden):
        assert caller.post(ACTIVITIES, body(categoryId=str(category.pk))).code == (400, "VALIDATION_ERROR")
    leaf.is_active = False
    leaf.save()
    # With nothing open below it, a branch is a leaf.
    assert caller.post(ACTIVITIES, body(categoryId=str(branch.pk))).status == 201


# --- Slugs ----------------------------------------------------------------------------------------------------------


def test_a_slug_is_unique_for_its_provider_only(caller, api):
    slugs = [caller.post(ACTIVITIES, body()).data["slug"] for _ in range(3)]
    assert slugs == ["swim-sharks", "swim-sharks-2", "swim-sharks-3"]
    other = api.as_user(ProviderUserFactory().user)
    assert other.post(ACTIVITIES, body()).data["slug"] == "swim-sharks"


def test_a_title_in_devanagari_has_a_slug_all_the_same(caller):
    first, second = (caller.post(ACTIVITIES, body(title="तैराकी की कक्षा")).data for _ in range(2))
    assert first["title"] == "तैराकी की कक्षा"
    assert first["slug"] == f"activity-{first['id'][-8:]}"
    assert second["slug"] == f"activity-{second['id'][-8:]}"


def test_accents_and_long_titles_give_slugs_that_fit(caller):
    assert caller.post(ACTIVITIES, body(title="Natación para niños")).data["slug"] == "natacion-para-ninos"
    assert len(caller.post(ACTIVITIES, body(title="Swim " * 40)).data["slug"]) <= 100


def test_the_slug_follows_the_title_until_it_is_published_and_then_stays(caller, owner):
    activity = draft(owner)
    path = f"{ACTIVITIES}/{activity.pk}"
    assert caller.patch(path, {"title": "Swim Sharks"}).data["slug"] == "swim-sharks"
    draft(owner, title="Water Babies")
    assert caller.patch(path, {"title": "Water Babies"}).data["slug"] == "water-babies-2"
    caller.post(f"{path}/publish")
    assert caller.patch(path, {"title": "Swim Pirates"}).data["slug"] == "water-babies-2"
    caller.post(f"{path}/unpublish")
    assert caller.patch(path, {"title": "Swim Queens"}).data["slug"] == "water-babies-2"


# --- The list -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_takes_the_same_queries_for_one_and_for_three(caller, owner, rows, django_assert_num_queries):
    for number in range(rows):
        activity = draft(owner, category__name=f"Category {number}")
        OfferingFactory(activity=activity)
        activity.images.create(content_type="image/png")
    draft(ProviderUserFactory())
    with django_assert_num_queries(6):  # user, membership, count, activities, offerings, images
        answer = caller.get(ACTIVITIES)
    assert len(answer.data) == answer.meta["total"] == rows
    assert [len(each["offerings"]) for each in answer.data] == [2] * rows


def test_the_list_can_be_asked_for_one_state(caller, owner):
    rows = {name: draft(owner, status=name) for name in ("draft", "published", "archived")}
    for name, row in rows.items():
        assert [each["id"] for each in caller.get(f"{ACTIVITIES}?status={name}").data] == [str(row.pk)]
    assert caller.get(f"{ACTIVITIES}?status=lost").code == (400, "VALIDATION_ERROR")
    assert caller.get(f"{ACTIVITIES}?state=draft").code == (400, "VALIDATION_ERROR")


# --- Publishing -----------------------------------------------------------------------------------------------------


def test_a_draft_is_published_and_parents_find_it_at_once(api, caller, owner):
    activity = draft(owner, title="Swim Sharks")
    assert found(api) == []
    answer = caller.post(f"{ACTIVITIES}/{activity.pk}/publish")
    assert (answer.status, answer.data["status"]) == (200, "published")
    assert answer.data["publishedAt"] is not None
    assert found(api) == [activity.slug]
    assert caller.post(f"{ACTIVITIES}/{activity.pk}/publish").code == (409, "INVALID_STATE")


def test_what_parents_need_and_is_missing_is_named(caller):
    activity = caller.post(ACTIVITIES, body(description="  \n ")).data
    answer = caller.post(f"{ACTIVITIES}/{activity['id']}/publish")
    assert answer.code == (409, "INVALID_STATE")
    assert [each["field"] for each in answer.error["details"]] == ["description", "offerings", "locations"]
    assert caller.get(f"{ACTIVITIES}/{activity['id']}").data["status"] == "draft"


def test_an_inactive_offering_or_a_closed_category_is_not_enough(caller, owner):
    activity = draft(owner)
    Offering.objects.update(status="inactive")
    answer = caller.post(f"{ACTIVITIES}/{activity.pk}/publish")
    assert [each["field"] for each in answer.error["details"]] == ["offerings"]
    Offering.objects.update(status="active")
    Category.objects.update(is_active=False)
    answer = caller.post(f"{ACTIVITIES}/{activity.pk}/publish")
    assert [each["field"] for each in answer.error["details"]] == ["categoryId"]
    assert state(activity) == "draft"


def test_what_is_published_stays_fit_for_parents(caller, owner):
    activity = draft(owner, status="published")
    answer = caller.patch(f"{ACTIVITIES}/{activity.pk}", {"description": "", "summary": "New"})
    assert answer.code == (409, "INVALID_STATE")
    activity.refresh_from_db()
    assert (activity.description, activity.summary) == ("Water confidence.", "")
    assert caller.patch(f"{ACTIVITIES}/{activity.pk}", {"description": "Better."}).status == 200


def test_publishing_before_the_verification_shows_nothing_yet(api, caller, owner):
    account = owner.provider_account
    account.status = "pending"
    account.save()
    activity = draft(owner)
    assert caller.post(f"{ACTIVITIES}/{activity.pk}/publish").status == 200
    assert found(api) == []
    account.status = "verified"
    account.save()
    assert found(api) == [activity.slug]


def test_unpublishing_hides_it_at_once_and_keeps_what_is_booked(api, caller, owner):
    activity = draft(owner, status="published")
    booking = BookingFactory(session=SessionFactory(offering=activity.offerings.get()), status="confirmed")
    first = activity.published_at
    assert found(api) == [activity.slug]
    answer = caller.post(f"{ACTIVITIES}/{activity.pk}/unpublish")
    assert answer.data["status"] == "draft"
    assert found(api) == []
    booking.refresh_from_db()
    assert booking.status == "confirmed"
    assert caller.post(f"{ACTIVITIES}/{activity.pk}/unpublish").code == (409, "INVALID_STATE")
    activity.refresh_from_db()
    assert activity.published_at == first


def test_publishing_again_makes_nothing_newer(caller, owner):
    activity = draft(owner)
    path = f"{ACTIVITIES}/{activity.pk}"
    first = caller.post(f"{path}/publish").data["publishedAt"]
    caller.post(f"{path}/unpublish")
    assert caller.post(f"{path}/publish").data["publishedAt"] == first


# --- The archive ----------------------------------------------------------------------------------------------------


def test_the_archive_and_back(api, caller, owner):
    activity = draft(owner, status="published")
    path = f"{ACTIVITIES}/{activity.pk}"
    assert caller.post(f"{path}/archive").data["status"] == "archived"
    assert found(api) == []
    for verb in ("archive", "publish", "unpublish"):
        assert caller.post(f"{path}/{verb}").code == (409, "INVALID_STATE")
    assert caller.patch(path, {"title": "New"}).code == (409, "INVALID_STATE")
    offering = caller.post(f"{path}/offerings", {"type": "camp", "priceCents": 100})
    assert offering.code == (409, "INVALID_STATE")
    assert caller.post(f"{path}/images", {"contentType": "image/png"}).code == (409, "INVALID_STATE")
    assert caller.post(f"{path}/restore").data["status"] == "draft"
    assert caller.post(f"{path}/restore").code == (409, "INVALID_STATE")


def test_nothing_is_archived_while_children_are_coming(caller, owner):
    activity = draft(owner, status="published")
    session = SessionFactory(offering=activity.offerings.get())
    BookingFactory(session=session, status="confirmed")
    Session.objects.update(enrolled=1)
    assert caller.post(f"{ACTIVITIES}/{activity.pk}/archive").code == (409, "INVALID_STATE")
    assert state(activity) == "published"
    Session.objects.update(starts_at=in_days(-1), ends_at=in_days(-0.9))
    assert caller.post(f"{ACTIVITIES}/{activity.pk}/archive").status == 200


# --- Deleting -------------------------------------------------------------------------------------------------------


def test_what_nobody_ever_booked_can_be_deleted(caller, owner, api, tasks, django_capture_on_commit_callbacks):
    activity = draft(owner, status="published")
    SessionFactory(offering=activity.offerings.get())
    image = activity.images.create(content_type="image/png")
    with django_capture_on_commit_callbacks(execute=True):
        answer = caller.delete(f"{ACTIVITIES}/{activity.pk}")
    assert answer.body == {"success": True, "data": None}
    assert (Activity.objects.count(), Offering.objects.count(), Session.objects.count()) == (0, 0, 0)
    assert tasks == [("marketplace.tasks.delete_image_files", (str(image.pk),))]
    assert found(api) == []


@pytest.mark.parametrize("status", ["confirmed", "cancelled", "expired"])
def test_what_was_ever_booked_stays(caller, owner, status):
    activity = draft(owner)
    BookingFactory(session=SessionFactory(offering=activity.offerings.get()), status=status)
    answer = caller.delete(f"{ACTIVITIES}/{activity.pk}")
    assert answer.code == (409, "INVALID_STATE")
    assert "Archive" in answer.error["message"]
    assert (Activity.objects.count(), Session.objects.count()) == (1, 1)


# --- Strangers ------------------------------------------------------------------------------------------------------


def test_a_strangers_activity_does_not_exist(caller):
    activity = draft(ProviderUserFactory())
    path = f"{ACTIVITIES}/{activity.pk}"
    for answer in (
        caller.get(path),
        caller.patch(path, {"title": "Mine"}),
        caller.delete(path),
        *(caller.post(f"{path}/{verb}") for verb in ("publish", "unpublish", "archive", "restore")),
        caller.get(f"{path}/offerings"),
        caller.post(f"{path}/offerings", {"type": "camp", "priceCents": 100}),
        caller.get(f"{path}/images"),
        caller.post(f"{path}/images", {"contentType": "image/png"}),
    ):
        assert answer.code == (404, "NOT_FOUND")
    assert (state(activity), activity.offerings.count(), activity.images.count()) == ("draft", 1, 0)


# --- Two at once ----------------------------------------------------------------------------------------------------

REAL = pytest.mark.django_db(transaction=True)


@REAL
def test_publishing_and_archiving_at_once_end_in_the_archive(api, at_once):
    owner = ProviderUserFactory()
    for _ in range(3):
        activity = draft(owner)
        published, archived = at_once(
            lambda verb, activity=activity: api.as_user(owner.user).post(f"{ACTIVITIES}/{activity.pk}/{verb}"),
            ["publish", "archive"],
        )
        # Archived first, it cannot be published; published first, it can still be archived.
        assert published.status == 200 or published.code == (409, "INVALID_STATE")
        assert archived.status == 200
        assert state(activity) == "archived"


@REAL
def test_four_of_one_title_at_once_get_four_slugs(api, at_once):
    owner, category = ProviderUserFactory(), str(CategoryFactory().pk)
    answers = at_once(
        lambda _: api.as_user(owner.user).post(ACTIVITIES, {"title": "Swim", "categoryId": category}), [1, 2, 3, 4]
    )
    assert sorted(answer.data["slug"] for answer in answers) == ["swim", "swim-2", "swim-3", "swim-4"]


@REAL
def test_control_without_the_lock_the_unique_index_refuses_three(api, at_once, monkeypatch):
    owner, category = ProviderUserFactory(), str(CategoryFactory().pk)
    everybody_looked = threading.Barrier(4)
    look = catalogue.free_slug

    def slug(activity):
        found = look(activity)
        everybody_looked.wait(timeout=10)
        return found

    monkeypatch.setattr(catalogue, "free_slug", slug)
    monkeypatch.setattr(catalogue, "lock_account", lambda account_id: None)
    answers = at_once(
        lambda _: api.as_user(owner.user).post(ACTIVITIES, {"title": "Swim", "categoryId": category}), [1, 2, 3, 4]
    )
    assert sorted(answer.status for answer in answers) == [201, 500, 500, 500]


@REAL
def test_a_publication_and_the_loss_of_the_last_offering_do_not_meet(api, at_once):
    owner = ProviderUserFactory()
    for _ in range(3):
        activity = draft(owner)
        offering = activity.offerings.get()

        def act(what, activity=activity, offering=offering):
            client = api.as_user(owner.user)
            if what == "publish":
                return client.post(f"{ACTIVITIES}/{activity.pk}/publish")
            return client.patch(f"/v1/provider/offerings/{offering.pk}", {"status": "inactive"})

        answers = at_once(act, ["publish", "close"])
        assert sorted(answer.status for answer in answers) == [200, 409]
        has_price = activity.offerings.filter(status="active").exists()
        assert has_price == (state(activity) == "published")
