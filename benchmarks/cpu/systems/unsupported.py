"""How a system says that it does not compute something."""


class Unsupported(Exception):
    """The message says why."""
