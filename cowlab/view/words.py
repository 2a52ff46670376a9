"""The words of the pictures: captions, short forms of long names, counts in English."""

import re

from ..mm import Why

__all__ = ["caption", "events", "plural", "short"]

_CLAUSE = re.compile(r"\b(is|was|has|lacks|looks|makes|belongs|stays)\b")


def short(text: str, n: int) -> str:
    """At most ``n`` characters; what is cut shows as ``…`` and the end stays, since names differ there.

    >>> short("the_quick_brown_fox_1", 12), short("new", 12)
    ('the_quic…x_1', 'new')
    """
    return text if len(text) <= n else f"{text[: n - 4]}…{text[-3:]}"


def plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def sentence(why: Why) -> str:
    """One event as a sentence.

    >>> sentence(Why("do_wp_page", "copies", "mapcount 2"))
    'do_wp_page copies, because mapcount is 2.'
    >>> sentence(Why("zap_pte_range", "removes the mapping", "munmap"))
    'zap_pte_range removes the mapping: munmap.'
    """
    because = re.sub(r"\b(mapcount|page_count|swapcount) (\d+)", r"\1 is \2", why.because)
    because = because.replace("not exclusive, ", "the page is not exclusive and ")
    because = "PageAnonExclusive is set" if because == "PageAnonExclusive" else because
    if because.startswith("through "):
        joined = f" {because}"
    elif because in ("references stay", "its references stay", "nothing is done"):
        joined = f"; {because}"
    elif why.did != "takes the page" and _CLAUSE.search(because.partition(",")[0]) and ": " not in because:
        joined = f", because {because}"
    else:
        joined = f": {because}" if because else ""
    return f"{why.fn} {why.did}{joined}."


def events(moment) -> tuple[str, ...]:
    """What the kernel did in this step, in order, a sentence each; last, what the step returned.

    The first moment of a trace has none.
    """
    if moment.action is None:
        return ()
    said, op = [sentence(w) for w in moment.why], moment.action.op
    if moment.result in (None, "ret=1", "SIGSEGV"):
        pass
    elif moment.result == "ret=0":
        said.append("The lookup returns no page.")
    elif moment.result == "BLOCKED":
        said.append(f"{moment.action.proc} is blocked for ever.")
    elif op in ("read", "load", "process_vm_readv"):
        said.append(f"The {'holder' if op == 'load' else 'load' if op == 'read' else 'call'} finds {moment.result}.")
    else:
        said.append(f"It returns {moment.result.removeprefix('ret=-1 errno=')}.")
    return tuple(said)


def caption(moment) -> str:
    """The step in words: ``P: write x new. do_wp_page copies, because mapcount is 2.``"""
    return " ".join([f"{moment.action}.", *events(moment)]) if moment.action else "The start."
