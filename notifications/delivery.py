"""Bringing notifications to their mailbox.

The row is the outbox. A worker claims it by pushing `next_attempt_at` ahead and committing, sends the mail outside of
any transaction, and notes the end. A worker that dies before sending loses nothing: the row is due again after the
lease. One that dies, or loses the connection, between the mail server's yes and our commit makes for a second mail; its
Message-ID is the same, so that mail programs fold the two. With a server that cannot be asked what it has, there is no
way to have neither a loss nor that.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from http import HTTPStatus
from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPSenderRefused
from typing import Any
from uuid import UUID

import structlog
from anymail.exceptions import AnymailAPIError, AnymailError, AnymailInvalidAddress, AnymailRecipientsRefused
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import transaction

from notifications import preferences
from notifications.contents import contents, reader_of
from notifications.letters import compose
from notifications.models import OPTIONAL, Notification, NotificationStatus

log = structlog.get_logger("juniro.notifications")

# Longer than any mail server lets us wait, so that no second worker sends what a first one is sending.
LEASE = timedelta(minutes=5)
# With the pauses between them, a day.
MAX_ATTEMPTS = 12


class OutOfReach(Exception):
    """The mail server takes no mail at present: it is no use to try the next one."""


def deliver(notification_id: UUID, *, now: datetime) -> bool:
    """Delivers one notification; False if it is not due, or another worker has it. Raises `OutOfReach`."""
    return attempt(claim(now=now, notification_id=notification_id), now=now)


def deliver_next(*, now: datetime) -> bool:
    """Delivers the notification that has waited longest; False if none is due. Raises `OutOfReach`."""
    return attempt(claim(now=now), now=now)


def claim(*, now: datetime, notification_id: UUID | None = None) -> Notification | None:
    """A due notification that is ours alone for the length of the lease."""
    with transaction.atomic():
        due = Notification.objects.due(now=now).order_by("next_attempt_at")
        if notification_id:
            due = due.filter(pk=notification_id)
        row = due.select_for_update(of=("self",), no_key=True, skip_locked=True).select_related("user__parent").first()
        if row is not None:
            row.attempts += 1
            row.next_attempt_at = now + LEASE
            row.save(update_fields=["attempts", "next_attempt_at", "updated_at"])
    return row


def attempt(row: Notification | None, *, now: datetime) -> bool:
    """Sends a claimed notification, or settles why it is not sent."""
    if row is None:
        return False
    if row.attempts > MAX_ATTEMPTS:
        fail(row, "Given up: no worker came to an end with it.", now=now)
        return True
    try:
        ended = send(row, now=now)
    except (SMTPRecipientsRefused, AnymailRecipientsRefused, AnymailInvalidAddress) as error:
        refused(row, error, now=now)
    except (OSError, AnymailError) as error:
        put_off(row, error, now=now)
        if not is_about_one_mail(error):
            raise OutOfReach from error
    except Exception as error:
        log.exception("notification cannot be written", notification=str(row.pk), kind=row.kind)
        put_off(row, error, now=now)
    else:
        end(row, *ended, now=now)
    return True


def is_about_one_mail(error: Exception) -> bool:
    """Whether the server said no to this very mail, and may well take others."""
    if isinstance(error, AnymailAPIError):
        said = error.status_code or HTTPStatus.SERVICE_UNAVAILABLE
        everybody = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
        return said < HTTPStatus.INTERNAL_SERVER_ERROR and said not in everybody
    return isinstance(error, SMTPSenderRefused | SMTPDataError | AnymailError)


def send(row: Notification, *, now: datetime) -> tuple[NotificationStatus, str]:
    """Sends the mail where there is one to send; returns how the notification ends, and why if it is not sent."""
    status, user = Notification.Status, row.user
    if user.home_region != settings.REGION:
        return status.DROPPED, "The user is at home in the other region."
    content = contents()[row.kind]
    subject = content.find([row.subject_id], user.pk).get(row.subject_id) if row.subject_id else None
    if subject is None:
        return status.DROPPED, "What it tells of is gone."
    if not content.still(subject, now):
        return status.DROPPED, "It was no longer true."
    if silence := preferences.why_silent(user, row.kind):
        return status.MUTED, silence
    is_optional = row.kind in OPTIONAL
    reader = reader_of(user, at=row.created_at)
    mail = compose(
        content.write(subject, reader),
        to=user.email,
        reader=reader,
        key=row.pk,
        attachments=content.attach(subject, reader),
        unsubscribe_url=preferences.unsubscribe_url(user.pk, row.kind) if is_optional else "",
        is_optional=is_optional,
    )
    hand_over(mail)
    return status.SENT, ""


def hand_over(mail: EmailMultiAlternatives) -> None:
    """Gives `mail` to the mail server, and returns with its yes. Raises `OSError`, `AnymailError`."""
    connection = mail.connection or get_connection()
    connection.open()
    try:
        connection.send_messages([mail])
    finally:
        # Trouble with saying goodbye must not make it go out again.
        with suppress(OSError):
            connection.close()


def end(row: Notification, status: NotificationStatus, why: str, *, now: datetime) -> None:
    sent_at = now if status == Notification.Status.SENT else None
    settle(row, now=now, status=status, error=why, sent_at=sent_at, next_attempt_at=None)


def refused(row: Notification, error: Exception, *, now: datetime) -> None:
    if is_for_good(error):
        fail(row, "The mail server refuses the address.", now=now)
    else:
        put_off(row, error, now=now)


def is_for_good(error: Exception) -> bool:
    """Whether the address was refused, and the server does not say that we may try again."""
    if isinstance(error, SMTPRecipientsRefused):
        return any(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, AnymailRecipientsRefused | AnymailInvalidAddress)


def put_off(row: Notification, error: Exception, *, now: datetime) -> None:
    """Tries again later, each time after a longer pause; in the end gives up."""
    # Its name only: what it says may hold the address.
    log.warning("notification not sent", notification=str(row.pk), kind=row.kind, error=type(error).__name__)
    if row.attempts >= MAX_ATTEMPTS:
        fail(row, f"Given up after {row.attempts} attempts: {type(error).__name__}.", now=now)
    else:
        settle(row, now=now, error=type(error).__name__, next_attempt_at=now + backoff(row.attempts))


def fail(row: Notification, why: str, *, now: datetime) -> None:
    log.error("notification failed", notification=str(row.pk), kind=row.kind, attempts=row.attempts)
    settle(row, now=now, status=Notification.Status.FAILED, error=why, next_attempt_at=None)


def settle(row: Notification, *, now: datetime, **changes: Any) -> None:
    """Writes what became of the claim, unless the lease is over and another worker has it."""
    mine = Notification.objects.filter(pk=row.pk, status=Notification.Status.PENDING, attempts=row.attempts)
    mine.update(**changes, updated_at=now)


def backoff(attempts: int) -> timedelta:
    """One minute, two, four … up to six hours."""
    return min(timedelta(minutes=2 ** min(attempts - 1, 9)), timedelta(hours=6))
