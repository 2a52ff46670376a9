"""Seeds by roster, and class runs: as many at a time as one likes, here or on a cluster, the same marks; nothing graded
twice."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from dataclasses import replace

import pytest
from cluster import cluster
from machine import ROOT

from cowlab import cli
from cowlab.grade import journal as journals
from cowlab.grade import seeds
from cowlab.grade.box import Limits
from cowlab.grade.classroom import reseeded, roster, seed_of, student_of
from cowlab.grade.journal import Journal, code
from cowlab.grade.marking import grade
from cowlab.grade.notebook import exercise, read_notebook, source
from cowlab.grade.run import Work, locally, run_class
from cowlab.litmus import LitmusError

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the grader needs Linux")
COMMAND = [sys.executable, "-c", "import sys; from cowlab.cli import main; sys.exit(main())"]
ENV = os.environ | {"PYTHONPATH": str(ROOT)}
SOURCE = ROOT / "tests" / "solutions" / "04-three-counts.ipynb"
FORM = ROOT / "exercises" / "04-three-counts.ipynb"
EITHER = ROOT / "exercises" / "05-either-way.ipynb"


def command(*words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, env=ENV, timeout=120)


def started(*words, **how):
    """The same, without waiting for its end."""
    how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "env": ENV} | how
    return subprocess.Popen([*COMMAND, *map(str, words)], **how)


def gradings(journal):
    """How many whole lines a journal has: each is one grading."""
    lines = journal.read_bytes().splitlines() if journal.exists() else []
    return sum(line.startswith(b'{"of"') and line.endswith(b"}}") for line in lines)


def wait_for(number, journal, run):
    """Until so many are graded, or the run has ended."""
    while run.poll() is None and gradings(journal) < number:
        time.sleep(0.02)


def filled(form, q1):
    notebook = read_notebook(form)
    for cell in notebook["cells"]:
        if cell["metadata"]["nbgrader"]["grade_id"] == "q1":
            cell["source"] = q1
    return notebook


def handed_in(folder, number, q1='q1 = "P C"'):
    folder.mkdir(exist_ok=True)
    for n in range(number):
        (folder / f"05-either-way-s{n}.ipynb").write_text(json.dumps(filled(EITHER, q1)))
    return folder


# Seeds


def test_each_student_gets_a_problem_of_their_own_and_is_graded_on_it(tmp_path):
    """Whatever the file says: the seed is the roster's, and a neighbour's answers do not earn what one's own do."""
    (tmp_path / "roster.csv").write_text("id,name\nanna,A\nbert,B\n")
    done = command("release", SOURCE, "--to", tmp_path, "--students", tmp_path / "roster.csv")
    assert (done.returncode, done.stderr) == (0, "")
    answers = {}
    for id in ("anna", "bert"):
        form = tmp_path / id / SOURCE.name
        assert f"SEED = {seed_of(id)}" in "\n".join(source(c) for c in read_notebook(form)["cells"])
        answers[id] = f"q1 = {classroom_table(id)}"
    assert answers["anna"] != answers["bert"]
    for id, other in (("anna", "bert"), ("bert", "anna")):
        own = reseeded(exercise(FORM), seed_of(id))
        marks = {}
        for whose in (id, other):
            path = tmp_path / f"{whose}.ipynb"
            path.write_text(json.dumps(filled(tmp_path / other / SOURCE.name, answers[whose])))
            marks[whose] = grade(path, {own.name: own}, Limits(), nbval=False)["questions"][0]["points"]
        assert marks[id] == 6 > marks[other]


def classroom_table(id):
    return [list(row) for row in seeds._counts(seed_of(id)).rows]


@linux
def test_the_command_grades_by_the_roster(tmp_path):
    """And what belongs to nobody is in the report, with no points."""
    (tmp_path / "roster.csv").write_text("id\nanna\n")
    (tmp_path / "in" / "anna").mkdir(parents=True)
    text = json.dumps(filled(FORM, f"q1 = {classroom_table('anna')}"))
    (tmp_path / "in" / "anna" / FORM.name).write_text(text)
    (tmp_path / "in" / f"{FORM.stem}-carl.ipynb").write_text(text)
    done = command("grade", tmp_path / "in", "--exercise", FORM, "--students", tmp_path / "roster.csv", "--no-nbval",
                   "--json")  # fmt: skip
    found = {r["submission"].rpartition("/")[2]: r for r in json.loads(done.stdout)}
    assert found[FORM.name]["points"] == 6
    assert "belongs to nobody" in found[f"{FORM.stem}-carl.ipynb"]["problem"]


