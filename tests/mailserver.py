"""A real mail server on loopback, which keeps what it gets and says no where it is told to."""

import asyncio
import email
import email.policy
import threading
from email.message import EmailMessage

from aiosmtpd.controller import Controller

from tests.conftest import free_port


class MailServer:
    """`mails` are the messages it took, parsed.

    `refuse` answers RCPT by address, `reject` answers DATA by a part of the subject; QUIT waits for `goodbye`.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.refuse: dict[str, str] = {}
        self.reject: dict[str, str] = {}
        self.goodbye = threading.Event()
        self.goodbye.set()
        self.controller: Controller | None = None

    def start(self) -> None:
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, ready_timeout=30)
        self.controller.start()

    def stop(self) -> None:
        if self.controller:
            self.controller.stop()
            self.controller = None

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 (aiosmtpd's names)
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        mail = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        for part, answer in self.reject.items():
            if part in mail["Subject"]:
                return answer
        self.mails.append(mail)
        self.recipients += envelope.rcpt_tos
        return "250 taken"

    async def handle_QUIT(self, server, session, envelope):  # noqa: N802
        await asyncio.get_running_loop().run_in_executor(None, self.goodbye.wait, 30)
        return "221 Bye"
