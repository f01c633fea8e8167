"""The rows of the permission table: one for each method of each provider address.

Add yours here: the row of the contract's table that it needs, and a request that succeeds for those whom it allows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from marketplace.models import Activity
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

    def activity(self) -> Activity:
        """A draft that is ready to be published."""
        offering = make.OfferingFactory(
            activity__provider=self.account, activity__status="draft", activity__description="Water confidence."
        )
        self.location()
        return offering.activity

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


def session(body: Any = None) -> Callable[[World], tuple[str, Any]]:
    """A request to a session that nobody has booked."""
    return lambda world: (
        f"/v1/provider/sessions/{make.SessionFactory(offering=world.activity().offerings.get()).pk}",
        body,
    )


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
    # The schedule
    "GET provider/activities/<uuid:activity_id>/sessions": Row(
        "view", lambda world: (f"/v1/provider/activities/{world.activity().pk}/sessions", None)
    ),
    "POST provider/activities/<uuid:activity_id>/sessions": Row("create", new_session, 201),
    "GET provider/sessions/<uuid:session_id>": Row("view", session()),
    "PATCH provider/sessions/<uuid:session_id>": Row("edit", session({"capacity": 12})),
    "DELETE provider/sessions/<uuid:session_id>": Row("delete", session()),
}
