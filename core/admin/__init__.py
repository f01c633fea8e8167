"""What every admin page shares: people stay masked, verbs are asked for and logged, the rest can only be looked at."""

from core.admin.frame import environment, may_view, navigation
from core.admin.pages import Admin, LargeAdmin, NoAdd, NoDelete, ReadOnly, ReadOnlyAdmin, ReadOnlyInline, SwitchMixin
from core.admin.reveal import reveal
from core.admin.tables import IdempotencyKeyAdmin, LogEntryAdmin
from core.admin.trail import AuditEntryAdmin, TrailAdmin
from core.admin.values import (
    code,
    counted,
    label,
    link,
    links,
    list_url,
    masked,
    masked_email,
    masked_phone,
    money,
    pretty,
)
from core.admin.verbs import MOST_AT_ONCE, AskForm, verb

__all__ = [
    "MOST_AT_ONCE",
    "Admin",
    "AskForm",
    "AuditEntryAdmin",
    "IdempotencyKeyAdmin",
    "LargeAdmin",
    "LogEntryAdmin",
    "NoAdd",
    "NoDelete",
    "ReadOnly",
    "ReadOnlyAdmin",
    "ReadOnlyInline",
    "SwitchMixin",
    "TrailAdmin",
    "code",
    "counted",
    "environment",
    "label",
    "link",
    "links",
    "list_url",
    "masked",
    "masked_email",
    "masked_phone",
    "may_view",
    "money",
    "navigation",
    "pretty",
    "reveal",
    "verb",
]
