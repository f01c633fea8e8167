"""Addresses that do not take our mail, as the mail provider tells through anymail's webhooks."""

from collections.abc import Iterable
from datetime import datetime

import structlog
from anymail.exceptions import AnymailError, AnymailWebhookValidationFailure
from anymail.signals import AnymailTrackingEvent, EventType, RejectReason
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils.module_loading import import_string

from core.errors import Error, NotFound, ValidationFailed
from notifications.models import Bounce, BounceReason
from notifications.preferences import hash_of
from users.models import User

log = structlog.get_logger("juniro.notifications")

# How anymail names the readers of the providers' formats, by the last part of our address.
READERS = {
    "brevo": "BrevoTrackingWebhookView",
    "mailersend": "MailerSendTrackingWebhookView",
    "mailgun": "MailgunTrackingWebhookView",
    "mailjet": "MailjetTrackingWebhookView",
    "mailtrap": "MailtrapTrackingWebhookView",
    "postal": "PostalTrackingWebhookView",
    "postmark": "PostmarkTrackingWebhookView",
    "resend": "ResendTrackingWebhookView",
    "sendgrid": "SendGridTrackingWebhookView",
    "sparkpost": "SparkPostTrackingWebhookView",
}


class InvalidSignature(Error):
    status, code, message = 400, "INVALID_SIGNATURE", "The webhook does not prove that it comes from our mail provider."


def read(provider: str, request: HttpRequest) -> list[AnymailTrackingEvent]:
    """The events that the provider posts. Raises `NotFound` where it is not set up, `InvalidSignature`,
    `ValidationFailed`.
    """
    if provider not in READERS or not settings.ANYMAIL["WEBHOOK_SECRET"]:
        raise NotFound
    try:
        reader = import_string(f"anymail.webhooks.{provider}.{READERS[provider]}")()
    except ImproperlyConfigured:
        log.error("mail provider not set up", provider=provider)
        raise NotFound from None
    try:
        reader.run_validators(request)
        return reader.parse_events(request)
    except AnymailWebhookValidationFailure:
        raise InvalidSignature from None
    except (AnymailError, ImproperlyConfigured, ValueError, LookupError, TypeError, AttributeError) as error:
        log.warning("unreadable bounce", provider=provider, error=type(error).__name__)
        raise ValidationFailed("This is not in the provider's format.") from None


def record(events: Iterable[AnymailTrackingEvent], *, now: datetime) -> None:
    """Notes who cannot, or does not want to, get our mail. The same event again changes nothing."""
    for event in events:
        reason, address = reason_of(event), (event.recipient or "").strip()
        if reason is None or not address:
            continue
        for user in User.objects.filter(email__in={address, address.lower()}):
            Bounce.objects.update_or_create(
                user=user,
                email_sha256=hash_of(address),
                defaults={"reason": reason, "happened_at": event.timestamp or now},
            )
            log.info("bounce recorded", user=str(user.pk), reason=str(reason))


def reason_of(event: AnymailTrackingEvent) -> BounceReason | None:
    """Why the address takes no more mail; None for what may pass, and for all other news."""
    if event.event_type == EventType.COMPLAINED:
        return BounceReason.COMPLAINT
    is_final = event.event_type in (EventType.BOUNCED, EventType.REJECTED)
    if is_final and event.reject_reason in (RejectReason.BOUNCED, RejectReason.INVALID):
        # Postmark's soft bounces are told as bounces, too.
        is_soft = isinstance(event.esp_event, dict) and event.esp_event.get("Type") == "SoftBounce"
        return None if is_soft else BounceReason.HARD_BOUNCE
    return None
