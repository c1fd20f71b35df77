"""Transactions for a configuration: made of what it names and of strangers, the same ones each time."""

import dataclasses
import random
import re
import zlib

ADDRESSES = ["10.1.2.3", "192.0.2.7", "192.0.2.200", "198.51.100.23", "203.0.113.9", "2001:db8::25"]
NAMES = ["unknown", "mail.good.example", "dyn-1-2.isp.example", "mx.bad.example", "bad.example", "relay.sub.bad.example"]
GREETINGS = ["localhost", "mail.good.example", "mx.bad.example", "friend"]
SENDERS = ["", "alice@ours.example", "bob@bad.example", "carol@sub.bad.example", "news@good.example", "dave+tag@ours.example"]
USERS = ["", "", "alice@ours.example", "carol"]
RECIPIENTS = ["r@ours.example", "postmaster@ours.example", "sales@ours.example", "x@elsewhere.example", "sales+tag@ours.example"]
SIZES = [0, 500, 5000, 20000000]


@dataclasses.dataclass
class Transaction:
    client: str
    name: str
    helo: str
    sender: str
    user: str
    recipients: list
    size: int = 0
    tls: str = ""

    def describe(self):
        return (f"client={self.client}[{self.name}] helo={self.helo} user={self.user} from=<{self.sender}> "
                f"to={','.join(self.recipients)} size={self.size} tls={self.tls}")


def named_in(text):
    """Addresses, networks and mailboxes of the configuration, as values to try."""
    found = {"client": [], "mail": [], "domain": []}
    found["mail"] = re.findall(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", text)
    for address in re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text):
        if all(int(part) < 256 for part in address.split(".")) and not address.startswith("0."):
            found["client"] += [address, address.rsplit(".", 1)[0] + ".77"]
    found["client"] += [part for part in re.findall(r"2001:db8:[0-9a-f:]*[0-9a-f]\b", text)]
    for domain in re.findall(r"(?<![\w@.-])(?:[a-z][\w-]*\.)+example\b", text):
        found["domain"] += [domain, "below." + domain]
    return {kind: sorted(set(values)) for kind, values in found.items()}


def of(name, text, count=20, several=False, apart=False):
    """`several`: messages with many recipients, too. `apart`: who has not logged in sends as nobody who has."""
    chance = random.Random(zlib.crc32(name.encode()))
    named = named_in(text)

    def pick(common, own):
        return chance.choice(own) if own and chance.random() < 0.6 else chance.choice(common)

    mails = named["mail"] + [f"{chance.choice(['u', 'postmaster', 'sales'])}@{d}" for d in named["domain"]]
    few = chance.sample(SENDERS[1:], 2)
    result = []
    for _ in range(count):
        steady = chance.random() < 0.5  # limits want the same key again and again
        result.append(Transaction(
            client=ADDRESSES[1] if steady else pick(ADDRESSES, named["client"]),
            name=pick(NAMES, named["domain"]),
            helo=pick(GREETINGS, named["domain"]),
            sender=chance.choice(few) if steady else pick(SENDERS, mails),
            user=chance.choice([USERS[0], USERS[2]]) if steady else pick(USERS, named["mail"]),
            recipients=[pick(RECIPIENTS, mails) for _ in range(chance.choice([1, 1, 2, 6]) if several else 1)],
            size=chance.choice(SIZES),
            tls=chance.choice(["", "", "TLSv1.2", "TLSv1.3"]),
        ))
    if apart:
        users = {one.user for one in result}
        for one in result:
            if not one.user and one.sender in users:
                one.sender = "other@ours.example"
    return result


def configurations(path):
    """Of a file: "=== name: options" before each."""
    result = []
    for part in re.split(r"(?m)^=== ", path.read_text())[1:]:
        head, text = part.split("\n", 1)
        name, _, options = head.partition(":")
        result.append((name.strip(), options.split(), text))
    names = [name for name, _, _ in result]
    assert len(names) == len(set(names)), "a name is there twice"
    return result
