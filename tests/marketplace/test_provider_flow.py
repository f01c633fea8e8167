"""Flow 2 over HTTP, in both regions: a swim school signs up, is verified, and is found by parents (API §2.3).

Its owner does what only owners do, its admin runs it, its staff add to it, and a stranger has no part in it.
"""

import re
from io import BytesIO

import pytest
from django.core import mail
from PIL import Image

from juniro.settings import uploads
from marketplace import upkeep
from notifications.models import Notification
from providers import services
from providers.models import Invitation, ProviderAccount
from providers.tasks import send_invitation
from tests import tokens
from tests.factories import CategoryFactory, CityFactory, ProviderUserFactory, in_days

pytestmark = pytest.mark.django_db(databases=["default", "global"])

BOUNDARY = "flow"


@pytest.fixture(params=["us", "in"])
def region(request):
    if request.param == "in":
        request.getfixturevalue("india")
    return request.param


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.STORAGES = settings.STORAGES | {"default": uploads(f"file://{tmp_path}")}


def sign_up(api, region, email):
    """Somebody new: a token of Supabase's, and the sync."""
    caller = api.with_token(tokens.sign(email=email))
    assert caller.post("/v1/auth/sync", {"homeRegion": region}).status == 201
    return caller


def join(api, region, inviter, email, role):
    """Invited by e-mail, signed up, accepted."""
    answer = inviter.post("/v1/provider/staff", {"email": email, "role": role})
    assert answer.status == 201
    send_invitation(answer.data["id"])
    [token] = re.findall(r"/invitations/([\w-]+)", mail.outbox[-1].body)
    caller = sign_up(api, region, email)
    assert caller.post(f"/v1/provider/invitations/{token}/accept").data["role"] == role
    return caller


def steps(caller) -> list[str]:
    return [step["key"] for step in caller.get("/v1/provider/onboarding").data["steps"] if step["done"]]


def upload(api, caller, activity_id):
    announced = caller.post(f"/v1/provider/activities/{activity_id}/images", {"contentType": "image/png"}).data
    picture = BytesIO()
    Image.new("RGB", (80, 60), "blue").save(picture, "PNG")
    form = announced["upload"]
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in form["fields"].items()
    ]
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: image/png\r\n\r\n'
    )
    body = b"".join([*parts, head.encode(), picture.getvalue(), f"\r\n--{BOUNDARY}--\r\n".encode()])
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    assert api.post("/v1/" + form["url"].split("/v1/")[1], raw=body, **kind).status == 201
    return caller.post(f"/v1/provider/images/{announced['id']}/complete").data["url"]


