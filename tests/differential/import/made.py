"""Random rule sets of postfwd, and random access tables of Postfix: each construct that is carried, in any order."""

import random

TEXTS = {
    "client_name": ["unknown", "mail.good.example", "bad.example", "dyn-1-2.isp.example"],
    "helo_name": ["localhost", "friend", "mail.good.example"],
    "sender": ["bob@bad.example", "alice@ours.example", "<>", "carol@sub.bad.example"],
    "sender_domain": ["bad.example", "ours.example", "good.example"],
    "sender_localpart": ["bob", "alice"],
    "recipient": ["sales@ours.example", "x@elsewhere.example"],
    "recipient_domain": ["ours.example", "elsewhere.example"],
    "recipient_localpart": ["sales", "postmaster", "r"],
    "sasl_username": ["alice@ours.example", "carol"],
    "encryption_protocol": ["TLSv1.2", "TLSv1.3"],
}
EXPRESSIONS = [".", "^$", "bad", "^a", "example$", "^(bob|carol)@", "ours", "[0-9]", "^<>$", "^[^<]*$", "unknown", "^.+$", "a.*e"]
NETWORKS = ["192.0.2.0/24", "10.0.0.0/8", "192.0.2.7", "0.0.0.0/0", "198.51.100.0/25", "203.0.113.9"]
NUMBERS = ["0", "1", "500", "5000"]
ACTIONS = ["REJECT", "450 4.7.1 later", "DUNNO", "550 5.7.1 no", "OK", "HOLD", "DEFER later", "550", "PREPEND X-A: b", "note(x)", "WARN x",
           "rate({key}/2/3600/450 4.7.1 slow)", "rate({key}/3/3600/REJECT)", "rate({key}/1/3600/421 4.7.1 go away)"]
KEYS = ["sender", "client_address", "sasl_username", "recipient", "sender_domain", "recipient_domain", "client_name"]


def item(chance):
    kind = chance.random()
    if kind < 0.15:
        signs = ["=", "==", "!="]
        values = chance.sample(NETWORKS, chance.choice([1, 1, 2]))
        value = ",".join(values) if chance.random() < 0.8 else f"!!({values[0]})"
        return f"client_address{chance.choice(signs)}{value}"
    if kind < 0.27:
        sign = chance.choice(["==", "!=", "<", ">", "=<", "=>", "<=", ">=", "!<", "!>", "="])
        return f"size{sign}{chance.choice(NUMBERS)}"
    key = chance.choice(list(TEXTS))
    if chance.random() < 0.4:
        value = chance.choice(TEXTS[key])
        sign = chance.choice(["==", "==", "!="])
    else:
        value = chance.choice(EXPRESSIONS)
        value = chance.choice([value, f"/{value}/", f"/{value}", f"{value}/"])
        sign = chance.choice(["=~", "~=", "!~", "="])
    if chance.random() < 0.15 and not (sign == "!=" and key in ("sasl_username", "sender_domain", "sender_localpart", "helo_name", "encryption_protocol")):
        value = f"!!({value})"
    return f"{key}{sign}{value}"


def rules(seed):
    chance = random.Random(seed)
    lines = []
    for number in range(chance.randint(2, 6)):
        items = [item(chance) for _ in range(chance.choice([0, 1, 1, 2, 2, 3]))]
        if items and chance.random() < 0.15:
            again = items[0].split("=")[0].split("!")[0].split("<")[0].split(">")[0].split("~")[0]
            items += [i for i in (item(chance) for _ in range(20)) if i.startswith(again)][:1]
        action = chance.choice(ACTIONS).format(key=chance.choice(KEYS))
        lines.append("; ".join([f"id=R{number}", *items, f"action={action}"]))
    return "\n".join(lines) + "\n"


HASH_KEYS = {
    "client": ["192.0.2.7", "192.0.2", "192.0", "10", "198.51.100.23", "unknown", "bad.example", "example", "mail.good.example", "2001:db8",
               "relay.sub.bad.example", ".bad.example"],
    "helo": ["localhost", "bad.example", "mx.bad.example", "friend", "example", ".good.example"],
    "sender": ["bob@bad.example", "bad.example", "sub.bad.example", "<>", "bob@", "example", "dave@ours.example", "dave+tag@ours.example",
               "ours.example", ".bad.example", "dave@", "news@good.example"],
    "recipient": ["sales@ours.example", "sales+tag@ours.example", "ours.example", "elsewhere.example", "sales@", "postmaster@ours.example", "example",
                  "r@", "x@elsewhere.example"],
}
CIDR_KEYS = ["192.0.2.0/25", "192.0.2.0/24", "192.0.2.7", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "198.51.100.0/24", "!192.0.2.0/24"]
PATTERNS = ["/^bob@/", "/bad/", "/example$/", "/^[^.]+$/", "/unknown/", "/^<>$/", "/./", "/[0-9]/", "/sales/", "/^mail\\./"]
TABLE_ACTIONS = ["REJECT", "450 4.7.1 later", "DUNNO", "OK", "HOLD", "550 5.7.1 no", "550", "DEFER later", "WARN x", "PREPEND X-A: b"]


def table(chance, kind):
    """Its type and its lines."""
    sort = chance.choice(["texthash", "texthash", "cidr" if kind == "client" else "texthash", "pcre"])
    pool = {"texthash": HASH_KEYS[kind], "cidr": CIDR_KEYS, "pcre": PATTERNS}[sort]
    keys = chance.sample(pool, chance.randint(1, 5))
    return sort, [f"{key} {chance.choice(TABLE_ACTIONS)}" for key in keys]


def tables(seed):
    """main.cf and its files, as configs/postfix has them."""
    chance = random.Random(seed)
    settings, files = [], ""
    if chance.random() < 0.4:
        settings.append("recipient_delimiter = +")
    if chance.random() < 0.3:
        settings.append("parent_domain_matches_subdomains = debug_peer_list")
    if chance.random() < 0.5:
        settings.append("mynetworks = 10.0.0.0/8 192.0.2.0/28")
    for name in chance.sample(["client", "helo", "sender", "recipient"], chance.choice([1, 2, 3])):
        restrictions = []
        for _ in range(chance.choice([1, 1, 2, 3])):
            if chance.random() < 0.25:
                restrictions.append(chance.choice(["permit_mynetworks", "permit_sasl_authenticated"]))
                continue
            kind = chance.choice(list(HASH_KEYS))
            sort, lines = table(chance, kind)
            file = f"t{files.count('#FILE ')}"
            files += f"#FILE {file}\n" + "".join(f"#{line}\n" for line in lines)
            warn = "warn_if_reject " if chance.random() < 0.1 else ""
            restrictions.append(f"{warn}check_{kind}_access {sort}:FOLDER/{file}")
        if chance.random() < 0.15:
            restrictions.append("reject")
        settings.append(f"smtpd_{name}_restrictions = {', '.join(restrictions)}")
    return "\n".join(settings) + "\n" + files
