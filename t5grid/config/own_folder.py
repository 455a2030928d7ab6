"""the user's own conf/ -> whether its primary config is ours; circles of defaults."""

from collections.abc import Iterator
from pathlib import Path

from t5grid.files import read_yaml
from t5grid.refused import Refused

PRIMARY = "config"
Way = tuple[str, ...]


def foreign_primary(folder: Path, groups: tuple[str, ...]) -> Path | None:
    """The `config.yaml` of a folder if it is another project's: it chooses few of our groups or none."""
    path = folder / f"{PRIMARY}.yaml"
    if not path.is_file():
        return None
    try:
        chosen = {group for group, _ in _reached(folder, "", PRIMARY, ())}
    except Refused:  # of a file that is no YAML: Hydra says so
        return None
    return path if len(chosen & set(groups)) < len(groups) / 2 else None


def _reached(folder: Path, group: str, option: str, above: Way) -> Iterator[tuple[str, Way]]:
    """Each group that lists of defaults choose from `option` on, with the files on the way to it."""
    name = f"{group}/{option}".lstrip("/")
    yield group, (*above, name)
    if name in above:
        return
    for inner, chosen in _defaults(folder / f"{name}.yaml", group):
        yield from _reached(folder, inner, chosen, (*above, name))


def _defaults(path: Path, group: str) -> Iterator[tuple[str, str]]:
    """Group and option of each entry in a file's list of defaults."""
    node = read_yaml(path) if path.is_file() else None
    entries = node.get("defaults") if isinstance(node, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, str) and entry != "_self_":
            yield _place(entry.rpartition("/")[0], group, entry), entry.rpartition("/")[2].partition("@")[0]
        elif isinstance(entry, dict):
            yield from ((_place(str(key), group, str(key)), str(value)) for key, value in entry.items())


def _place(named: str, group: str, written: str) -> str:
    """The group that an entry means: within that of its file, unless it begins with a slash."""
    words = named.removeprefix("override ").removeprefix("optional ").strip().partition("@")[0]
    inside = group if not written.split()[-1].startswith("/") else ""
    return f"{inside}/{words.strip('/')}".strip("/")


def circle(folder: Path) -> str:
    """Files in a folder whose lists of defaults lead round, as `a -> b -> a`; empty if none do."""
    for path in sorted(folder.rglob("*.yaml")):
        group, _, option = path.relative_to(folder).with_suffix("").as_posix().rpartition("/")
        for _, way in _reached(folder, group, option, ()):
            if way[-1] in way[:-1]:
                return " -> ".join(way[way.index(way[-1]) :])
    return ""