@pytest.mark.parametrize(
    ("path", "id"),
    [("anna/05.ipynb", "anna"), ("x/05-either-way-anna.ipynb", "anna"), ("x/05-anna.b.ipynb", "anna.b"),
     ("bert/05-anna.ipynb", "bert"), ("x/05-joanna.ipynb", ""), ("anna.ipynb", "anna")],
)  # fmt: skip
def test_whose_it_is(path, id):
    assert student_of(path, ["anna", "bert", "anna.b"]) == id


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "no ids"), ("id\n", "no ids"), ("id\nanna\nanna\n", "line 3: anna stands in line 2 already"),
     ("id\n../x\n", "line 2: '../x' cannot be an id"), ("id\n..\n", "cannot be an id"), (b"\xff\xfe", "no roster")],
)  # fmt: skip
def test_a_bad_roster_is_refused_in_one_message(tmp_path, text, said):
    file = tmp_path / "r.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(LitmusError, match=said):
        roster(file)


def test_what_takes_no_seed_says_so(tmp_path):
    done = command("release", ROOT / "tests" / "grading" / "counts.ipynb", "--to", tmp_path, "--seed", 3)
    assert done.returncode == 2
    assert "takes no seed" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


# Class runs


def test_results_are_in_the_journal_and_nothing_is_graded_twice(tmp_path):
    """However many at a time; a key that has changed is graded again, and so is a line that was cut off."""
    graded, journal = [], tmp_path / "j"
    keys = {p: p for p in "abcdef"}

    def one(path):
        graded.append(path)
        time.sleep(0.01 * (path < "c"))
        return {"submission": path}

    def again(jobs):
        graded.clear()
        found = {path: (r, kept) for path, r, kept in run_class(list(keys), keys.get, locally(one, jobs), journal)}
        assert {path: r["submission"] for path, (r, _) in found.items()} == {p: p for p in keys}
        assert sorted(path for path, (_, kept) in found.items() if not kept) == sorted(graded)
        return sorted(graded)

    assert again(3) == list("abcdef")
    assert again(1) == []
    keys["c"] = "changed"
    assert again(2) == ["c"]
    lines = journal.read_bytes()
    cut = lines.rindex(b'"result"')
    journal.write_bytes(lines[:cut])
    assert again(2) == ["f"]
    assert again(2) == []
    keys["a"] = ""  # not to be read: never kept
    assert again(1) == again(1) == ["a"]


def test_what_changes_while_it_is_graded_is_not_kept(tmp_path):
    """A result is of what was read; nobody knows what that was."""
    keys = {"a": "before"}

    def one(path):
        keys[path] = "after"
        return {"submission": path}

    assert len(list(run_class(["a"], lambda p: keys[p], locally(one), tmp_path / "j"))) == 1
    assert gradings(tmp_path / "j") == 0


def test_a_journal_is_whole_wherever_it_was_cut_off(tmp_path):
    """kill -9 at any moment: whichever byte was the last one, whole lines count, the rest is graded again."""
    with Journal(tmp_path / "whole") as kept:
        for key in "abc":
            kept.add(key, {"submission": key, "points": 1})
    text = (tmp_path / "whole").read_bytes()
    for cut in range(len(text) + 1):
        path = tmp_path / "cut"
        path.write_bytes(text[:cut])
        whole = [key for n, key in enumerate("abc", 1) if len(text[:cut]) >= text_end(text, n)]
        with Journal(path) as kept:
            assert list(kept.known) == whole
            kept.add("d", {"submission": "d"})
        with Journal(path) as kept:
            assert list(kept.known) == [*whole, "d"]


def text_end(text, n):
    """Where the nth line ends that is not empty, without its line end."""
    return [m.end() for m in re.finditer(rb"[^\n]+", text)][n - 1]


def test_the_journal_of_a_finished_run_is_sorted(tmp_path):
    """By submission, whoever was done first; and no grading is dropped from it."""
    for name, wait in (("a", "abc"), ("b", "cab")):
        slow = {p: 0.02 * n for n, p in enumerate(wait)}

        def one(path, slow=slow):
            time.sleep(slow[path])
            return {"submission": path}

        assert len(list(run_class("abc", lambda p: p, locally(one, 3), tmp_path / name))) == 3
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with Journal(tmp_path / "a") as kept:
        kept.add("a", {"submission": "a"})
        kept.sort()
    assert gradings(tmp_path / "a") == 4


