"""Import differential: the real program and the imported policy give the same class of verdict to each transaction.

compare.py BINARY SOURCE [--every N] [--only NAME]; SOURCE is postfwd, policyd-rate-limit or postfix. Exits 77 where the
program is not installed. Where something is lost, the real program is asked without the lost lines for the verdict, and
with them for whether what we refuse was let pass there.
"""

import argparse
import datetime
import pathlib
import sys
import tempfile

import made
import ours
import peers
import transactions

CONFIGS = pathlib.Path(__file__).parent / "configs"
SKIPPED = 77


def as_message(verdicts):
    """HOLD and DISCARD for one recipient are for all whom the message reaches."""
    for whole in ("discard", "hold"):
        if whole in verdicts:
            return [whole if one in ("pass", "hold") else one for one in verdicts]
    return verdicts


class Score:
    def __init__(self):
        self.configurations = self.transactions = self.verdicts = self.lost = 0
        self.classes = {}
        self.wrong = []

    def compare(self, name, all_of_them, theirs, mine):
        self.configurations += 1
        self.transactions += len(all_of_them)
        for one, their, my in zip(all_of_them, map(as_message, theirs), mine, strict=True):
            self.verdicts += len(their)
            for verdict in their:
                self.classes[verdict] = self.classes.get(verdict, 0) + 1
            if their != my:
                self.wrong.append(f"{name}: {one.describe()}\n    theirs {their}\n    ours   {my}")

    def report(self, source):
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.classes.items()))
        print("\n".join(self.wrong[:20]))
        print(f"{source}: {self.configurations} configurations, {self.transactions} transactions, {self.verdicts} verdicts "
              f"({kinds}); {self.lost} lines lost and said so; {len(self.wrong)} differences")
        return 1 if self.wrong or not self.configurations else 0


def check_losses(score, name, options, imported):
    """`lost=N` says how many lines must be lost; without it, none."""
    wanted = next((int(o.split("=")[1]) for o in options if o.startswith("lost=")), 0)
    score.lost += len(imported.lost)
    if "made" not in options and wanted != len(imported.lost):
        score.wrong.append(f"{name}: {len(imported.lost)} lines are lost, not {wanted}: {imported.lost}")


def never_stricter(score, name, all_of_them, theirs, mine):
    """What is left of the rules refuses nothing that all of them let pass."""
    for one, their, my in zip(all_of_them, theirs, mine, strict=True):
        for a, b in zip(their, my, strict=True):
            if a == "pass" and b != "pass":
                score.wrong.append(f"{name}: only without the lost rules {b}: {one.describe()}")


def postfwd(binary, folder, score, name, options, text):
    rules = folder / "rules.cf"
    rules.write_text(text.replace("FOLDER", str(folder)))
    for at, part in enumerate(text.split("#FILE ")[1:]):
        file, content = part.split("\n", 1)
        (folder / file.strip()).write_text("".join(line[1:] + "\n" for line in content.splitlines() if line.startswith("#")))
        assert at < 9
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    imported = ours.Import(binary, folder, ["postfwd", rules], now)
    check_losses(score, name, options, imported)
    all_of_them = transactions.of(name, text, several="data" in options)
    mine = imported.verdicts(all_of_them)
    theirs = peers.Postfwd(rules, "data" in options).verdicts(all_of_them)
    if imported.lost:
        never_stricter(score, name, all_of_them, theirs, mine)
        kept = folder / "kept.cf"
        lost = set(imported.lost_lines())
        lines = rules.read_text().splitlines()
        kept.write_text("\n".join("" if at in lost else line for at, line in enumerate(lines, 1)) + "\nid=END; action=DUNNO\n")
        theirs = peers.Postfwd(kept, "data" in options).verdicts(all_of_them)
    score.compare(name, all_of_them, theirs, mine)


def policyd_rate_limit(binary, folder, score, name, options, text):
    path = folder / "policyd.yaml"
    path.write_text(text)
    imported = ours.Import(binary, folder, ["policyd-rate-limit", path])
    check_losses(score, name, options, imported)
    all_of_them = transactions.of(name, text, several=True, apart="apart" in options)
    score.compare(name, all_of_them, peers.PolicydRateLimit(text, folder).verdicts(all_of_them), imported.verdicts(all_of_them))


SOURCES = {"postfwd": (peers.Postfwd, postfwd), "policyd-rate-limit": (peers.PolicydRateLimit, policyd_rate_limit)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("source", choices=[*SOURCES, "postfix"])
    parser.add_argument("--every", type=int, default=1, help="each Nth configuration")
    parser.add_argument("--only", default="")
    parser.add_argument("--made", type=int, default=0, metavar="N", help="N random configurations more, of postfwd or postfix")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chosen = [c for c in transactions.configurations(CONFIGS / options.source)[:: options.every] if options.only in c[0]]
    make = made.tables if options.source == "postfix" else made.rules
    chosen += [(f"made-{at}", ["made"], make(at)) for at in range(options.seed, options.seed + options.made)]
    score = Score()
    if options.source == "postfix":
        import access
        return access.run(options.binary.resolve(), chosen, score)
    peer, compare = SOURCES[options.source]
    if peer.missing():
        print(f"skipped: {peer.PROGRAM} is not installed")
        return SKIPPED
    for name, flags, text in chosen:
        with tempfile.TemporaryDirectory() as folder:
            try:
                compare(options.binary.resolve(), pathlib.Path(folder), score, name, flags, text)
            except ours.Failed as failed:
                score.wrong.append(f"{name}: {failed}")
    return score.report(options.source)


if __name__ == "__main__":
    sys.exit(main())
