"""Checks that two lists that must match do match. Prints what is wrong; no output, exit status 0, means fine."""

import pathlib
import re
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
problems = []


def text(path):
    return (root / path).read_text(encoding="utf-8")


def sources(*folders):
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".cpp", ".h"):
                yield path


def check_cmake():
    listed = {}
    for cmake in root.glob("**/CMakeLists.txt"):
        if "build" in cmake.relative_to(root).parts:
            continue
        content = cmake.read_text(encoding="utf-8")
        names = re.findall(r"[\w/-]+\.cpp", content.replace("fuzz_${name}.cpp", ""))
        names += [f"fuzz_{name}.cpp" for name in re.findall(r"^replygate_fuzzer\((\w+)\)", content, re.M)]
        for name in names:
            listed[(cmake.parent / name).resolve()] = cmake
    for path in sources("policy", "milter", "tests"):
        if path.suffix == ".cpp" and path.resolve() not in listed:
            problems.append(f"{path.relative_to(root)}: in no CMakeLists.txt")
    for path, cmake in listed.items():
        if not path.exists():
            problems.append(f"{cmake.relative_to(root)}: {path.name} does not exist")


def check_policy_keys():
    documented = text("conf/POLICY.md")
    table = text("policy/load/keys.cpp")
    for section, body in re.findall(r"string_view k((?!Planned)\w+)\[\] = \{(.*?)\};", table, re.S):
        for key in re.findall(r'"(\w+)"', body):
            if f"`{key}`" not in documented and f"[{key}]" not in documented:
                problems.append(f"conf/POLICY.md: no word of {section}.{key}")
    for fact in re.findall(r'FactInfo\{Fact::\w+, "(\w+)"', text("policy/rules/facts.cpp")):
        if f'| <a id="fact-{fact}"></a>`{fact}' not in documented:
            problems.append(f"conf/POLICY.md: no row with an anchor for the fact {fact}")
    for slug in re.findall(r'Classification\{"([\w-]+)"', text("policy/catalogue/classes.cpp")):
        if f"| `{slug}`" not in documented:
            problems.append(f"conf/POLICY.md: no row for the classification {slug}")


def check_statuses():
    """Each reason and each provider's file has a row in conf/STATUSES.md."""
    documented = text("conf/STATUSES.md")
    for reason in members("policy/remote/reason.h", "Reason"):
        if f"| `{reason}` |" not in documented:
            problems.append(f"conf/STATUSES.md: no row for the reason {reason}")
    for path in sorted((root / "conf/statuses").glob("*.toml")):
        if f"`{path.name}`" not in documented:
            problems.append(f"conf/STATUSES.md: no word of {path.name}")


def check_record_keys():
    documented = text("conf/LOG.md")
    code = text("policy/decide/record_fields.cpp") + text("policy/decide/record_json.cpp")
    keys = set(re.findall(r'fields\.(?:text|number|flag|open|open_list)\("(\w+)"', code))
    for key in sorted(keys):
        if f"`{key}`" not in documented:
            problems.append(f"conf/LOG.md: no word of the key {key}")


def check_metrics():
    """Each metric is in conf/LOG.md, and conf/LOG.md and the dashboard name no others."""
    code = (root / "milter/serve/metrics.cpp").read_text(encoding="utf-8")
    made = set(re.findall(r'(?:family|gauge|counter)\(\s*"([a-z_]+)"', code))
    page = (root / "conf/LOG.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`replygate_([a-z_]+)`", page))
    shown = set(re.findall(r"replygate_([a-z_]+)", (root / "conf/grafana-dashboard.json").read_text(encoding="utf-8")))
    for name in made ^ told:
        problems.append(f"conf/LOG.md and milter/serve/metrics.cpp differ: replygate_{name}")
    for name in shown - made:
        if name.removesuffix("_bucket") not in made:
            problems.append(f"conf/grafana-dashboard.json: there is no replygate_{name}")