def test_one_run_at_a_time_writes_to_a_journal(tmp_path):
    with Journal(tmp_path / "j"), pytest.raises(LitmusError, match="another run writes to this journal"):
        Journal(tmp_path / "j")
    with Journal(tmp_path / "j"):
        pass


@pytest.mark.parametrize(
    ("make", "said"),
    [(lambda p: p.write_text("submission,points\n"), "no journal of cowlab"), (lambda p: p.mkdir(), "Is a directory"),
     (lambda p: p.symlink_to("/dev/null"), "it is no file"), (os.mkfifo, "no place for a journal")],
)  # fmt: skip
def test_what_is_no_journal_is_left_alone(tmp_path, make, said):
    """A table of marks, a folder, a device, a pipe: one message, and nothing is written."""
    path = tmp_path / "j"
    make(path)
    about = path.stat()
    with pytest.raises(LitmusError, match=said):
        Journal(path)
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (about.st_mtime_ns, about.st_size)


def test_what_marks_hang_on_is_in_the_key(tmp_path):
    """The submission, its own exercise, the seed, the limits, nbval, cowlab's code; and nothing else."""
    path, other = tmp_path / "05-either-way-a.ipynb", tmp_path / "05-either-way-b.ipynb"
    path.write_text(json.dumps(filled(EITHER, 'q1 = "P"')))
    other.write_text(path.read_text())
    given = {e.name: e for e in map(exercise, (EITHER, FORM))}
    work = Work(given, Limits(), "nbval 0.11.0")
    key = work.key(str(path), 0)
    assert key == work.key(os.path.relpath(path), 0) == Work(dict(given), Limits(), "nbval 0.11.0").key(str(path), 0)
    counts = given[FORM.stem]
    assert key == replace(work, given=given | {counts.name: replace(counts, cells=counts.cells[:-1])}).key(str(path), 0)
    either = given[EITHER.stem]
    changed = {
        "another file": work.key(str(other), 0),
        "another problem": work.key(str(path), None),
        "other limits": replace(work, limits=Limits(seconds=9)).key(str(path), 0),
        "no nbval": replace(work, by="").key(str(path), 0),
        "the master": replace(work, given=given | {either.name: replace(either, title="")}).key(str(path), 0),
    }  # fmt: skip
    counts = tmp_path / "04-three-counts-a.ipynb"  # it takes a seed
    counts.write_text(FORM.read_text())
    changed |= {f"seed {n}": work.key(str(counts), n) for n in (0, 1)}
    path.write_text(json.dumps(filled(EITHER, 'q1 = "C"')))
    changed["the submission"] = work.key(str(path), 0)
    assert len({key, *changed.values()}) == 1 + len(changed)


