"""The rows of the permission table: one for each method of each provider address.

Add yours here: the row of the contract's table that it needs, and a request that succeeds for those whom it allows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bookings.models import Booking
from marketplace.models import Activity, ActivityImage, Offering
from providers import invitations
from providers.models import Location, ProviderAccount, ProviderUser
from tests import factories as make


class World:
    """An account with an owner, an admin and a member of staff; rows come into being when a request asks for them."""

    def __init__(self) -> None:
        self.account: ProviderAccount = make.ProviderAccountFactory()
        self.staff: dict[str, ProviderUser] = {
            role: make.ProviderUserFactory(provider_account=self.account, role=role)
            for role in ("owner", "admin", "staff")
        }

    def colleague(self) -> ProviderUser:
        return make.ProviderUserFactory(provider_account=self.account, role="staff")

    def location(self) -> Location:
        return make.LocationFactory(provider=self.account)

    def activity(self, status: str = "draft") -> Activity:
        """A draft that is ready to be published."""
        return self.offering(activity__status=status).activity

    def offering(self, **fields: Any) -> Offering:
        self.location()
        given = {"activity__status": "draft", "activity__description": "Water confidence."} | fields
        return make.OfferingFactory(activity__provider=self.account, **given)

    def image(self, status: str = "pending") -> ActivityImage:
        return ActivityImage.objects.create(activity=self.activity(), content_type="image/png", status=status)

    def booking(self, status: str = "confirmed") -> Booking:
        """A booking of a session that has just begun."""
        session = make.SessionFactory(offering=self.offering(), starts_at=make.in_days(-0.01))
        return make.BookingFactory(session=session, status=status)

    def invitation(self) -> Any:
        an_hour_ago = make.in_days(-1 / 24)
        return invitations.invite(by=self.staff["owner"], email="coach@example.com", role="staff", now=an_hour_ago)


@dataclass(frozen=True)
class Row:
    """`action` is the contract's row; `request` gives an address and, for POST and PATCH, a body.

    `status` is what those get whom the row allows. `others` says what callers get who are no ordinary case: a status,
    or a code.
    """

    action: str
    request: Callable[[World], tuple[str, Any]]
    status: int = 200
    others: dict[str, int | str] = field(default_factory=dict)


def at(address: str, body: Any = None) -> Callable[[World], tuple[str, Any]]:
    return lambda world: (f"/v1/{address}", body)


def session(body: Any = None, verb: str = "") -> Callable[[World], tuple[str, Any]]:
    """A request to a session that nobody has booked."""
    return lambda world: (
        f"/v1/provider/sessions/{make.SessionFactory(offering=world.activity().offerings.get()).pk}{verb}",
        body,
    )


def of(kind: str, row: Any) -> str:
    return f"/v1/provider/{kind}/{row.pk}"


def new_location(world: World) -> tuple[str, Any]:
    return "/v1/provider/locations", {"name": "Pool", "address": "1 Lane", "cityId": str(make.CityFactory().pk)}


def new_activity(world: World) -> tuple[str, Any]:
    return "/v1/provider/activities", {"title": "Swim Sharks", "categoryId": str(make.CategoryFactory().pk)}


def submission(world: World) -> tuple[str, Any]:
    """All that is needed is there."""
    make.SessionFactory(offering=world.offering())
    world.account.status, world.account.verified_at = "pending", None
    world.account.description, world.account.email = "Since 1999.", "office@example.com"
    world.account.save()
    return "/v1/provider/profile/submit", None


def new_session(world: World) -> tuple[str, Any]:
    activity = world.activity()
    body = {
        "offeringId": str(activity.offerings.get().pk),
        "locationId": str(world.account.locations.get().pk),
        "startsAt": make.in_days(3).isoformat(),
        "durationMinutes": 45,
        "capacity": 10,
    }
    return f"/v1/provider/activities/{activity.pk}/sessions", body


def attendance(world: World) -> tuple[str, Any]:
    booking = world.booking()
    entry = {"bookingId": str(booking.pk), "status": "present"}
    return of("sessions", booking.session) + "/attendance", {"entries": [entry]}


def review_response(world: World) -> tuple[str, Any]:
    review = make.ReviewFactory(booking=world.booking(status="completed"))
    return of("reviews", review) + "/response", {"response": "Thank you!"}


def booking_to_cancel(world: World) -> tuple[str, Any]:
    booking = make.BookingFactory(session=make.SessionFactory(offering=world.offering()), status="confirmed")
    booking.session.enrolled = 1
    booking.session.save()
    return f"/v1/provider/bookings/{booking.pk}/cancel", {"reason": "Ill"}


ROWS: dict[str, Row] = {
    # Not about an account: anybody opens one, lists their own, accepts what is theirs.
    "POST provider/profile": Row(
        "view", at("provider/profile", {"businessName": "Second Fin"}), 201, {"stranger": 201, "parent": 201}
    ),
    "GET provider/accounts": Row("view", at("provider/accounts"), 200, {"stranger": 200}),
    "POST provider/invitations/<str:token>/accept": Row(
        "view",
        lambda world: (f"/v1/provider/invitations/{invitations.token_of(world.invitation())}/accept", None),
        # It is not for their address, whoever they are.
        404,
        {"parent": "NOT_FOUND"},
    ),
    # The account itself
    "GET provider/profile": Row("view", at("provider/profile")),
    "PATCH provider/profile": Row("edit_profile", at("provider/profile", {"businessName": "Blue Fin"})),
    # Staff
    "GET provider/staff": Row("manage_staff", at("provider/staff")),
    "POST provider/staff": Row(
        "manage_staff", at("provider/staff", {"email": "coach@example.com", "role": "staff"}), 201
    ),
    "GET provider/staff/me": Row("view", at("provider/staff/me")),
    "DELETE provider/staff/me": Row("leave", at("provider/staff/me"), 200, {"owner": "LAST_OWNER"}),
    "POST provider/staff/transfer-ownership": Row(
        "transfer_ownership",
        lambda world: ("/v1/provider/staff/transfer-ownership", {"staffId": str(world.colleague().pk)}),
    ),
    "PATCH provider/staff/<uuid:pk>": Row(
        "manage_staff", lambda world: (f"/v1/provider/staff/{world.colleague().pk}", {"role": "admin"})
    ),
    "DELETE provider/staff/<uuid:pk>": Row(
        "manage_staff", lambda world: (f"/v1/provider/staff/{world.colleague().pk}", None)
    ),
    "GET provider/invitations": Row("manage_staff", at("provider/invitations")),
    "DELETE provider/invitations/<uuid:pk>": Row(
        "manage_staff", lambda world: (f"/v1/provider/invitations/{world.invitation().pk}", None)
    ),
    "POST provider/invitations/<uuid:pk>/resend": Row(
        "manage_staff", lambda world: (f"/v1/provider/invitations/{world.invitation().pk}/resend", None)
    ),
    # Onboarding
    "GET provider/onboarding": Row("view", at("provider/onboarding")),
    "POST provider/profile/submit": Row("edit_profile", submission),
    # Locations
    "GET provider/locations": Row("view", at("provider/locations")),
    "POST provider/locations": Row("create", new_location, 201),
    "GET provider/locations/<uuid:pk>": Row("view", lambda world: (of("locations", world.location()), None)),
    "PATCH provider/locations/<uuid:pk>": Row(
        "edit", lambda world: (of("locations", world.location()), {"name": "Small pool"})
    ),
    "DELETE provider/locations/<uuid:pk>": Row("delete", lambda world: (of("locations", world.location()), None)),
    # Activities
    "GET provider/activities": Row("view", at("provider/activities")),
    "POST provider/activities": Row("create", new_activity, 201),
    "GET provider/activities/<uuid:pk>": Row("view", lambda world: (of("activities", world.activity()), None)),
    "PATCH provider/activities/<uuid:pk>": Row(
        "edit", lambda world: (of("activities", world.activity()), {"title": "Swim Sharks"})
    ),
    "DELETE provider/activities/<uuid:pk>": Row("delete", lambda world: (of("activities", world.activity()), None)),
    "POST provider/activities/<uuid:pk>/publish": Row(
        "edit", lambda world: (of("activities", world.activity()) + "/publish", None)
    ),
    "POST provider/activities/<uuid:pk>/unpublish": Row(
        "edit", lambda world: (of("activities", world.activity(status="published")) + "/unpublish", None)
    ),
    "POST provider/activities/<uuid:pk>/archive": Row(
        "edit", lambda world: (of("activities", world.activity()) + "/archive", None)
    ),
    "POST provider/activities/<uuid:pk>/restore": Row(
        "edit", lambda world: (of("activities", world.activity(status="archived")) + "/restore", None)
    ),
    # Offerings
    "GET provider/activities/<uuid:activity_id>/offerings": Row(
        "view", lambda world: (of("activities", world.activity()) + "/offerings", None)
    ),
    "POST provider/activities/<uuid:activity_id>/offerings": Row(
        "create",
        lambda world: (
            of("activities", world.activity()) + "/offerings",
            {"type": "camp", "priceCents": 9900},
        ),
        201,
    ),
    "GET provider/offerings/<uuid:pk>": Row("view", lambda world: (of("offerings", world.offering()), None)),
    "PATCH provider/offerings/<uuid:pk>": Row(
        "edit", lambda world: (of("offerings", world.offering()), {"priceCents": 9900})
    ),
    "DELETE provider/offerings/<uuid:pk>": Row("delete", lambda world: (of("offerings", world.offering()), None)),
    # Images
    "GET provider/activities/<uuid:activity_id>/images": Row(
        "view", lambda world: (of("activities", world.activity()) + "/images", None)
    ),
    "POST provider/activities/<uuid:activity_id>/images": Row(
        "create", lambda world: (of("activities", world.activity()) + "/images", {"contentType": "image/png"}), 201
    ),
    "PATCH provider/images/<uuid:pk>": Row("edit", lambda world: (of("images", world.image()), {"alt": "A pool"})),
    "DELETE provider/images/<uuid:pk>": Row("delete", lambda world: (of("images", world.image()), None)),
    "POST provider/images/<uuid:pk>/complete": Row(
        "create", lambda world: (of("images", world.image(status="ready")) + "/complete", None)
    ),
    # The schedule
    "GET provider/activities/<uuid:activity_id>/sessions": Row(
        "view", lambda world: (f"/v1/provider/activities/{world.activity().pk}/sessions", None)
    ),
    "POST provider/activities/<uuid:activity_id>/sessions": Row("create", new_session, 201),
    "GET provider/sessions/<uuid:session_id>": Row("view", session()),
    "PATCH provider/sessions/<uuid:session_id>": Row("edit", session({"capacity": 12})),
    "DELETE provider/sessions/<uuid:session_id>": Row("delete", session()),
    # Whoever is let in is told that this is no CSV.
    "POST provider/import": Row("edit", at("provider/import", {}), 415),
    # Daily work
    "GET provider/dashboard": Row("view", at("provider/dashboard")),
    "GET provider/bookings": Row("view", at("provider/bookings")),
    "GET provider/bookings/<uuid:pk>": Row("view", lambda world: (of("bookings", world.booking()), None)),
    "GET provider/sessions/<uuid:session_id>/roster": Row(
        "view", lambda world: (of("sessions", world.booking().session) + "/roster", None)
    ),
    "POST provider/sessions/<uuid:session_id>/attendance": Row("create", attendance),
    "GET provider/reviews": Row("view", at("provider/reviews")),
    "POST provider/calendar": Row("view", at("provider/calendar"), 201),
    "DELETE provider/calendar": Row("view", at("provider/calendar")),
    "POST provider/reviews/<uuid:review_id>/response": Row("create", review_response),
    # Cancelling
    "POST provider/sessions/<uuid:session_id>/cancel": Row("cancel", session({"reason": "Ill"}, "/cancel")),
    "POST provider/bookings/<uuid:booking_id>/cancel": Row("cancel", booking_to_cancel),
}
