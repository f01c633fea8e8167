"""Showing what stays masked: one record, one time, with a reason that stays in its history."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action

from core.admin.verbs import ReasonForm

if TYPE_CHECKING:
    from core.admin.pages import Admin

log = structlog.get_logger("juniro.admin")


def reveal(
    shown: Callable[[Any], dict[str, Any]], *, title: str = "Reveal", when: Callable[[Any], bool] = lambda row: True
) -> Any:
    """An action on a row's page that asks why, writes that down, and answers once with what `shown(row)` gives.

    Nothing of it is kept, logged or cached. The page class grants it by `has_reveal_permission`.
    """

    @action(description=title, permissions=["reveal"], icon="visibility")
    def act(self: "Admin", request: HttpRequest, object_id: str) -> HttpResponse:
        (row,) = self.rows_of(request, None, object_id)
        back = reverse(self.change_url_name(), args=[object_id])
        if not when(row) or not self.may("reveal", request, row):
            messages.error(request, "There is nothing to reveal here.")
            return HttpResponseRedirect(back)
        applied = request.method == "POST" and "apply" in request.POST
        form = ReasonForm(request.POST if applied else None, rows=[row])
        form.fields["reason"].help_text = "Who needs it, and for what. It stays in the history of this record."
        if not (applied and form.is_valid()):
            consequences = ["What is masked is shown once, to you."]
            return self.ask(request, title=title, rows=[row], form=form, consequences=consequences, back=back)
        values = shown(row)
        # Committed before anything is shown: without it there is no looking.
        self.log_change(request, row, f"Revealed: {form.cleaned_data['reason']}")
        log.info("personal data revealed", staff=str(request.user.pk), record=f"{self.opts.label} {row.pk}")
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": f"Revealed: {row}"}
        context |= {"shown": values, "reason": form.cleaned_data["reason"], "back": back}
        request.current_app = self.admin_site.name
        answer = TemplateResponse(request, "admin/revealed.html", context)
        answer["Cache-Control"] = "private, no-store"
        return answer

    act.when, act.permission = when, "reveal"
    return act
