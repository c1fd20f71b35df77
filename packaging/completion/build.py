#!/usr/bin/env python3
"""Writes shell completion from the program's own help: build.py BINARY FOLDER."""

import pathlib
import re
import subprocess
import sys

binary, folder = sys.argv[1], pathlib.Path(sys.argv[2])


def describe(words):
    """Subcommands and options of one command, each with its description."""
    text = subprocess.run([binary, *words, "--help"], capture_output=True, text=True, check=True).stdout
    options = {"--help": "print help"}
    for flags, about in re.findall(r"^  (-[^\s].*?)(?:\s{2,}|\n\s{20,})(\S.*)$", text, re.M):
        for flag in re.findall(r"--[a-z-]+", flags.split(" ")[0]):
            options[flag] = about
    section = re.search(r"^Subcommands:\n((?:  .*\n?)*)", text, re.M)
    commands = dict(re.findall(r"^  (\w+)\s+(.*)$", section.group(1), re.M)) if section else {}
    return commands, options


def tree():
    """All commands, by their words."""
    found, waiting = {}, [()]
    while waiting:
        words = waiting.pop(0)
        found[words] = describe(list(words))
        waiting += [(*words, name) for name in found[words][0]]
    return found


def bash(all_commands):
    cases = ""
    for words, (commands, options) in sorted(all_commands.items()):
        cases += f'    "{" ".join(words)}") words="{" ".join([*commands, *options])}" ;;\n'
    return f"""# bash completion for replygate
_replygate() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} path="" words="" word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case $word in -*) ;; *) case "$path $word" in {" | ".join(f'"{" " if len(w) == 1 else ""}{" ".join(w)}"' for w in sorted(all_commands) if w)}) path="${{path:+$path }}$word" ;; esac ;; esac
  done
  case $path in
{cases}  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  [ ${{#COMPREPLY[@]}} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "$current")
}}
complete -o filenames -F _replygate replygate
"""


def quoted(text):
    return text.replace("'", "'\\''").replace("[", "(").replace("]", ")").replace(":", " -")


def zsh(all_commands):
    functions = ""
    for words, (commands, options) in sorted(all_commands.items()):
        name = "_".join(["_replygate", *words])
        specs = " ".join(f"'{flag}[{quoted(about)}]'" for flag, about in options.items())
        if commands:
            listed = " ".join(f"'{command}:{quoted(about)}'" for command, about in commands.items())
            branches = " ".join(f"{c}) {name}_{c} ;;" for c in commands)
            functions += (
                f"{name}() {{\n  local state line\n  _arguments -C {specs} '1: :->command' '*:: :->rest'\n"
                f"  case $state in\n    command) local -a commands=({listed}); _describe command commands ;;\n"
                f"    rest) case $line[1] in {branches} esac ;;\n  esac\n}}\n"
            )
        else:
            functions += f"{name}() {{ _arguments {specs} '*:file:_files' }}\n"
    return f"#compdef replygate\n{functions}_replygate \"$@\"\n"


def fish(all_commands):
    lines = ["# fish completion for replygate"]
    for words, (commands, options) in sorted(all_commands.items()):
        condition = " ; and ".join(f"__fish_seen_subcommand_from {w}" for w in words) or "__fish_use_subcommand"
        if commands and words:
            condition += " ; and not __fish_seen_subcommand_from " + " ".join(commands)
        for name, about in commands.items():
            lines.append(f"complete -c replygate -n '{condition}' -a {name} -d '{quoted(about)}'")
        for flag, about in options.items():
            lines.append(f"complete -c replygate -n '{condition}' -l {flag[2:]} -d '{quoted(about)}'")
    return "\n".join(lines) + "\n"


commands = tree()
folder.mkdir(parents=True, exist_ok=True)
(folder / "replygate").write_text(bash(commands))
(folder / "_replygate").write_text(zsh(commands))
(folder / "replygate.fish").write_text(fish(commands))
