"""The questions of lesson 07 (what 17839856fd changed)."""

from .bank import Choice, Question, Schedule

LEAK = "child-reads-parent-secret"
BEFORE = "reference-before-fork-leaks"
WHO = """litmus who-keeps-the-first-frame
init
  P: x = old

P           | C
fork C      | vmsplice x -> pipe
write x new | munmap x

exists P.x is init.x and C.pipe isnt init.x
"""
FORK = "litmus fork-shares\ninit\n  P: x = old\n\nP\nfork C\n\nexists C.x is P.x\n"
SHARED = """litmus one-page-for-everybody
init
  P: x = old shared

P           | C
fork C      | vmsplice x -> pipe
write x new |

exists C.pipe == new and C.pipe is P.x
"""

QUESTIONS = (
    Question(
        id="07-who-copies",
        prompt="On v5.7 this order leaks: P forks, C puts the page into a pipe, C unmaps it, P writes. On v5.8 the "
        "same four moves do not leak. Which move is it that copies the page on v5.8?",
        setting="P: fork C\nC: vmsplice x -> pipe\nC: munmap x\nP: write x new",
        choices=(
            Choice("P's `write`. Whoever writes makes the copy.", believes="M9", refuted_by=Schedule(
                WHO, "P C C P", "Move 4: P's write reuses frame 0, just as on v5.7.", kernel="v5.8")),
            Choice(
                "C's `vmsplice`. Asking for the page is what breaks COW.",
                because="When P writes, frame 0 is P's alone, and the pipe holds another frame. P may take it over, "
                "and nothing leaks.",
            ),
            Choice("`fork`. From v5.8 on the child starts with copies.", believes="M1", refuted_by=Schedule(
                FORK, "P", "After `fork` both entries point at frame 0, on v5.8 as on every kernel.", kernel="v5.8")),
            Choice("None. The page is locked while the pipe holds it, and P's `write` has to wait.", believes="M11"),
        ),
        hints=(
            "Four moves, four places where the rule could have changed. Ask of each: who decides here?",
            "On v5.7 P takes frame 0 over, because it is the only one who maps it. That rule was not touched.",
            "So when P writes, the pipe must hold some other frame already. Which moves come before that?",
        ),
        shows=Schedule(LEAK, "P C C P", "Move 2 makes frame 1. Move 4 reuses frame 0.", kernel="v5.8", holds=False),
    ),
    Question(
        id="07-one-rule",
        prompt="You build a kernel of your own: v5.7, with one field replaced. Its `force_cow_break` is that of v5.8. "
        "The same four moves again. What does C's `vmsplice` do?",
        setting="replace(old, force_cow_break=new.force_cow_break)\n\nC: vmsplice x -> pipe",
        choices=(
            Choice("It breaks COW. One more check, and the leak is closed.", believes="M13", refuted_by=Schedule(
                "fast-only-still-leaks", "P C C P", "v5.8 has that check. Move 2 is a lookup that never comes by it, "
                "and move 4 leaks.", kernel="v5.8")),
            Choice(
                "It takes the shared frame, as on v5.7. The leak is still there.",
                because="`vmsplice()` begins with the lockless walk. On v5.7 the walk takes any entry that is "
                "present. The new check stands in the slow path, and this lookup never gets there.",
            ),
            Choice("It fails with EFAULT: a read-only entry cannot be looked up for writing.", believes="M3",
                   refuted_by=Schedule("read-only-mapping-leaks-too", "P P C C P", "Move 3: the whole mapping is "
                                       "PROT_READ, and the lookup gets its page all the same.",
                                       kernel="v5.8", holds=False)),
        ),
        hints=(
            "A lookup has two paths. Which of them does `vmsplice` try first?",
            "Look at the trace on v5.8 again. Which function comes before `should_force_cow_break`?",
            "What would `gup_pte_range` have done there, had its own rule not changed?",
        ),
    ),
    Question(
        id="07-before-fork",
        prompt="v5.8, all three rules in place. P puts its page into a pipe first and forks afterwards. Then P "
        "writes, then C writes. What can be read from P's pipe?",
        setting="P: vmsplice x -> pipe\nP: fork C\nP: write x new\nC: write x mine",
        choices=(
            Choice("`new`. v5.8 keeps a reference on the side of the one who took it.", believes="M12",
                   refuted_by=Schedule(BEFORE, "P P P C", "Move 1 finds a writable entry, so there is no COW to "
                                       "break. Move 3 is P's own write, and it leaves the held frame behind.",
                                       kernel="v5.8")),
            Choice("`old`. A reference keeps the data as they were.", believes="M6", refuted_by=Schedule(
                BEFORE, "P P P C", "Move 4: the pipe still holds frame 0, and C has just written there.",
                kernel="v5.8")),
            Choice(
                "`mine`, which C wrote.",
                because="At the lookup P's entry was writable: nothing to break. `fork()` shared the page afterwards, "
                "P's write moved P to a copy, and C was left as the only mapper of the frame in the pipe.",
            ),
        ),
        hints=(
            "v5.8 breaks COW at the lookup. What is there to break when P asks?",
            "After the fork, P writes first. Who gets the new frame?",
            "Now one process maps the old frame, and P's pipe holds it. What does v5.8 do when that process writes?",
        ),
        shows=Schedule(BEFORE, "P P P C", "Move 3 copies for P. Move 4 reuses for C.", kernel="v5.8"),
    ),
    Question(
        id="07-exit-shared",
        prompt="A MAP_SHARED page on v5.8. C asks for it with `get_user_pages()`, only to read. Then P writes. What "
        "does C's reference read?",
        setting="P: x = old shared\n\nP: fork C\nC: vmsplice x -> pipe\nP: write x new",
        choices=(
            Choice("`old`. Since v5.8 `get_user_pages()` gives C a page that stays as it is.", believes="M8",
                   refuted_by=Schedule(SHARED, "P C P", "Move 2 copies nothing, and after move 3 the pipe reads `new`.",
                                       kernel="v5.8")),
            Choice("`old`. P writes, so P makes a copy.", believes="M9", refuted_by=Schedule(
                SHARED, "P C P", "Move 3: P writes in place. In a shared mapping nobody ever copies.", kernel="v5.8")),
            Choice(
                "`new`. There is one page for everybody, and C holds that one.",
                because="A shared mapping is no COW mapping, so `should_force_cow_break()` says no, and there is "
                "nothing to break. You get the page. You do not get a promise about what is in it.",
            ),
        ),
        hints=(
            "The new rule begins with a question about the mapping. Which one?",
            "`is_cow_mapping()`: private, and could become writable.",
            "With no COW to break, which frame does the reference hold?",
        ),
    ),
    Question(
        id="07-exit-version",
        prompt="A machine says that it runs 5.4.195. Which rules does it follow?",
        choices=(
            Choice("Those of v5.7: 5.4 is older than 5.8, and 5.8 brought the fix.", believes="M18",
                   refuted_by=Schedule(LEAK, "P C C P", "Move 2 copies. This release carries the rules as a backport.",
                                       kernel="5.4.195", holds=False)),
            Choice(
                "Those of v5.8, brought over as a backport.",
                because="A stable kernel takes single commits from newer ones. The row is named for the mechanism, "
                "and 5.4.195 is one of its aliases. The release 5.4.0 is not.",
            ),
            Choice("Those of v5.9: a stable kernel takes the latest rules.", believes="M18", refuted_by=Schedule(
                WHO, "P C C P", "Move 4 reuses the frame. On v5.9 it would be copied.", kernel="5.4.195")),
            Choice("Those of v5.8, so no reference can end up on the wrong side.", believes="M12", refuted_by=Schedule(
                BEFORE, "P P P C", "After move 4 P's pipe holds what C wrote.", kernel="5.4.195")),
        ),
        hints=(
            "5.4.195 came out more than two years after 5.4.0. What happens to a stable kernel in the meantime?",
            "Which releases did the table of the lesson name as carriers of the new rules?",
            "The rules came over. Did they bring more than they have on v5.8?",
        ),
    ),
)  # fmt: skip
