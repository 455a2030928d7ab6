"""`--allow`, T5GRID_ALLOW -> whose code a config may name; read before any config is.

A config may be a stranger's: a `_target_` is imported only from t5grid, torch and pytorch_lightning, and from
packages the user names outside of any config (`--allow mine`, or T5GRID_ALLOW=mine,other in the environment).
The working directory is looked into for those packages and for nothing else, so that no module which happens
to lie in it is imported in place of one that is not installed.
"""

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from t5grid.refused import Refused

PACKAGES = ("t5grid", "torch", "pytorch_lightning")
ALLOW = "T5GRID_ALLOW"

_given: tuple[str, ...] | None = None


def allowed() -> tuple[str, ...]:
    """The packages a user trusts: what the command began with, or the environment of another process."""
    return _from_environment() if _given is None else _given


def _from_environment() -> tuple[str, ...]:
    return tuple(filter(None, os.environ.get(ALLOW, "").split(",")))


@contextmanager
def trusting(packages: Sequence[str]) -> Iterator[None]:
    """Within, these packages and the environment's are allowed, also in processes started from here.

    What becomes of the environment meanwhile changes nothing.
    """
    global _given
    before, environment = _given, os.environ.get(ALLOW)
    _given = (*_from_environment(), *packages)
    os.environ[ALLOW] = ",".join(_given)
    try:
        yield
    finally:
        _given = before
        os.environ.pop(ALLOW, None) if environment is None else os.environ.update({ALLOW: environment})


def check_allowed(target: object, key: str, packages: tuple[str, ...] = PACKAGES) -> None:
    """Refuse a dotted name outside `packages` and those the user allows. Raises Refused.

    An allowed package that is not installed is found in the working directory from then on.
    """
    package, text = str(target).partition(".")[0], str(target)
    if any(text.startswith(f"{name}.") for name in packages):
        return
    if not any(text.startswith(f"{name}.") for name in allowed()):
        raise Refused(
            f"{key}={target}: not from {', '.join(packages)}; if you trust {package}, say --allow {package}"
        )
    if package not in sys.modules and importlib.util.find_spec(package) is None:
        sys.path.append(os.getcwd())  # a user's own classes stand beside the conf/ that names them


def check_shell(key: str, given: object) -> None:
    """Refuse what makes a job do more than its stage, unless the user allows `setup`. Raises Refused."""
    if given and "setup" not in allowed():
        raise Refused(
            f"{key}: what a job does beside its stage; if you trust your configs, say --allow setup"
        )