@pytest.mark.parametrize("file", ["grade/rubric.py", "mm/fault.py", "litmus/catalogue/any.litmus"])
def test_a_change_of_the_code_is_seen(tmp_path, monkeypatch, file):
    """What judges is part of what marks hang on."""
    for name in ("grade/journal.py", "grade/rubric.py", "mm/fault.py", "litmus/catalogue/any.litmus"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("as it was")
    monkeypatch.setattr(journals, "__file__", str(tmp_path / "grade" / "journal.py"))
    seen = set()
    for text in ("as it was", "as it is now"):
        (tmp_path / file).write_text(text)
        code.cache_clear()
        seen.add(code())
    code.cache_clear()
    assert len(seen) == 2


def test_a_stopped_run_ends_what_it_has_begun():
    """Nothing new is begun, nothing that was begun is lost."""
    begun = []

    def one(path):
        begun.append(path)
        time.sleep(0.05)
        return {"submission": path}

    done = [path for path, _ in locally(one, 2, lambda: len(begun) >= 3)("abcdefgh")]
    assert sorted(done) == sorted(begun)
    assert 3 <= len(done) <= 4


@linux
def test_marks_are_the_same_for_one_job_and_for_two(tmp_path):
    folder = handed_in(tmp_path / "in", 3)
    (folder / "broken.ipynb").write_text("{")
    texts, kept = [], []
    for jobs in (1, 2):
        table = tmp_path / f"{jobs}.csv"
        done = command("grade", folder, folder, "--exercise", EITHER, "--no-nbval", "--jobs", jobs, "--csv", table)
        assert (done.returncode, done.stderr) == (0, "")  # no bar where there is no terminal
        texts.append(table.read_bytes())
        kept.append(table.with_suffix(".journal").read_bytes())
    assert texts[0] == texts[1]
    assert kept[0] == kept[1]
    assert gradings(tmp_path / "1.journal") == 4
    done = command("grade", folder, "--exercise", EITHER, "--no-nbval", "--csv", tmp_path / "2.csv")
    assert "4 of 4 were graded before" in done.stdout
    assert gradings(tmp_path / "2.journal") == 4


@linux
def test_a_terminal_sees_how_far_it_is(tmp_path):
    """How many of how many, how long it will take, and what is being graded; and Ctrl-C says how to go on, and ends
    when what was begun is done."""
    folder, journal = handed_in(tmp_path / "in", 9, "import time; time.sleep(1)"), tmp_path / "journal"
    outside, inside = pty.openpty()
    termios.tcsetwinsize(inside, (24, 100))
    words = ["grade", folder, "--exercise", EITHER, "--no-nbval", "--journal", journal]
    run = started(*words, stderr=inside, text=False)
    os.close(inside)
    shown, asked = b"", False
    with contextlib.suppress(OSError):  # nobody has the other end any more
        while chunk := os.read(outside, 4096):
            shown += chunk
            if gradings(journal) >= 2 and not asked:
                run.send_signal(signal.SIGINT)
                asked = True
    os.close(outside)
    assert run.wait(60) == 130
    text = shown.decode()
    done = gradings(journal)
    assert 2 <= done < 9
    assert re.search(r"grading: +\d+%.*[12]/9 \[\d\d:\d\d<\d\d:\d\d", text), text
    assert "05-either-way-s" in text
    assert "stopping when those that are being graded are done" in text
    assert f"interrupted: {done} of 9 are graded, and are in {journal}. The same command again goes on." in text
    assert "Traceback" not in text


@linux
def test_a_second_ctrl_c_ends_it_at_once(tmp_path):
    """Whatever is being graded; and no process and no file of it stays."""
    folder, journal = handed_in(tmp_path / "in", 2, "while True: pass"), tmp_path / "journal"
    (tmp_path / "tmp").mkdir(mode=0o711)
    words = ["grade", folder, "--exercise", EITHER, "--no-nbval", "--time", 100, "--journal", journal]
    run = started(*words, env=ENV | {"TMPDIR": str(tmp_path / "tmp")})
    while run.poll() is None and not os.listdir(tmp_path / "tmp"):
        time.sleep(0.05)
    time.sleep(1)
    for _ in range(2):
        run.send_signal(signal.SIGINT)
        time.sleep(0.3)
    assert run.wait(20) == 130
    patience = time.monotonic() + 30
    while os.listdir(tmp_path / "tmp") and time.monotonic() < patience:
        time.sleep(0.1)
    assert os.listdir(tmp_path / "tmp") == []


@linux
@pytest.mark.full
def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path):
    """kill -9 in the middle: what is in the journal is not graded again, the rest is, and the marks are those of a run
    that was left alone; scratch folders go as well."""
    folder, journal = handed_in(tmp_path / "in", 8), tmp_path / "journal"
    (tmp_path / "tmp").mkdir(mode=0o711)
    words = ["grade", folder, "--exercise", EITHER, "--no-nbval", "--jobs", "2"]
    run = started(*words, "--journal", journal, env=ENV | {"TMPDIR": str(tmp_path / "tmp")})
    wait_for(3, journal, run)
    run.kill()
    run.communicate()
    before = gradings(journal)
    assert 3 <= before < 8
    resumed = command(*words, "--journal", journal, "--csv", tmp_path / "a.csv")
    assert f"{before} of 8 were graded before" in resumed.stdout
    assert gradings(journal) == 8
    command(*words, "--csv", tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert os.listdir(tmp_path / "tmp") == []


# A Dask cluster


def test_without_dask_it_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    folder = handed_in(tmp_path / "in", 1)
    words = ["grade", str(folder), "--exercise", str(EITHER), "--no-nbval", "--scheduler", "127.0.0.1:1"]
    assert cli.main(words) == 2
    assert capsys.readouterr().err == "cowlab: Dask is missing; install it with: pip install 'cowlab[dask]'\n"


@pytest.mark.full
@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "tcp://127.0.0.1", "http://127.0.0.1:1", ""])
def test_a_scheduler_that_does_not_answer(tmp_path, monkeypatch, capsys, address):
    """One message, and nothing is graded elsewhere instead."""
    from cowlab.grade import cluster as here

    monkeypatch.setattr(here, "ANSWERS", 1)
    folder = handed_in(tmp_path / "in", 1)
    assert cli.main(["grade", str(folder), "--exercise", str(EITHER), "--no-nbval", "--scheduler", address]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"cowlab: no Dask scheduler answers at {address}")
    assert len(said.err.splitlines()) == 1


