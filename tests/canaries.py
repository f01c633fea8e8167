"""Canaries: details of people who do not exist, unlike any other text, and the search for them where they must not be.

Who lets the system work with these may search whatever it leaves behind: `found_in(dump)` names those that got out.
"""

from typing import Any

from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from local.canaries import dump_redis, forms, found_in

__all__ = ["PERSONAL", "PHONES", "CapturedReports", "canaries", "dump_database", "dump_redis", "forms", "found_in"]

PERSONAL = {
    "parent's first name": "Quillonette",
    "parent's last name": "Varnhagenova",
    "parent's e-mail": "quillonette.canary@mail.example",
    "child's first name": "Peregrinella",
    "child's last name": "Varnhagenchild",
    "child's birth date": "2018-03-19",
    "provider's first name": "Ottokarine",
    "provider's last name": "Zwerschke",
    "provider's e-mail": "ottokarine.canary@mail.example",
    "invited e-mail": "invited.canary@mail.example",
    "business's e-mail": "office.canary@mail.example",
    "address": "17 Kanarienvogel Crescent",
    "reason of a cancellation": "broken collarbone canary",
    "subject of a conversation": "peanut allergy canary",
    "message": "she carries an epipen canary",
    "review": "the changing room canary",
    "report": "insulting tone canary",
    "interest typed into the search": "wheelchair canary",
    "payer's name": "Cardholda Canarius",
    "payer's e-mail": "payer.canary@mail.example",
    "UPI address": "quillonette.canary@okbank",
    "card's last digits": "card-4519-canary",
    "bank account": "50100canary7788",
    "wallet": "wallet-canary",
    "idempotency key": "my-kid-peregrinella-key-canary",
}
PHONES = {
    "us": {"parent's phone": "+15125550187", "business's phone": "+15125550143", "payer's phone": "+15125550176"},
    "in": {"parent's phone": "+919876500187", "business's phone": "+919876500143", "payer's phone": "+919876500176"},
}


def canaries(region: str) -> dict[str, str]:
    """All of them, by what they are; phones are of the region's country."""
    return PERSONAL | PHONES[region]


def dump_database(connection: Any) -> bytes:
    """All rows of all tables of a Django connection's database, as COPY writes them."""
    parts = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            with cursor.copy(f'COPY "{table}" TO STDOUT') as rows:
                parts += [table.encode(), *(bytes(row) for row in rows)]
    return b"\n".join(parts)


class CapturedReports(Transport):
    """The last step of Sentry's SDK, which keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.sent.append(envelope.serialize())
