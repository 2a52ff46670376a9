"""Run one job in a cage, and see that nothing of it remains. Started by :mod:`.box` as `python -I launch.py`.

The processes: this one, the keeper, which no learner's code runs in; one that enters the namespaces; their process 1;
and the one that runs the cells. Where there are no namespaces the keeper's child runs the cells.

The job is one line of JSON on standard input; events leave as lines of JSON on standard output. When standard input
ends, or the cells have, the keeper kills every process that descends from it, says how the cells' process ended on
standard error, and exits.
"""

import contextlib
import json
import os
import select
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from cowlab.grade import cage
from cowlab.grade.plain import NotPlain, dumps

CANNOT = 97  # exit status: this kind of isolation is not to be had here


def main() -> int:
    job = json.loads(sys.stdin.buffer.readline())
    cage.reap_orphans()
    for kind in job["ladder"]:
        why_not, say = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(why_not)
            os.close(0)
            go(job, kind, say)
        os.close(say)
        status = keep(child)
        reason = os.read(why_not, 2000).decode("utf-8", "replace")
        os.close(why_not)
        if os.waitstatus_to_exitcode(status) != CANNOT or not reason:
            break
        print(json.dumps({"cannot": f"{kind}: {reason}"}), file=sys.stderr)
    if os.getppid() != job["parent"]:  # it was killed, and clears up no more
        from cowlab.grade.box import remove

        os.chdir("/")
        remove(job["scratch"])
        return 1
    code = os.waitstatus_to_exitcode(status)
    print(json.dumps({"ended": code}), file=sys.stderr, flush=True)
    return 0


def keep(child: int) -> int:
    """Wait until the child ends or standard input does; kill all that descends from this process; the child's
    status."""
    watched = os.pidfd_open(child)
    select.select([0, watched], [], [])
    os.close(watched)
    with contextlib.suppress(ChildProcessError):
        done, status = os.waitpid(child, os.WNOHANG)
        if not done:
            os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
    while True:  # orphans come to this process: it is a subreaper
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return status


def children() -> list[int]:
    """Processes whose parent is this one."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                stat = Path("/proc", entry, "stat").read_text("utf-8", errors="replace")
                if int(stat.rpartition(")")[2].split()[1]) == os.getpid():
                    found.append(int(entry))
    return found


def go(job, kind: str, say: int):
    """In the keeper's child: shut the cage, and run. Does not return."""
    scratch, inside = job["scratch"], job["scratch"]
    try:
        cage.die_with_parent()
        in_force = []
        if kind == "namespaces":
            in_force.append(cage.by_namespaces(scratch))
            if process1 := os.fork():
                os.close(1)
                os._exit(exit_code(process1))
            cage.die_with_parent()
            cage.own_root(scratch)
            inside = "/tmp"
            if runner := os.fork():  # process 1 only waits: signals to it from inside are lost
                os.close(1)
                os._exit(exit_code(runner))
        if job["argv"] is None:
            if cage.own_user(inside):
                in_force.append("a user of its own")
            if kind == "landlock":
                in_force.append(cage.by_landlock(scratch))
            cage.privileges_off()
            cage.die_with_parent()  # to become another user has undone it
        os.chdir(inside)
        os.environ.update(HOME=inside, TMPDIR=inside)
        cage.limit(job["seconds"], job["megabytes"], processes=job["argv"] is not None)
        in_force.append("limits")
    except OSError as e:
        os.write(say, str(e).encode())
        os._exit(CANNOT)
    os.close(say)
    out = cage.clean_descriptors(1)
    if job["argv"] is not None:
        os.execv(job["argv"][0], job["argv"])
    emit(out, {"isolation": ", ".join(in_force)})
    run_cells(job["cells"], out)
    os._exit(0)


def exit_code(pid: int) -> int:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


def emit(out: int, event: dict) -> None:
    line = (dumps(event) + "\n").encode()
    while line:
        line = line[os.write(out, line) :]


def run_cells(cells: list[dict], out: int) -> None:
    """One after another in one namespace, as a notebook does. After a cell with a ``call``, what that expression
    gives is sent out, if it is plain data; else why it is not."""
    names = {"__name__": "__main__", "display": lambda *shown, **more: None}
    for cell in cells:
        emit(out, {"start": cell["id"]})
        try:
            names.update(cell.get("given", {}))
            exec(compile(cell["source"], f"<{cell['id']}>", "exec"), names)
            answer = eval(compile(cell["call"], f"<call {cell['id']}>", "eval"), names) if cell.get("call") else None
            event = {"id": cell["id"], "value": answer}
            dumps(event)
        except NotPlain as e:
            event = {"id": cell["id"], "error": f"the answer is {e}"}
        except BaseException as e:  # SystemExit and KeyboardInterrupt as well: the next cell is to run
            event = {"id": cell["id"], "error": said(e)}
        emit(out, event)
    emit(out, {"end": True})


def said(e: BaseException) -> str:
    """The exception in one line. Its methods are the learner's and may do anything."""
    try:
        text = f"{type(e).__name__}: {' '.join(str(e).split())}"[:300]
        return text.encode("utf-8", "replace").decode()
    except BaseException:
        return "an exception that cannot be shown"


if __name__ == "__main__":
    sys.exit(main())