def test_a_worker_with_another_cowlab_grades_nothing():
    """Its marks could be others."""
    from cowlab.grade.cluster import grade_sent

    assert "another cowlab" in grade_sent("a.ipynb", None, None, Limits(), "", "another digest")["cannot"]


@pytest.mark.full
def test_a_cluster_without_workers_is_not_waited_for(tmp_path, monkeypatch, capsys):
    from cowlab.grade import cluster as here

    monkeypatch.setattr(here, "WORKERS", 1)
    folder = handed_in(tmp_path / "in", 1)
    with cluster(tmp_path, 0) as (address, _):
        words = ["grade", str(folder), "--exercise", str(EITHER), "--no-nbval", "--scheduler", address]
        assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("cowlab: the cluster has no workers; start some with `dask worker`")
    assert len(said.splitlines()) == 1


def test_a_cluster_has_its_own_number_of_jobs(capsys):
    assert cli.main(["grade", str(EITHER), "--no-nbval", "--jobs", "2", "--scheduler", "127.0.0.1:1"]) == 2
    assert "--jobs and --scheduler exclude each other" in capsys.readouterr().err


@linux
@pytest.mark.full
def test_a_worker_that_is_killed_costs_nothing(tmp_path):
    """Two worker processes, one of them gone by kill -9 in the middle of a submission: nothing is lost, every
    submission was graded to its end once, and the marks are those of this machine."""
    from distributed import Client

    folder, journal = handed_in(tmp_path / "in", 10, 'import time; time.sleep(0.7); q1 = "P C"'), tmp_path / "journal"
    (folder / "broken.ipynb").write_text("{")
    (folder / "link.ipynb").symlink_to(folder / "broken.ipynb")
    words = ["grade", folder, "--exercise", EITHER, "--no-nbval"]
    with cluster(tmp_path, 2) as (address, (_, *workers)):
        run = started(*words, "--scheduler", address, "--csv", tmp_path / "a.csv", "--journal", journal)
        wait_for(4, journal, run)
        time.sleep(0.3)  # both are in the middle of another one
        workers[0].kill()
        left = gradings(journal)
        _, said = run.communicate(timeout=120)
        assert (run.returncode, said) == (0, "")
        with Client(address, set_as_default=False) as client:
            log = client.run_on_scheduler(lambda dask_scheduler: [e[:3] for e in dask_scheduler.transition_log])
    tasks = [(start, end) for key, start, end in log if str(key).startswith("grade_sent")]
    assert 4 <= left < 11
    assert tasks.count(("processing", "memory")) == 10  # the other files were refused here
    assert tasks.count(("waiting", "processing")) + tasks.count(("queued", "processing")) > 10  # one was taken away
    assert gradings(journal) == 11
    done = command(*words, "--csv", tmp_path / "b.csv")
    assert done.returncode == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@linux
@pytest.mark.full
def test_a_scheduler_that_goes_away_leaves_a_journal(tmp_path):
    """One message, exit status 2; the rest can be graded here."""
    folder, journal = handed_in(tmp_path / "in", 6), tmp_path / "journal"
    words = ["grade", folder, "--exercise", EITHER, "--no-nbval", "--journal", journal]
    with cluster(tmp_path, 1) as (address, (scheduler, _)):
        run = started(*words, "--scheduler", address)
        wait_for(2, journal, run)
        scheduler.kill()
        _, said = run.communicate(timeout=120)
    assert run.returncode == 2
    assert said.startswith("cowlab: the Dask scheduler does not answer any more")
    assert len(said.splitlines()) == 1
    before = gradings(journal)
    assert f"{before} of 6 were graded before" in command(*words).stdout
    assert gradings(journal) == 6
