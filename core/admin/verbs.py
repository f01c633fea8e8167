"""Verbs of models as actions that ask first, and are logged."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db import router, transaction
from django.db.models import QuerySet
from django.forms import CharField, Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from core.errors import Error

if TYPE_CHECKING:
    from core.admin.pages import Admin

MOST_AT_ONCE = 100


class AskForm(Form):
    """What a verb asks for before it runs, about `rows`; its cleaned data are the verb's keywords."""

    def __init__(self, *args: Any, rows: list[Any], **options: Any):
        super().__init__(*args, **options)
        self.rows = rows


class ReasonForm(AskForm):
    reason = CharField(max_length=500, widget=UnfoldAdminTextareaWidget({"rows": 3}))


def verb(
    *,
    title: str,
    past: str,
    when: Callable[[Any], bool],
    run: Callable[..., Any],
    reason: str = "",
    form: type[AskForm] = AskForm,
    tells: Callable[..., Iterable[str]] | None = None,
    by_staff: bool = False,
    permission: str = "change",
    icon: str | None = None,
    variant: ActionVariant = ActionVariant.DEFAULT,
) -> Any:
    """A verb of the model as an admin action, on the list and on a row's page.

    It asks first (so that no GET changes anything), then calls `run(row, now=…)` for each row that is ready by `when`,
    and writes a log entry in the same transaction. With `reason`, the help text of a required field, it calls
    `run(row, now=…, reason=…)`; a `form` of its own adds its fields in the same way, and `by_staff` adds `by=` who is
    signed in. What `tells(rows, now=…)` says of the consequences stands on the page that asks. A text that `run` gives
    is said and logged instead of `past`. An `Error` of the model becomes a message.
    """
    asking = ReasonForm if reason and form is AskForm else form

    @action(description=title, permissions=[permission], icon=icon, variant=variant)
    def act(
        self: "Admin", request: HttpRequest, queryset: QuerySet | None = None, object_id: str | None = None
    ) -> HttpResponse | None:
        rows = self.rows_of(request, queryset, object_id)
        # On the list, Django itself returns there after an action.
        back = None if object_id is None else HttpResponseRedirect(reverse(self.change_url_name(), args=[object_id]))
        if len(rows) > MOST_AT_ONCE:
            messages.error(request, f"At most {MOST_AT_ONCE} rows at once, please.")
            return back
        ready = [row for row in rows if when(row) and self.may(permission, request, row)]
        for row in rows:
            if row not in ready:
                messages.error(request, f"{title} is not possible for {row} ({self.state_of(row)}).")
        if not ready:
            return back
        applied = "apply" in request.POST
        given = asking(request.POST if applied else None, rows=ready)
        if reason:
            given.fields["reason"].help_text = reason
        if applied and given.is_valid():
            for row in ready:
                perform(self, request, row, given.cleaned_data)
            return back
        try:
            consequences = list(tells(ready, now=timezone.now())) if tells else []
        except Error as error:
            messages.error(request, error.message)
            return back
        return self.ask(
            request,
            title=title,
            rows=ready,
            form=given,
            consequences=consequences,
            back=back.url if back else request.get_full_path(),
            button="danger" if variant is ActionVariant.DANGER else "primary",
        )

    def perform(self: "Admin", request: HttpRequest, row: Any, given: dict[str, Any]) -> None:
        now: datetime = timezone.now()
        staff = {"by": request.user} if by_staff else {}
        try:
            with transaction.atomic(using=router.db_for_write(type(row))):
                answer = run(row, now=now, **given, **staff)
                said = answer if isinstance(answer, str) else past
                self.log_change(request, row, f"{said}: {given['reason']}" if "reason" in given else f"{said}.")
        except Error as error:
            messages.error(request, f"{row}: {error.message}")
        else:
            messages.success(request, f"{said}: {row}.")

    act.when, act.permission = when, permission
    return act
