"""a line as far as it is typed -> what may stand next; scripts of shells.

Hydra is not started: groups and experiments are the names of files.
"""

import itertools
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from t5grid.config.compose import GROUPS, data_folder

BASH = """\
_t5grid() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$'\\n'
    local cur="${line##* }"
    COMPREPLY=($(t5grid complete -- "$line" 2>/dev/null))
    if [[ $cur == *=* && $COMP_WORDBREAKS == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*=}"}"}")
    fi
    [[ ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace
}
complete -o default -F _t5grid t5grid
"""
ZSH = """\
#compdef t5grid
_t5grid() {
    local -a offered
    offered=("${(@f)$(t5grid complete -- "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
    if [[ -z ${offered[1]} ]]; then _files; return; fi
    local -a going=(${(M)offered:#*[=.]}) ended=(${offered:#*[=.]})
    (( $#going )) && compadd -S '' -- $going
    (( $#ended )) && compadd -- $ended
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _t5grid t5grid
"""
FISH = """\
complete -c t5grid -a '(t5grid complete -- (commandline -cp | string collect) 2>/dev/null)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
HOW = (
    'a script to complete by: eval "$(t5grid completion bash)" in ~/.bashrc, the same of zsh in ~/.zshrc; '
    "t5grid completion fish > ~/.config/fish/completions/t5grid.fish"
)
OF_EXPERIMENTS = ("sweep", "plan", "status", "logs", "cancel", "table", "report")
"""Commands that take names of experiments."""


def add_commands(commands: Any) -> None:
    """Add the sub-commands to those of the parser; the one that shells call is not listed."""
    add = commands.add_parser("completion", help=HOW)
    add.add_argument("shell", choices=list(SCRIPTS))
    add.set_defaults(command=completion)
    add = commands.add_parser("complete")
    add.add_argument("line")
    add.set_defaults(command=complete, commands=commands.choices)


def completion(options: Any, rest: list[str]) -> int:
    """Print the script of a shell."""
    print(SCRIPTS[options.shell], end="")
    return 0


def complete(options: Any, rest: list[str]) -> int:
    """Print what may stand in place of the last word of a line, one a line."""
    for word in candidates(options.line, options.commands):
        print(word)
    return 0


def candidates(line: str, commands: Mapping[str, Any]) -> list[str]:
    """What may stand in place of the last word of a line (after a blank: of a new one), sorted."""
    words = _split(line)
    *before, current = words if line and not line[-1].isspace() else [*words, ""]
    command = next((word for word in before[1:] if not word.startswith("-")), None)
    if command is None:
        names = [*(name for name in commands if name != "complete"), "--help", "--version"]
    elif command not in commands:
        names = []
    else:
        names = list(_of_command(command, before, current, commands[command]))
    return sorted({name for name in names if name.startswith(current) and name != current})


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # a quotation that is still open
        return line.split()


def _of_command(command: str, before: Sequence[str], current: str, parser: Any) -> Iterator[str]:
    """Values of the option before, options, choices, experiments, groups and their keys."""
    taken = next((a for a in parser._actions if before[-1] in a.option_strings and a.nargs != 0), None)
    if taken is not None:
        yield from map(str, taken.choices or ())
        return
    if current.startswith("-"):
        yield from (text for action in parser._actions for text in action.option_strings)
        return
    positional = [action for action in parser._actions if not action.option_strings]
    yield from (str(choice) for action in positional for choice in action.choices or ())
    if not any(action.dest in ("names", "overrides") for action in positional):
        return
    if command in OF_EXPERIMENTS:
        yield from experiments()
    yield from _overrides(before, current)


def experiments() -> list[str]:
    """Names of experiment files, the working directory's and the package's."""
    places = (Path.cwd() / "experiments", data_folder("experiments"))
    return [path.stem for place in places for path in place.glob("*.yaml")]


def _overrides(before: Sequence[str], current: str) -> Iterator[str]:
    """`group=`, then its options (in a list, what follows the last comma); `group.`, then its keys."""
    key, equals, value = current.partition("=")
    if equals:
        kept = f"{key}={value[: value.rfind(',') + 1]}"
        yield from (f"{kept}{option}" for option in _options(key, before))
    elif "." in key:
        group = key.partition(".")[0]
        yield from (f"{group}.{name}=" for name in _keys(group, before))
    else:
        yield from (f"{group}=" for group in (*GROUPS, "seed"))
        yield from (f"{group}." for group in GROUPS if current == group)


def _folders(before: Sequence[str]) -> list[Path]:
    """The folders of configs, one that the line adds too."""
    words = dict(itertools.pairwise(before))
    added = words.get("--config-dir") or words.get("-cd")
    return [Path.cwd() / "conf", data_folder("conf"), *([Path(added).expanduser()] if added else [])]


def _options(group: str, before: Sequence[str]) -> Iterable[str]:
    if group not in GROUPS:
        return []
    return [path.stem for folder in _folders(before) for path in (folder / group).glob("*.yaml")]


def _keys(group: str, before: Sequence[str]) -> list[str]:
    """The keys of the option that the line names, or else of the group's default one."""
    if group not in GROUPS:
        return []
    named = (word.partition("=")[2] for word in before if word.startswith(f"{group}="))
    option = next(named, None) or _default(group)
    return [key for key in _read(group, option, before) if key not in ("_target_", "defaults")]


def _default(group: str) -> str:
    lists = _yaml(data_folder("conf") / "config.yaml").get("defaults", ())
    return next((entry[group] for entry in lists if isinstance(entry, dict) and group in entry), "")


def _read(group: str, option: str, before: Sequence[str], depth: int = 0) -> dict[str, Any]:
    """An option's own mapping over those of its defaults; empty where it cannot be read."""
    paths = (folder / group / f"{option}.yaml" for folder in _folders(before))
    node = next((_yaml(path) for path in paths if path.is_file()), {})
    inherited: dict[str, Any] = {}
    for name in node.get("defaults", ()) if depth < 5 else ():
        if isinstance(name, str) and name != "_self_":
            inherited |= _read(group, name, before, depth + 1)
    return inherited | node


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        node = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return node if isinstance(node, dict) else {}
