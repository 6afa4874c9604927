"""What the command line can do: one module per command, each of which adds itself to the parser."""


class CommandError(Exception):
    """A command can't do what was asked; the message says why."""


def printable(text: str) -> str:
    """Return a text without what a terminal would act on: names come from whoever may create or answer."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
