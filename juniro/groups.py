"""Who may do what in the admin: one line for each model, and behind each group its rights.

`view`, `add`, `change` and `delete` are Django's; any other right is one of the model's own (`Meta.permissions`) and
is what a verb asks for. A model that is on no line fails the tests. After a change here, a migration with
`core.operations.SeedGroups()` brings the databases along, and `manage.py groups` the table in docs/access.md.
"""

SUPPORT, VERIFICATION, FINANCE, CONTENT, ADMINISTRATORS = GROUPS = (
    "support",
    "verification",
    "finance",
    "content",
    "administrators",
)
EVERYBODY = dict.fromkeys(GROUPS, "view")


def may(rights: str, *groups: str) -> dict[str, str]:
    """The same `rights` for each of `groups`, and for administrators."""
    return dict.fromkeys((*groups, ADMINISTRATORS), rights)


RIGHTS: dict[str, dict[str, str]] = {
    # People
    "users.User": {
        SUPPORT: "view suspend_user reveal_pii",
        ADMINISTRATORS: "view add change suspend_user reveal_pii reset_second_factor",
    },
    "users.Parent": may("view", SUPPORT),
    "users.Child": may("view", SUPPORT),
    "users.Consent": may("view", SUPPORT),
    "users.AccountTombstone": may("view"),
    "messaging.Conversation": may("view", SUPPORT),
    "messaging.Message": may("view"),
    "messaging.Attachment": may("view"),
    "messaging.MessageReport": may("view", SUPPORT) | may("view read_reported_message moderate_message", CONTENT),
    "notifications.Notification": may("view change", SUPPORT),
    "notifications.NotificationPreference": may("view", SUPPORT),
    "notifications.Bounce": may("view", SUPPORT),
    "privacy.ExportRequest": may("view request_export", SUPPORT),
    "privacy.ErasureRequest": may("view request_erasure", SUPPORT),
    # Providers
    "providers.ProviderAccount": EVERYBODY | may("view change", VERIFICATION),
    "providers.ProviderUser": may("view", SUPPORT, VERIFICATION),
    "providers.Invitation": may("view", SUPPORT, VERIFICATION),
    "providers.Location": EVERYBODY,
    # Catalogue
    "marketplace.Category": EVERYBODY | may("view add change delete", CONTENT),
    "marketplace.Activity": EVERYBODY | may("view change", CONTENT),
    "marketplace.ActivityImage": EVERYBODY,
    "marketplace.Offering": EVERYBODY,
    "marketplace.Session": EVERYBODY | may("view cancel_session", SUPPORT),
    "marketplace.ParentInterest": may("view", SUPPORT),
    "regions.RatingAggregate": may("view", CONTENT),
    # Bookings
    "bookings.Booking": may("view cancel_booking", SUPPORT, FINANCE),
    "bookings.Seat": may("view", SUPPORT, FINANCE),
    "bookings.Review": may("view", SUPPORT) | may("view moderate_review", CONTENT),
    "bookings.ReviewReport": may("view", SUPPORT, CONTENT),
    "bookings.RosterView": may("view", SUPPORT),
    "bookings.CalendarFeed": may("view", SUPPORT),
    # Money
    "payments.Payment": may("view", SUPPORT) | may("view end_review", FINANCE),
    "payments.Refund": may("view", SUPPORT) | may("view retry_refund", FINANCE),
    "payments.RefundRequest": may("view refund_payment", SUPPORT) | may("view refund_payment approve_refund", FINANCE),
    "payments.WebhookEvent": may("view replay_event", FINANCE),
    "payments.Reconciliation": may("view", FINANCE),
    # Geography
    "geography.Country": EVERYBODY | may("view add change delete"),
    "geography.City": EVERYBODY | may("view add change delete"),
    "geography.Locality": EVERYBODY | may("view add change delete"),
    # Platform
    "regions.FeatureFlag": EVERYBODY | may("view add change delete"),
    "regions.AppConfig": EVERYBODY | may("view add change delete"),
    "regions.SlugReservation": may("view", VERIFICATION),
    "core.IdempotencyKey": may("view"),
    "auth.Group": may("view"),
    "admin.LogEntry": may("view"),
    "core.AuditEntry": may("view"),
    "regions.SharedAuditEntry": may("view"),
}


def as_table() -> str:
    """The whole of it for docs/access.md."""
    head = ["| | " + " | ".join(GROUPS) + " |", "|---|" + "---|" * len(GROUPS)]
    rows = [f"| `{label}` | {' | '.join(said.get(group, '–') for group in GROUPS)} |" for label, said in RIGHTS.items()]
    return "\n".join([*head, *rows])


def codenames(label: str, rights: str) -> list[str]:
    """Django's names of `rights` on the model `label`."""
    model = label.partition(".")[2].lower()
    plain = {"view", "add", "change", "delete"}
    return [f"{right}_{model}" if right in plain else right for right in rights.split()]


def rights_of(group: str) -> set[tuple[str, str, str]]:
    """App, model and codename of everything that `group` may do."""
    return {
        (*label.lower().split("."), codename)  # type: ignore[misc]
        for label, groups in RIGHTS.items()
        for codename in codenames(label, groups.get(group, ""))
    }
