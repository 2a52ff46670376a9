"""What `cowlab --help` teaches: the commands in groups, an example of each, and completion in the shell.

Data first: a command has its line in GROUPS and its examples in EXAMPLES. The front page is made of these alone, so
that it need not load what the commands need. A command that is in neither still works; it is listed under "More".
"""

import argparse
import sys

from .terminal import paint

__all__ = ["EXAMPLES", "GROUPS", "SHELLS", "Front", "add_examples", "add_parser", "complete", "lines"]

GROUPS = {  # title -> command -> what it is for, in a line: the same as its own `help`
    "Learn": {
        "lab": "open the course in JupyterLab",
        "site": "the course as a web site that runs in the browser",
        "slides": "make lecture decks of the lessons",
    },
    "Ask the model": {
        "litmus": "judge litmus tests over all schedules",
        "explore": "explore every execution of any length",
        "diff": "what sets two kernels apart",
        "designs": "every design of copy-on-write, judged and priced",
        "draw": "draw a state, an execution or all executions into a file",
    },
    "Ask real kernels": {
        "probe": "which generation does this kernel show?",
        "fuzz": "random schedules, this kernel against the model",
        "replay": "replay what real kernels did on the model",
        "conformance": "how far the model was judged by real kernels",
    },
    "Teach": {
        "release": "make the learners' form of an exercise",
        "grade": "grade submissions of exercises",
    },
    "This machine": {
        "doctor": "what works on this machine, and how to mend the rest",
        "completion": "complete commands, tests and kernels in your shell",
    },
}
START = (  # what to type first, and why
    ("cowlab lab", "open the course"),
    ("cowlab litmus child-reads-parent-secret", "which kernels leak the secret?"),
    ("cowlab diff v5.7 v5.8", "what did the fix change?"),
    ("cowlab doctor", "what works on this machine?"),
)
EXAMPLES = {
    "lab": ("cowlab lab", "cowlab lab ~/cow-lessons --no-browser --port 8890"),
    "site": ("cowlab site -o public",),
    "litmus": ("cowlab litmus --list", 'cowlab litmus child-reads-parent-secret --kernel v5.7 --schedule "P C C P"'),
    "diff": ("cowlab diff v5.7 v5.8",),
    "designs": ("cowlab designs", "cowlab designs --json"),
    "probe": ("cowlab probe",),
    "replay": ("cowlab replay", "cowlab replay --kernel 5.4.0 --json"),
    "conformance": ("cowlab conformance",),
    "doctor": ("cowlab doctor", "cowlab doctor --json"),
    "completion": ('eval "$(cowlab completion bash)"',),
}
SHELLS = ("bash", "zsh", "fish", "powershell")


class Front(argparse.ArgumentParser):
    """The parser of `cowlab` itself: its help is the front page."""

    def format_help(self) -> str:
        commands = next(a for a in self._actions if isinstance(a, argparse._SubParsersAction))
        said = {a.dest: a.help for a in commands._choices_actions}
        width = max(map(len, said))
        out = [f"{paint('usage:', 'bold')} cowlab COMMAND ...", "", self.description]
        for title, names in _grouped(said).items():
            out += ["", paint(title, "bold"), *(f"  {name:<{width}}  {said[name]}" for name in names)]
        out += ["", paint("Start with", "bold")]
        room = max(len(command) for command, _ in START)
        out += [f"  {command:<{room}}  {paint('# ' + why, 'faint')}" for command, why in START]
        return "\n".join(
            [*out, "", "cowlab COMMAND --help says more, with examples; cowlab --version, which cowlab.", ""]
        )


def lines() -> dict[str, str]:
    """Command -> its line, in the order of the front page."""
    return {name: line for members in GROUPS.values() for name, line in members.items()}


def _grouped(names) -> dict[str, list[str]]:
    """The commands that there are, under their titles; empty groups are left out."""
    listed = {title: [n for n in members if n in names] for title, members in GROUPS.items()}
    known = [n for members in listed.values() for n in members]
    listed["More"] = [n for n in names if n not in known]
    return {title: members for title, members in listed.items() if members}


def add_examples(commands) -> None:
    """Put the examples below the help of each command that does not bring its own."""
    for name, parser in commands.choices.items():
        if name in EXAMPLES and "example" not in (parser.epilog or ""):
            said = [parser.epilog, ""] if parser.epilog else []
            parser.formatter_class = argparse.RawDescriptionHelpFormatter
            parser.epilog = "\n".join([*said, "examples:", *(f"  {line}" for line in EXAMPLES[name])])


# -- Completion -----------------------------------------------------------------------------------------


def add_parser(commands) -> None:
    """Describe `cowlab completion` to argparse."""
    parser = commands.add_parser(
        "completion",
        help="complete commands, tests and kernels in your shell",
        description="Print what makes a shell complete cowlab's commands, options, litmus tests and kernels.",
    )
    parser.add_argument("shell", choices=SHELLS, help="for which shell")
    parser.set_defaults(run=_print_code)


def _print_code(args) -> int:
    try:
        import argcomplete
    except ImportError:
        print("cowlab completion: argcomplete is missing; install it with: pip install argcomplete", file=sys.stderr)
        return 2
    print(argcomplete.shellcode(["cowlab"], shell=args.shell))
    return 0


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell, which called with ``_ARGCOMPLETE`` in the environment, and exit."""
    import argcomplete

    from .litmus import catalogue
    from .mm.kernels import KERNELS, ROADS

    rows = KERNELS | ROADS
    kernels = [*rows, *(alias for row in rows.values() for alias in row.aliases)]
    files = argcomplete.FilesCompleter
    tests = {"litmus": lambda prefix, **_: [*catalogue(), *files(("litmus",))(prefix)], "replay": files(("jsonl",))}
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        for action in command._actions:
            if action.dest in ("kernel", "kernels", "a", "b") and not action.choices:
                action.completer = argcomplete.ChoicesCompleter(kernels)
            elif action.dest in ("file", "files", "test", "tests") and not action.choices:
                action.completer = tests.get(name, tests["litmus"])
    argcomplete.autocomplete(parser, always_complete_options=False)
