"""Mail to people who have no account here yet, and so get no notifications."""

from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from providers.models import Invitation


def invitation_mail(invitation: Invitation, *, token: str) -> EmailMultiAlternatives:
    """The invitation to a provider's staff, in text and HTML. The link leads to the web app, which posts the token."""
    # A subject is one line, whatever the name holds.
    name = " ".join(invitation.provider_account.business_name.split())
    context: dict[str, Any] = {
        "business_name": name,
        "role": invitation.get_role_display().lower(),
        "link": f"{settings.APP_URL}/invitations/{token}",
        "email": invitation.email,
        "expires_at": invitation.expires_at,
    }
    mail = EmailMultiAlternatives(
        subject=f"{name} invites you to Juniro",
        body=render_to_string("providers/invitation.txt", context),
        to=[invitation.email],
    )
    mail.attach_alternative(render_to_string("providers/invitation.html", context), "text/html")
    return mail
