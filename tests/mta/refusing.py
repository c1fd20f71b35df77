"""A server that answers each recipient as the recipient's name asks for, and keeps what comes to the sender.

"case12-rcpt@…" is refused at RCPT with the 12th answer, "case12-data@…" after the final dot; "sender@…" is taken.
"""

import re
import socketserver
import threading

# As mail systems of all kinds word their refusals: one line, several, with and without an enhanced code.
ANSWERS = [
    "550 5.1.1 No mailbox of that name here",
    "550-5.1.1 The account you write to\n550-5.1.1 is none of ours. Look for\n550 5.1.1 typing errors, please - gsmtp",
    "550 5.4.1 Recipient address rejected: Access denied. [AMS0.eurprd01.prod.outlook.com 2026-11-29T10:00:00.000Z]",
    "553 that address is unknown",
    "550 we know nobody of that name (256/256 bits)",
    "552 5.2.2 The mailbox is over its quota",
    "550 5.2.1 The account has been disabled",
    "551 5.1.6 The recipient moved to another server",
    "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org; https://check.spamhaus.org/query/ip/192.0.2.7",
    "554 5.7.1 blocked using zen.spamhaus.org; Error: open resolver; https://check.spamhaus.org/returnc/pub/192.0.2.7/",
    "550 5.7.1 Messages from [192.0.2.7] weren't sent. Part of their network is on our block list (S3150).",
    "550 5.7.606 Access denied, banned sending IP [192.0.2.7]. To request removal visit https://sender.office.com/ (AS1430)",
    "550-5.7.26 The sender is unauthenticated. Gmail asks for SPF or DKIM.\n550 5.7.26 DKIM = did not pass. d2e1a72fcca58 - gsmtp",
    "550 5.7.25 The address 192.0.2.7 has no PTR record - gsmtp",
    "553 5.7.2 [TSS09] All messages from 192.0.2.7 will be permanently deferred; https://senders.yahooinc.com/",
    "554 5.7.9 Message not accepted for policy reasons. See https://senders.yahooinc.com/error-codes",
    "554 delivery error: dd This user doesn't have a there.test account (-5) - mta4.mail.there.test",
    "550 5.5.0 Sender domain does not resolve",
    "550 Requested action not taken: mailbox unavailable\n",
    "554-Transaction failed\n554-Reject due to policy restrictions.\n554 For explanation visit https://postmaster.gmx.net/en/case?c=r0301",
    "550 5.7.1 [CS01] Message rejected due to local policy. https://support.apple.com/en-us/HT204137",
    "550 5.7.0 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.7",
    "554 Email rejected due to security policies - https://community.mimecast.com/docs/DOC-1369#554 [aB3-x]",
    "550 cuda_nsu 5.1.1 nobody of that name",
    "550 5.2.0 Mail rejete. Mail rejected. OFR_506 [506]",
    "550 Ip frequency limited [M7nT0x 192.0.2.7]. https://service.mail.qq.com/detail/0/70",
    "554 DT:SPM 163 smtp1, please see https://mail.163.com/help/help_spam_16.htm?ip=192.0.2.7",
    "554 5.7.1 Message rejected under suspicion of SPAM; https://ya.cc/1IrBc 1234567890-abc",
    "550 spam message rejected. Please visit https://help.mail.ru/notspam-support/id?c=x",
    "554 5.7.1 This domain sends to spam traps (421 times)",
    "550 5.7.1 Relaying denied",
    "552 5.3.4 Message size exceeds our limit of 10 MB",
    "530 5.7.0 Encryption needed: issue STARTTLS first",
    "571 the message was refused by the recipient's filter",
    "550 #5.1.1 bad recipient",
    "554 5.7.1 virus Eicar-Test found, call +49 555 123 4567",
]
SENDER = "sender@back.test"


class Handler(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.strip().replace("\n", "\r\n").encode() + b"\r\n")

    def handle(self):
        self.say("220 there.test ESMTP")
        answer, recipients = None, []
        for line in self.rfile:
            word = line.split(b":")[0].strip().upper().split(b" ")[0]
            if word in (b"EHLO", b"HELO"):
                self.say("250 there.test")
            elif word == b"RCPT":
                case = re.search(rb"<case(\d+)-(rcpt|data)@", line)
                if case and case[2] == b"rcpt":
                    self.say(ANSWERS[int(case[1])])
                    continue
                answer = ANSWERS[int(case[1])] if case else None
                recipients.append(line)
                self.say("250 2.1.5 Ok")
            elif word == b"DATA":
                self.say("354 go on")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                if answer is None and recipients:
                    self.server.bounces.append(re.sub(rb"^\.", b"", text, flags=re.M).replace(b"\r\n", b"\n"))
                self.say(answer or "250 2.0.0 Ok")
                answer, recipients = None, []
            elif word == b"QUIT":
                self.say("221 2.0.0 Bye")
                return
            else:
                self.say("250 2.0.0 Ok")


class RefusingServer(socketserver.ThreadingTCPServer):
    """At a loopback port while the `with` lasts; `bounces` are the messages that came to the sender."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port):
        super().__init__(("127.0.0.1", port), Handler)
        self.bounces = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
