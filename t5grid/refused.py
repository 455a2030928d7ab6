"""what a user wrote that cannot be done, in one line: a command ends with exit code 2."""


class Refused(ValueError):
    """Something a user wrote, in a command, a config or a file; the message names it and what is possible.

    Any other exception, a plain ValueError of a library too, is a fault of ours and shows its traceback.
    """


class Absent(Refused):
    """What only a user can bring, a downloaded model say; a whole study leaves out what needs it."""