def test_a_swim_school_goes_live(api, region):
    currency, city = {"us": "USD", "in": "INR"}[region], CityFactory()
    category = CategoryFactory(name="Swimming")
    stranger = api.as_user(ProviderUserFactory().user)

    # The owner signs up, describes the business and brings in two people.
    owner = sign_up(api, region, "owner@bluefin.example")
    profile = {"type": "business", "businessName": "Blue Fin", "description": "Since 1999.", "email": "hi@bf.example"}
    account = owner.post("/v1/provider/profile", profile)
    assert (account.status, account.data["slug"], account.data["status"]) == (201, "blue-fin", "pending")
    account_id = account.data["id"]
    assert steps(owner) == ["profile"]
    admin = join(api, region, owner, "admin@bluefin.example", "admin")
    staff = join(api, region, owner, "staff@bluefin.example", "staff")
    assert [each["role"] for each in owner.get("/v1/provider/staff").data] == ["owner", "admin", "staff"]
    assert staff.get("/v1/provider/staff").code == (403, "FORBIDDEN")

    # Staff add what there is, and change none of it.
    place = {"name": "Main pool", "address": "1 Water Street", "cityId": str(city.pk)}
    location = staff.post("/v1/provider/locations", place)
    assert (location.status, location.data["isDefault"]) == (201, True)
    activity = staff.post(
        "/v1/provider/activities",
        {"title": "Swim Sharks", "categoryId": str(category.pk), "ageMin": 5, "ageMax": 9, "duration": 45},
    )
    assert (activity.status, activity.data["status"]) == (201, "draft")
    path = f"/v1/provider/activities/{activity.data['id']}"
    offering = staff.post(f"{path}/offerings", {"type": "single_session", "priceCents": 50_000})
    assert (offering.status, offering.data["currency"]) == (201, currency)
    for refused in (
        staff.patch(path, {"title": "Mine"}),
        staff.delete(path),
        staff.post(f"{path}/publish"),
        staff.patch(f"/v1/provider/offerings/{offering.data['id']}", {"priceCents": 0}),
        staff.delete(f"/v1/provider/locations/{location.data['id']}"),
        staff.patch("/v1/provider/profile", {"businessName": "Mine"}),
        staff.post("/v1/provider/profile/submit"),
    ):
        assert refused.code == (403, "FORBIDDEN")
    session = staff.post(
        f"{path}/sessions",
        {
            "offeringId": offering.data["id"],
            "locationId": location.data["id"],
            "startsAt": in_days(5).isoformat(),
            "durationMinutes": 45,
            "capacity": 10,
        },
    )
    assert session.status == 201
    image = upload(api, staff, activity.data["id"])
    assert steps(owner) == ["profile", "location", "activity", "offering", "schedule"]

    # The stranger has no part in it, with or without the account's name.
    named = {"X_Provider_Account": account_id}
    for answer in (
        stranger.get(path),
        stranger.post(f"{path}/publish", **named),
        stranger.post("/v1/provider/profile/submit", None, **named),
        stranger.get("/v1/provider/onboarding", **named),
        stranger.post("/v1/provider/locations", place, **named),
    ):
        assert answer.code == (404, "NOT_FOUND")
    assert stranger.get("/v1/provider/activities").data == []

    # The admin makes it ready; only the owner could give it away.
    assert admin.post(f"{path}/publish").code == (409, "INVALID_STATE")
    assert admin.patch(path, {"description": "Water confidence for beginners."}).status == 200
    assert admin.post(f"{path}/publish").data["status"] == "published"
    staff_id = owner.get("/v1/provider/staff").data[2]["id"]
    assert admin.post("/v1/provider/staff/transfer-ownership", {"staffId": staff_id}).code == (403, "FORBIDDEN")
    assert admin.post("/v1/provider/profile/submit").status == 200

    # Parents see nothing until ops have looked at it.
    upkeep.catch_up()
    assert api.get("/v1/activities").data == []
    assert api.get("/v1/providers/blue-fin").code == (404, "NOT_FOUND")
    services.verify(account=ProviderAccount.objects.get(pk=account_id), now=in_days(0))
    assert owner.get("/v1/provider/onboarding").data["isLive"] is True
    told = Notification.objects.filter(user__email="owner@bluefin.example", subject_id=account_id)
    assert set(told.values_list("kind", flat=True)) == {"provider_submitted", "provider_verified"}

    [card] = api.get("/v1/activities?q=swim").data
    assert (card["slug"], card["priceFromCents"], card["currency"]) == ("swim-sharks", 50_000, currency)
    assert (card["provider"]["slug"], card["city"]["name"], card["imageUrl"]) == ("blue-fin", city.name, image)
    assert card["spotsLeft"] == 10
    assert api.get("/v1/providers/blue-fin").data["activities"] == [card]
    assert Invitation.objects.open().count() == 0

    # The owner hands it over and stays an admin.
    assert owner.post("/v1/provider/staff/transfer-ownership", {"staffId": staff_id}).data["role"] == "owner"
    assert owner.get("/v1/provider/staff/me").data["role"] == "admin"
    assert staff.get("/v1/provider/staff/me").data["role"] == "owner"
    assert staff.patch("/v1/provider/profile", {"businessName": "Blue Fin Swimming"}).status == 200