def check_layers():
    world = re.compile(r'#include [<"](libmilter|boost/asio|boost/beast|sqlite3|hiredis|sys/socket|systemd|milter/)')
    clock = re.compile(r"(system_clock|steady_clock)::now")
    for path in sources("policy"):
        content = path.read_text(encoding="utf-8")
        if world.search(content):
            problems.append(f"{path.relative_to(root)}: policy/ must not know the world")
        if clock.search(content):
            problems.append(f"{path.relative_to(root)}: policy/ reads no clock")
    io = re.compile(r'#include <(libmilter|boost/asio|sys/|unistd\.h|netinet|thread|mutex)|steady_clock')
    for path in sources("milter/door/wire"):
        if io.search(path.read_text(encoding="utf-8")):
            problems.append(f"{path.relative_to(root)}: the protocol does no I/O and has no threads")
    for path in sources("policy", "milter"):
        if path.name in ("classes.cpp", "codes_table.cpp"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if path.suffix == ".cpp" and re.search(r'"[45]\d\d("|[ -][45]\.)', line):
                problems.append(f"{path.relative_to(root)}:{number}: a reply code outside the catalogue")


ROOMS = ("base", "mail", "catalogue", "remote", "count", "rules", "decide", "proof", "scenario", "load")


def check_rooms():
    """Folders of policy/ include those above them in policy/README.md alone, as ROOMS has them."""
    told = re.findall(r"^\| `(\w+)` \|", text("policy/README.md"), re.M)
    if tuple(told) != ROOMS:
        problems.append("policy/README.md: its rooms are not those of tests/tidy.py")
    for path in sources("policy"):
        room = path.parent.name
        if room not in ROOMS:
            problems.append(f"{path.relative_to(root)}: in none of the rooms of policy/README.md")
            continue
        for other in re.findall(r'#include "policy/(\w+)/', path.read_text(encoding="utf-8")):
            if other not in ROOMS[: ROOMS.index(room) + 1]:
                problems.append(f"{path.relative_to(root)}: {room} must not know {other}")


def members(path, enumeration):
    body = re.search(rf"enum class {enumeration}\b[^{{]*\{{(.*?)\}};", text(path), re.S).group(1)
    return re.findall(r"^\s*(\w+)\s*(?:=[^,]*)?,", re.sub(r"//.*", "", body), re.M)


def check_enumerations():
    """What policy/README.md says of adding a fact, a unit, an action or a diagnostic, as far as the compiler cannot."""

    def must(names, what, where, form):
        content = "".join(p.read_text(encoding="utf-8") for p in ([root / where] if "." in where else sources(where)))
        for name in names:
            if not re.search(form.format(name), content):
                problems.append(f"{where}: no word of the {what} {name}")

    facts = members("policy/rules/facts.h", "Fact")
    must(facts, "value of the fact", "policy/rules/facts.cpp", r'Fact::{}\b(?!, ")')
    must(facts, "fact", "policy/proof/slot.h", r"case Fact::{}\b")
    units = members("policy/count/limit.h", "Unit")
    must(units, "unit", "policy/count/limit.cpp", r'"{}"')
    must(units, "unit", "policy/load/rule_counting.cpp", r"case Unit::{}\b")
    must(units, "anchor for the unit", "conf/POLICY.md", r'<a id="unit-{}"></a>')
    actions = re.search(r"using Outcome = std::variant<(.*?)>", text("policy/rules/answer.h")).group(1).split(", ")
    must(actions, "action", "policy/load", r"\b{}\b")
    diagnostics = members("policy/load/diagnostic.h", "Rg")
    must(diagnostics, "diagnostic", "policy/load/diagnostic_table.cpp", r"RgInfo\{{\s*Rg::{}\b")
    finders = "".join(p.read_text(encoding="utf-8") for p in sources("policy", "milter") if p.name != "diagnostic_table.cpp")
    shown = "".join(p.read_text(encoding="utf-8") for p in (root / "tests/bad").glob("*.expected"))
    shown += "".join(p.read_text(encoding="utf-8") for p in [*sources("tests/unit"), *(root / "tests").rglob("*.py")])
    numbers = dict(re.findall(r"(\w+) = (\d+),", text("policy/load/diagnostic.h")))
    for name in diagnostics:
        if not re.search(rf"Rg::{name}\b", finders):
            problems.append(f"policy/load: nothing finds {name}")
        if f"RG{numbers[name]}" not in shown and f"Rg::{name}" not in shown:
            problems.append(f"tests: nothing shows RG{numbers[name]} ({name})")


def check_house():
    for path in sources("policy", "milter", "tests"):
        content = path.read_text(encoding="utf-8")
        name = path.relative_to(root)
        if len(content.splitlines()) > 400 and path.name not in ("codes_table.cpp",) and "tests" not in name.parts:
            problems.append(f"{name}: more than 400 lines")
        if re.search(r"\b(TO" "DO|FIX" "ME|XX" "X|HA" "CK)\b", content):
            problems.append(f"{name}: something is left open")
        if path.suffix == ".h" and not content.startswith("#pragma once"):
            problems.append(f"{name}: no #pragma once")


# What std::filesystem throws ends a daemon: a host in trouble is no exception there.
def check_files():
    asks = r"\b(?:fs|filesystem)::(?:exists|is_\w+|file_size|last_write_time|rename|remove|remove_all|create_\w+|copy\w*|" \
           r"status|space|resize_file|read_symlink|canonical|permissions|equivalent)\(([^;]*)"
    for path in sources("milter"):
        content = path.read_text(encoding="utf-8")
        throws = [found for found in re.finditer(asks, content) if not re.search(r"error|ignored|unreadable", found[1])]
        if throws or re.search(r"for \([^;)]*:[^;]*directory_iterator", content):
            problems.append(f"{path.relative_to(root)}: std::filesystem may throw here; give it an error code")


def check_scripts():
    for script in [root / ".ci/run", *root.glob("tests/**/*.sh"), *root.glob("packaging/**/*.sh")]:
        if subprocess.run(["bash", "-n", script], capture_output=True, check=False).returncode != 0:
            problems.append(f"{script.relative_to(root)}: bash cannot read it")


check_cmake()
check_policy_keys()
check_record_keys()
check_layers()
check_rooms()
check_statuses()
check_enumerations()
check_metrics()
check_house()
check_files()
check_scripts()
print("\n".join(problems), end="\n" if problems else "")
sys.exit(1 if problems else 0)
