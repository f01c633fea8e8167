"""The last mail to an account. Its address is kept for just as long as that takes."""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from anymail.exceptions import AnymailError
from django.conf import settings

from notifications.delivery import LEASE, hand_over, is_for_good
from notifications.emails import Erasure, erasure_receipt
from notifications.letters import Reader, compose
from privacy.models import ErasureRequest

log = structlog.get_logger("juniro.privacy")

TRIED_FOR = timedelta(days=1)


def send_receipt(request_id: UUID, *, now: datetime) -> None:
    """Tells the former user that their account is no more, and forgets the address.

    The claim pushes the next attempt ahead, so that two workers send one mail. A mail server that is out of reach is
    tried again for a day, each time after about as long as it has failed so far.
    """
    request = ErasureRequest.objects.filter(pk=request_id, receipt_due_at__lte=now).first()
    if request is None or request.erased_at is None:
        return
    mine = ErasureRequest.objects.filter(pk=request.pk, receipt_due_at=request.receipt_due_at)
    due_at = now + max(LEASE, now - request.erased_at)
    if not mine.update(receipt_due_at=due_at):
        return
    claimed = ErasureRequest.objects.filter(pk=request.pk, receipt_due_at=due_at)
    if now >= request.erased_at + TRIED_FOR:
        log.error("erasure receipt given up", request=str(request.pk))
        claimed.update(receipt_to="", receipt_due_at=None, updated_at=now)
        return
    reader = Reader(name="", region=settings.REGION, at=now)
    letter = erasure_receipt(Erasure(receipt=str(request.pk), at=request.erased_at), reader)
    try:
        hand_over(compose(letter, to=request.receipt_to, reader=reader, key=request.pk))
    except (OSError, AnymailError) as error:
        # Its name only: what it says may hold the address.
        log.warning("erasure receipt not sent", request=str(request.pk), kind=type(error).__name__)
        if not is_for_good(error):
            return
    claimed.update(receipt_to="", receipt_due_at=None, updated_at=now)
