"""How sensitive each column is, said beside its model and checked by Django's checks (docs/privacy.md has the map).

Every model carries a `privacy = Privacy(…)` that names each of its columns once. `manage.py makemigrations`, `migrate`
and the tests fail for a column that is on no list.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.apps import apps
from django.core import checks
from django.db import models


class Sensitivity(StrEnum):
    HIGH = "PII high"
    MEDIUM = "PII medium"
    OPERATIONAL = "operational"
    PUBLIC = "public"

    @property
    def is_personal(self) -> bool:
        return self in (Sensitivity.HIGH, Sensitivity.MEDIUM)


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """The columns of one model by sensitivity, as names with spaces between them.

    `high`: who somebody is, what they wrote in private, how they pay, and secrets. `medium`: what leads to a person,
    such as an address. `operational`: ids, states, times and amounts, which say nothing without a personal column.
    `public`: what anybody may read.
    """

    high: str = ""
    medium: str = ""
    operational: str = ""
    public: str = ""

    def columns(self) -> Iterator[tuple[str, Sensitivity]]:
        for sensitivity in Sensitivity:
            for name in getattr(self, sensitivity.name.lower()).split():
                yield name, sensitivity


# Tables of other people's apps, which cannot say it themselves.
OTHERS: dict[str, Privacy] = {
    "admin.LogEntry": Privacy(
        medium="object_repr change_message",
        operational="id action_time user content_type object_id action_flag",
    ),
    "auth.Permission": Privacy(operational="id name content_type codename"),
    "auth.Group": Privacy(operational="id name"),
    "axes.AccessAttempt": Privacy(
        high="username ip_address user_agent get_data post_data http_accept path_info",
        operational="id attempt_time failures_since_start",
    ),
    "axes.AccessAttemptExpiration": Privacy(operational="access_attempt expires_at"),
    "axes.AccessFailureLog": Privacy(
        high="username ip_address user_agent http_accept path_info", operational="id attempt_time locked_out"
    ),
    "axes.AccessLog": Privacy(
        high="username ip_address user_agent http_accept path_info session_hash",
        operational="id attempt_time logout_time",
    ),
    "contenttypes.ContentType": Privacy(operational="id app_label model"),
    "otp_static.StaticDevice": Privacy(
        operational="id user name confirmed created_at last_used_at throttling_failure_timestamp "
        "throttling_failure_count"
    ),
    "otp_static.StaticToken": Privacy(high="token", operational="id device"),
    "otp_totp.TOTPDevice": Privacy(
        high="key",
        operational="id user name confirmed created_at last_used_at throttling_failure_timestamp "
        "throttling_failure_count step t0 digits tolerance drift last_t",
    ),
    "sessions.Session": Privacy(high="session_key session_data", operational="expire_date"),
}


def sensitivities(model: type[models.Model]) -> dict[str, Sensitivity]:
    """What `model` says of its columns, by field name; its abstract parents' words included."""
    tracked = getattr(model, "pgh_tracked_model", None)
    if tracked is not None:
        # A table of old versions is as sensitive as what it keeps versions of.
        own = {field.name: Sensitivity.OPERATIONAL for field in columns(model) if field.name.startswith("pgh_")}
        return own | {name: said for name, said in sensitivities(tracked).items() if name in field_names(model)}
    if model._meta.auto_created:
        # Django's own table of a many-to-many relation: pairs of ids.
        return dict.fromkeys(field_names(model), Sensitivity.OPERATIONAL)
    said: dict[str, Sensitivity] = {}
    for parent in reversed(model.__mro__):
        said |= dict(vars(parent).get("privacy", Privacy()).columns())
    return said | dict(OTHERS.get(model._meta.label, Privacy()).columns())


def personal_columns(model: type[models.Model]) -> set[str]:
    """The columns of `model` that hold PII, high or medium."""
    return {name for name, said in sensitivities(model).items() if said.is_personal}


def columns(model: type[models.Model]) -> list[models.Field]:
    return [field for field in model._meta.concrete_fields if isinstance(field, models.Field)]


def field_names(model: type[models.Model]) -> set[str]:
    return {field.name for field in columns(model)}


def classified_models() -> list[type[models.Model]]:
    """Every model that has a table, Django's and other people's included."""
    return [each for each in apps.get_models(include_auto_created=True) if not each._meta.proxy]


def faults(model: type[models.Model]) -> Iterator[str]:
    """What is wrong with what `model` says of its columns."""
    names, said = field_names(model), set(sensitivities(model))
    for name in sorted(names - said):
        yield f"{model._meta.label}.{name} is not classified."
    for name in sorted(said - names):
        yield f"{model._meta.label}.{name} is classified, and there is no such column."
    own = [name for name, _ in vars(model).get("privacy", Privacy()).columns()]
    for name in sorted({name for name in own if own.count(name) > 1}):
        yield f"{model._meta.label}.{name} is classified twice."


@checks.register(checks.Tags.models)
def check_classification(app_configs: Any, **_: Any) -> list[checks.CheckMessage]:
    return [
        checks.Error(
            fault,
            hint="Name it in the model's `privacy`, or for other people's models in core/classification.py.",
            id="core.E001",
        )
        for model in classified_models()
        for fault in faults(model)
    ]
