"""Figures as text: the tables, and what changed between two runs."""

import filters

DEARER = 1.1  # what is less is the noise of the machine
BEGIN, END = "<!-- printed by tests/bench/run.sh --markdown -->\n", "<!-- end of what it printed -->\n"


def title(column):
    connections, think, messages, recipients = column
    slow = f", {think} ms before each command" if think else ""
    return (f"{connections} connections{slow}, {messages} message{'s' if messages > 1 else ''} a session, "
            f"{recipients} recipient{'s' if recipients > 1 else ''}")


def columns_of(report):
    return list(dict.fromkeys(tuple(cell["column"]) for cell in report["cells"]))


def tables(report):
    rounds = "one round" if report["rounds"] == 1 else f"medians of {report['rounds']} rounds"
    text = f"Commit {report['commit']}, {report['date']}, {report['cores']} cores, {rounds} of {report['seconds']:g} s.\n"
    for column in columns_of(report):
        cells = [cell for cell in report["cells"] if tuple(cell["column"]) == column]
        bare = cells[0]
        text += (f"\n**{title(column)}** (the bare protocol: {bare['rate']:.0f} transactions a second, "
                 f"p99 {bare['p99_us'] / 1000:.2f} ms)\n\n")
        text += "| filter | transactions/s | p99 | CPU | CPU s/10k | deciding | others |\n|---|---|---|---|---|---|---|\n"
        for cell in cells:
            parts = [f"{cell[key]:.3f}" if key in cell else "" for key in ("cpu", "deciding", "others")]
            text += (f"| {cell['filter']} | {cell['rate_ratio']:.2f} | {cell['p99_us_ratio']:.2f} | {cell['cpu_ratio']:.2f} | "
                     + " | ".join(parts) + " |\n")
    return text


def put_into(path, text):
    page = path.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    path.write_text(before + BEGIN + text + END + rest.split(END)[1], encoding="utf-8")


def comparison(old, new):
    """Ratios to the bare protocol then and now, since machines differ; what got dearer by more than a tenth is marked."""
    known = {(tuple(cell["column"]), cell["filter"]): cell for cell in old["cells"]}
    text = f"\nFrom {old['commit']} to {new['commit']}, as ratios to the bare protocol:\n"
    for cell in new["cells"]:
        before = known.get((tuple(cell["column"]), cell["filter"]))
        if before is None or cell["filter"] == filters.BARE:
            continue
        said, worse = [], []
        for key, name, dearer in (("rate_ratio", "transactions/s", lambda a, b: a / b), ("cpu_ratio", "CPU", lambda a, b: b / a),
                                  ("p99_us_ratio", "p99", lambda a, b: b / a)):
            said.append(f"{name} {before[key]:.2f} → {cell[key]:.2f}")
            if dearer(before[key], cell[key]) > DEARER:
                worse.append(name)
        said.append(f"CPU s/10k {before['cpu']:.3f} → {cell['cpu']:.3f}")
        text += f"{title(tuple(cell['column']))}, {cell['filter']}: {'; '.join(said)}"
        text += f"; DEARER: {', '.join(worse)}\n" if worse else "\n"
    return text
