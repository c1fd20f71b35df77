"""One typing error in a word of an example: at least 90 of 100 get the right suggestion. Prints what was not suggested."""

import json
import pathlib
import random
import re
import string
import subprocess
import sys
import tempfile

BINARY, ROOT = sys.argv[1], pathlib.Path(sys.argv[2])
PER_FILE = int(sys.argv[3]) if len(sys.argv) > 3 else 60
GOAL = 0.9

# Words of the language: keys, facts, classifications, choices, units, lists, facts in texts. Not words of the admin.
WORD = re.compile(r"(?<![\w.@/-])\$?[a-z_]+(?:-[a-z]+)*(?![\w@/-])")
KNOWN = set(
    "version include milter policy_service site store log keys mailbox lists replies rule test listen engine on_error mode "
    "local_domains relay_domains trusted_networks default_domain relay backend decisions format ipv4_prefix ipv6_prefix "
    "subaddress timezone quota_status timeout file query name when unless per limit count burst override warn_at reply "
    "escalate greylist accept hold discard header share on_unknown at class code enhanced text delay retry_within remember "
    "known_after pools after given rcpt expect repeat every client client_name helo user from tls size mailbox_used "
    "mta_refused local_submission accepted refused first last held bounce observe enforce skip tempfail soft hard "
    "connections messages recipients distinct_recipients unknown_recipients refusals client_ip client_net sender "
    "sender_local sender_domain null_sender authenticated user_domain auth_mechanism declared_size sender_login_mismatch "
    "recipient recipient_local recipient_domain external time weekday digest session_age retry_after used ref".split()
)
SLUGS = {row.split()[0] for row in subprocess.run([BINARY, "codes"], capture_output=True, text=True).stdout.split("classification")[1].splitlines()[1:] if row}


def sites(text):
    """Where a word of the language stands: (begin, end)."""
    names = set(re.findall(r"^(\w+)\s*=", text.split("[lists]")[1].split("[[")[0], re.M)) if "[lists]" in text else set()
    for line in re.finditer(r"[^\n]*", text):
        body = line.group()
        if re.match(r'\s*(name|text|body|from|rcpt|given)\s*=\s*"', body) and "{" not in body:
            body = body[: body.index("=")]
        code = re.split(r'\s#(?=[^"]*$)', body)[0]
        for word in WORD.finditer(code):
            plain = word.group().lstrip("$")
            before = code[: word.start()]
            in_string = before.count('"') % 2 == 1
            in_header = "header" in before and "=" in before.split("header")[-1]
            listed = word.group().startswith("$") and (plain in names or plain in KNOWN)
            slug = in_string and plain in SLUGS and re.search(r'(reply|class)\s*=\s*"$', before)
            brace = in_string and before.endswith("{") and plain in KNOWN
            unit = in_string and re.search(r"\d[kM]? $", before) and plain in KNOWN
            fact = in_string and re.search(r'(per\s*=\s*\[?.*"|mode\s*=\s*"|bounce\s*=\s*"|on_unknown\s*=\s*"|at\s*=\s*")$', before) and plain in KNOWN
            key = not in_string and not in_header and plain in KNOWN and re.match(r"\s*[=.\]]|\s*\{", code[word.end():])
            if listed or slug or brace or unit or fact or key:
                yield line.start() + word.start() + len(word.group()) - len(plain), line.start() + word.end()


def mutate(word, rng):
    """One letter too many, too few, another one, or two swapped."""
    at = rng.randrange(len(word))
    letter = rng.choice(string.ascii_lowercase)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:at] + letter + word[at:]
    if kind == 1:
        return word[:at] + word[at + 1:]
    if kind == 2:
        return word[:at] + letter + word[at + 1:]
    return word[:at] + word[at + 1: at + 2] + word[at] + word[at + 2:]


def main():
    rng = random.Random(4)
    tried = right = 0
    for example in sorted((ROOT / "conf/examples").glob("*.toml")):
        text = example.read_text()
        places = list(sites(text))
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "policy.toml")
            for extra in (ROOT / "conf/examples").iterdir():
                if extra.suffix != ".toml":
                    pathlib.Path(folder, extra.name).symlink_to(extra.resolve())
            for _ in range(PER_FILE):
                begin, end = rng.choice(places)
                word = text[begin:end]
                wrong = mutate(word, rng)
                if wrong == word or not wrong or wrong in KNOWN or wrong in SLUGS:
                    continue
                file.write_text(text[:begin] + wrong + text[end:])
                run = subprocess.run([BINARY, "check", "--json", file], capture_output=True, text=True)
                said = json.loads(run.stdout) if run.stdout else []
                tried += 1
                if any(re.search(rf'[{{"$]{re.escape(word)}["}}]', d["help"]) for d in said):
                    right += 1
                else:
                    line = text.count("\n", 0, begin) + 1
                    print(f"{example.name}:{line}: {word} -> {wrong}: {[d['message'] + ' / ' + d['help'] for d in said][:2]}")
    print(f"{right} of {tried} typing errors get the right suggestion ({100 * right / tried:.1f} %)")
    return 0 if tried > 100 and right >= GOAL * tried else 1


sys.exit(main())
