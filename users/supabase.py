"""Supabase's admin API, as far as we need it: deleting the user behind an erased account."""

import requests
import structlog
from django.conf import settings

from core.errors import ServiceUnavailable

log = structlog.get_logger("juniro.supabase")

TIMEOUT_SECONDS = (3, 10)


def delete_user(auth_id: str) -> None:
    """Deletes the Supabase user; one who is gone already counts as deleted. Raises `ServiceUnavailable`."""
    key = settings.SUPABASE_SERVICE_ROLE_KEY
    try:
        answer = requests.delete(
            f"{settings.SUPABASE_URL}/auth/v1/admin/users/{auth_id}",
            headers={"apikey": key, "Authorization": f"Bearer {key}"},
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        log.warning("supabase out of reach", kind=type(error).__name__)
        raise ServiceUnavailable("Supabase is out of reach.") from error
    if answer.status_code not in (200, 204, 404):
        log.warning("supabase did not delete a user", status=answer.status_code)
        raise ServiceUnavailable(f"Supabase answered {answer.status_code}.")
