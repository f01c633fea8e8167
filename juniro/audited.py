"""Which tables the audit trail follows. Changes and deletions of their rows always; of some also that a row was made.

Personal columns are noted without their values (`core/classification.py` says which they are). For each model:
`created`: the SQL condition under which a new row is noted; rows that parents and providers make by themselves say
when and by whom. `skip`: columns that are of no interest. `counters`: columns that change with each booking; an update
that changes one of them is not looked at. `key`: the column that says whose row it is, where it is not the row's own.
After a change here, a migration with `core.operations.InstallAudit()` brings the triggers along.
"""

ALWAYS = {"created": "true"}

AUDITED: dict[str, dict[str, str]] = {
    "auth.Group": ALWAYS,
    "auth.Group_permissions": ALWAYS | {"key": "group_id"},
    "users.User": {"created": "NEW.is_staff", "skip": "last_login last_seen_at"},
    "users.User_groups": ALWAYS | {"key": "user_id"},
    "users.User_user_permissions": ALWAYS | {"key": "user_id"},
    "users.Parent": {},
    "users.Child": {},
    "messaging.MessageReport": {},
    "providers.ProviderAccount": ALWAYS,
    "providers.ProviderUser": ALWAYS,
    "providers.Location": ALWAYS,
    "marketplace.Category": ALWAYS,
    "marketplace.Activity": ALWAYS,
    "marketplace.ActivityImage": {},
    "marketplace.Offering": ALWAYS,
    "marketplace.Session": {"counters": "enrolled", "skip": "sequence"},
    "bookings.Booking": {},
    "bookings.Review": {},
    "bookings.ReviewReport": {},
    "payments.Payment": {"skip": "checkout_url looked_up_at"},
    "payments.Refund": ALWAYS | {"skip": "attempts refusals next_attempt_at"},
    "payments.RefundRequest": ALWAYS,
    "geography.Country": ALWAYS,
    "geography.City": ALWAYS,
    "geography.Locality": ALWAYS,
    "regions.FeatureFlag": ALWAYS,
    "regions.AppConfig": ALWAYS,
}
