"""A mail server for the tests: takes mail from who says the right name and password, and after STARTTLS if it has a
certificate.

Arguments: ADDRESS NAME [CERTIFICATE KEY]; the password is in the environment variable CURTAIN_E2E_PASSWORD. The first
line printed is the port; then each mail that comes is one line of JSON. It ends with its input.
"""

import asyncio
import json
import logging
import os
import ssl
import sys
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=policy.default)
        say({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "login": session.auth_data,
            "tls": session.ssl is not None,
            "headers": {name: str(value) for name, value in mail.items()},
            "body": mail.get_content(),
        })
        return "250 taken"


def say(value):
    print(json.dumps(value), flush=True)


async def main():
    address, name, *files = sys.argv[1:]
    password = os.environ["CURTAIN_E2E_PASSWORD"]
    context = None
    if files:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*files)

    def judge(server, session, envelope, mechanism, data):
        good = data.login == name.encode() and data.password == password.encode()
        return AuthResult(success=good, handled=False, auth_data=name)

    def serve():
        return SMTP(
            Handler(),
            hostname="mail.example",
            tls_context=context,
            require_starttls=context is not None,
            authenticator=judge,
            auth_required=True,
            auth_require_tls=context is not None,
            loop=loop,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(serve, address, 0)
    say(server.sockets[0].getsockname()[1])
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


# That clients break off is what some tests are about.
logging.disable()
asyncio.run(main())
