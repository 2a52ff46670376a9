"""The space of `cowlab explore` as a Promela model, for SPIN: private anonymous pages of v5.7, v5.8 and v6.1.

    python tests/bench/promela.py v6.1 3 1 pin --renaming > m.pml

Written by hand from facts/kernel.md and mm/*.c, for the steps that are compared, and for nothing else: the engine
stays the one definition, and the counts of states and transitions must come out equal. Frames and swap slots are
numbered from 1, 0 is none; an entry k is 0 none, 1 read-only, 2 writable, 3 a swap entry.
"""

import sys

__all__ = ["promela"]

KERNELS = ("v5.7", "v5.8", "v6.1")


def promela(kernel, processes, pages, steps, never="leak", renaming=False):
    """The model's text. ``steps`` is a list out of write, read, munmap, fork, exit, gup, pin, put, reclaim; with
    ``renaming``, frames and slots are renamed by embedded C after every step, which SPIN cannot do by itself."""
    assert kernel in KERNELS, f"{kernel} is not modelled; choose one of {', '.join(KERNELS)}"
    n, new, breaks = processes * pages, kernel == "v6.1", kernel == "v5.8"
    entries, procs = range(n), range(processes)
    frames, slots = n + processes + 2, n + processes + 1  # with 0, and a frame for the step itself

    def total(*terms):
        return "(" + "+".join(terms) + ")"

    text = [
        f"byte k[{n}]; bool d[{n}]; byte fr[{n}]; byte sl[{n}];  /* entry: kind, dirty, frame, swap slot */",
        f"byte hv[{processes}]; byte hf[{processes}]; bool alive[{processes}];  /* reference: page + 1, frame */",
        f"byte sc[{slots}];  /* swap cache: slot -> frame */",
        f"bool ex[{frames}]; bool sx[{n}]; bool hp[{processes}];" if new else f"bool hp[{processes}];",
        "byte f; byte nf; byte s; byte c; byte i;",
        f"#define SLOTS {slots}",
        f"#define FRAMES {frames}",
        f"#define MAPS(F) {total(*(f'((k[{x}]==1||k[{x}]==2)&&fr[{x}]==(F))' for x in entries))}",
        f"#define HELD(F) {total(*(f'(hv[{p}]!=0&&hf[{p}]==(F))' for p in procs))}",
        f"#define CACHED(F) {total(*(f'(sc[{s}]==(F))' for s in range(1, slots)))}",
        f"#define SWAPS(S) {total(*(f'(k[{x}]==3&&sl[{x}]==(S))' for x in entries))}",
        "#define COUNT(F) (MAPS(F)+HELD(F)+CACHED(F))",
        "inline slot_of(F) { s=1; do :: (s<SLOTS && sc[s]!=(F)) -> s++ :: else -> break od }",
        "inline alloc() { nf=1; do :: (COUNT(nf)!=0) -> nf++ :: else -> break od }",
        # the swap cache of a slot that no entry needs, and of a page that nobody maps
        "inline free_swap(F) { slot_of(F); if :: (s<SLOTS && SWAPS(s)==0) -> sc[s]=0 :: else fi }",
        "inline free_unmapped(F) { if :: (MAPS(F)==0) -> free_swap(F) :: else fi }",
        "inline sweep() {",
        "  s=1; do :: (s<SLOTS) -> if :: (sc[s]!=0 && SWAPS(s)==0 && MAPS(sc[s])==0 && HELD(sc[s])==0) -> sc[s]=0 "
        ":: else fi; s++ :: else -> break od;",
        ("  i=1; do :: (i<FRAMES) -> if :: (ex[i] && COUNT(i)==0) -> ex[i]=0 :: else fi; i++ :: else -> break od")
        if new else "  skip",
        "}",
    ]  # fmt: skip
    mark = "ex[f]=1; " if new else ""
    # do_wp_page(); UNSHARE leaves the entry read-only
    may = "(ex[f] || COUNT(f)-(s<SLOTS && SWAPS(s)==0)==1)" if new else (
        "(MAPS(f) + ((s<SLOTS) -> SWAPS(s) : 0) == 1)")  # fmt: skip
    frees = "free_unmapped(f);" if new else ""
    not_ex = "!ex[f]" if new else "true"
    text += [
        "inline wp(X, UNSHARE) { f=fr[X]; slot_of(f);",
        f"  if :: {may} -> if :: {not_ex} -> free_swap(f); {mark}skip :: else fi;",
        "       if :: UNSHARE -> skip :: else -> k[X]=2; d[X]=1 fi",
        f"  :: else -> alloc(); fr[X]=nf; {'ex[nf]=1;' if new else ''} if :: UNSHARE -> k[X]=1; d[X]=0 "
        f":: else -> k[X]=2; d[X]=1 fi; {frees} sweep() fi }}",
    ]
    # do_swap_page()
    text += [
        "inline swapin(X, WRITE) { c=sl[X]; f=sc[c];",
        "  if :: (f==0) -> alloc(); f=nf; sc[c]=f :: else fi;",
        "  k[X]=0; sl[X]=0;",
    ]
    if new:
        text += [
            "  if :: (WRITE && COUNT(f)==1) -> free_swap(f) :: else fi;",
            "  i=(sx[X] || COUNT(f)==0); sx[X]=0; fr[X]=f;",
            "  if :: i -> ex[f]=1 :: else fi;",
        ]
    else:
        text += [
            "  i=(WRITE && MAPS(f)+SWAPS(c)==0); fr[X]=f;",
            "  if :: i -> free_swap(f) :: else fi;",
        ]
    text += [
        "  if :: (WRITE && i) -> k[X]=2; d[X]=1 :: else -> k[X]=1; d[X]=0 fi;",
        "  i=(WRITE && !i); sweep2();",
        "  if :: i -> i=0; wp(X, false) :: else fi }",
        "inline sweep2() { c=i; sweep(); i=c; c=0 }",
        "inline zap(X) { f=(k[X]==3 -> sc[sl[X]] : fr[X]); k[X]=0; d[X]=0; fr[X]=0; sl[X]=0; "
        + ("sx[X]=0; " if new else "")
        + "if :: (f!=0) -> free_unmapped(f) :: else fi }",
        "inline reclaim_frame() { slot_of(f);",
        f"  if :: (s=={slots}) -> s=1; do :: (sc[s]!=0 || SWAPS(s)!=0) -> s++ :: else -> break od; sc[s]=f :: else fi;",
        "  "
        + " ".join(
            f"if :: ((k[{x}]==1||k[{x}]==2) && fr[{x}]==f) -> k[{x}]=3; sl[{x}]=s; fr[{x}]=0; d[{x}]=0"
            + (f"; sx[{x}]=ex[f]" if new else "")
            + " :: else fi;"
            for x in entries
        ),
        f"  {'ex[f]=0; ' if new else ''}if :: (COUNT(f)==1) -> sc[s]=0 :: else fi }}",
    ]
    end = ("rename(); " if renaming else "") + "f=0; nf=0; s=0; c=0; i=0"
    if never == "leak":
        bad = [
            f"(hv[{p}]!=0&&k[{q * pages + v}]==2&&fr[{q * pages + v}]==hf[{p}])"
            for p in procs for q in procs for v in range(pages) if p != q
        ]  # fmt: skip
        end += f"; assert(!({'||'.join(bad) or 'false'}))"
    if renaming:
        text += _renaming(processes, n, frames, slots, new)
    text += [f"active [{processes}] proctype mm() {{", "end: do"]

    def step(guard, body):
        text.append(f"  :: d_step {{ ({guard}) -> {body}; {end} }}")

    pin_fault = {
        "v5.7": "if :: (k[{x}]==3) -> swapin({x}, false) :: else fi",
        "v5.8": "if :: (k[{x}]==3) -> swapin({x}, true) :: (k[{x}]==1) -> wp({x}, false) :: else fi",
        "v6.1": "if :: (k[{x}]==3) -> swapin({x}, false) :: else fi; "
        "if :: (k[{x}]==1 && !ex[fr[{x}]]) -> wp({x}, true) :: else fi",
    }
    for v in range(pages):
        x = f"_pid*{pages}+{v}" if pages > 1 else "_pid"
        mapped = f"alive[_pid] && k[{x}]!=0"
        if "write" in steps:
            step(
                mapped, f"if :: (k[{x}]==3) -> swapin({x}, true) :: (k[{x}]==1) -> wp({x}, false) :: else fi; d[{x}]=1"
            )
        if "read" in steps:
            step(mapped, f"if :: (k[{x}]==3) -> swapin({x}, false) :: else fi")
        if "munmap" in steps:
            step(mapped, f"zap({x}); sweep()")
        for op in ("gup", "pin"):
            if op in steps:
                fault = pin_fault["v5.7" if op == "gup" and not breaks else kernel].replace("{x}", x)
                took = "; hp[_pid]=1" if op == "pin" else ""
                step(f"{mapped} && hv[_pid]==0", f"{fault}; hv[_pid]={v + 1}; hf[_pid]=fr[{x}]{took}; sweep()")
    if "put" in steps:
        step("alive[_pid] && hv[_pid]!=0", "hv[_pid]=0; hf[_pid]=0; sweep()")
    if "exit" in steps:
        zaps = "; ".join(f"zap(_pid*{pages}+{v})" for v in range(pages))
        step("alive[_pid]", f"hv[_pid]=0; hf[_pid]=0; sweep(); {zaps}; sweep(); alive[_pid]=0; hp[_pid]=0")
    if "fork" in steps:
        free = "||".join(f"!alive[{p}]" for p in procs)
        shares = []
        for v in range(pages):
            x, y = f"_pid*{pages}+{v}", f"c*{pages}+{v}"
            copy = (
                f":: ((k[{x}]==1||k[{x}]==2) && ex[fr[{x}]] && hp[_pid] && HELD(fr[{x}])!=0) -> "
                f"alloc(); ex[nf]=1; fr[{y}]=nf; k[{y}]=2; d[{y}]=1 "
                if new and "pin" in steps else ""
            )  # fmt: skip
            clear = f"ex[fr[{x}]]=0; " if new else ""
            both = f"sx[{x}]=0; sx[{y}]=0; " if new else ""
            shares.append(
                f"if :: (k[{x}]==3) -> {both}k[{y}]=3; sl[{y}]=sl[{x}] {copy}"
                f":: else -> if :: (k[{x}]!=0) -> {clear}k[{x}]=1; k[{y}]=1; fr[{y}]=fr[{x}]; d[{y}]=d[{x}] "
                ":: else fi fi"
            )
        step(
            f"alive[_pid] && ({free})",
            f"c=0; do :: alive[c] -> c++ :: else -> break od; alive[c]=1; {'; '.join(shares)}",
        )
    text += ["  od", "}"]
    if "reclaim" in steps:
        text += ["active proctype kswapd() {", "end: do"]
        for v in range(pages):
            takes = []
            for p in procs:
                x = p * pages + v
                pinned = f" && HELD(fr[{x}])==0" if new and "pin" in steps else ""
                takes.append(f"if :: ((k[{x}]==1||k[{x}]==2){pinned}) -> f=fr[{x}]; reclaim_frame() :: else fi")
            step("true", f"{'; '.join(takes)}; sweep()")
        text += ["  od", "}"]
    start = [f"alive[0]=1; {'; '.join(f'k[{v}]=2; d[{v}]=1; fr[{v}]={v + 1}' for v in range(pages))}"]
    start += [f"ex[{v + 1}]=1" for v in range(pages)] if new else []
    return _initialised("\n".join(text), processes, pages, n, frames, new) + "\n"


def _initialised(text, processes, pages, n, frames, new):
    """The start as initialisers: one process, every page written once."""

    def row(values, size):
        return "{" + ",".join(map(str, [*values, *[0] * (size - len(values))])) + "}"

    for old, values in {
        f"byte k[{n}];": f"byte k[{n}] = {row([2] * pages, n)};",
        f"bool d[{n}];": f"bool d[{n}] = {row([1] * pages, n)};",
        f"byte fr[{n}];": f"byte fr[{n}] = {row(range(1, pages + 1), n)};",
        f"bool alive[{processes}];": f"bool alive[{processes}] = {row([1], processes)};",
        f"bool ex[{frames}];": f"bool ex[{frames}] = {row([0] + [1] * pages, frames)};",
    }.items():
        text = text.replace(old, values, 1)
    return text


def _renaming(processes, n, frames, slots, new):
    """Frames and slots by first appearance in the entries, then in the references: what a user adds by hand."""
    swap = "now.ex[i_]=e_[i_]; " if new else ""
    keep = "e_[i_]=0; " if new else ""
    move = "e_[r_[i_]]=now.ex[i_]; " if new else ""
    return [
        "inline rename() { c_code { {",
        f"  unsigned char r_[{frames}], t_[{slots}], e_[{frames}], c_[{slots}]; int i_, n_=1, m_=1;",
        f"  for (i_=0; i_<{frames}; i_++) {{ r_[i_]=0; {keep}}}",
        f"  for (i_=0; i_<{slots}; i_++) t_[i_]=c_[i_]=0;",
        f"  for (i_=0; i_<{n}; i_++) {{",
        "    if (now.k[i_]==1||now.k[i_]==2) { if (!r_[now.fr[i_]]) r_[now.fr[i_]]=n_++; now.fr[i_]=r_[now.fr[i_]]; }",
        "    else if (now.k[i_]==3) { int s_=now.sl[i_]; if (!t_[s_]) { t_[s_]=m_++;",
        "      if (now.sc[s_] && !r_[now.sc[s_]]) r_[now.sc[s_]]=n_++; } now.sl[i_]=t_[s_]; } }",
        f"  for (i_=0; i_<{processes}; i_++) if (now.hv[i_]) {{",
        "    if (!r_[now.hf[i_]]) r_[now.hf[i_]]=n_++; now.hf[i_]=r_[now.hf[i_]]; }",
        # the slots that only the swap cache keeps, in the order of their frames' new numbers
        f"  for (n_=1; n_<{frames}; n_++) for (i_=1; i_<{slots}; i_++)",
        "    if (now.sc[i_] && !t_[i_] && r_[now.sc[i_]]==n_) t_[i_]=m_++;",
        f"  for (i_=1; i_<{slots}; i_++) if (t_[i_]) c_[t_[i_]]=r_[now.sc[i_]];",
        f"  for (i_=1; i_<{slots}; i_++) now.sc[i_]=c_[i_];",
        f"  for (i_=1; i_<{frames}; i_++) if (r_[i_]) {{ {move}}}" if new else "",
        f"  for (i_=1; i_<{frames}; i_++) {{ {swap}}}" if new else "",
        "} } }",
    ]


if __name__ == "__main__":
    kernel, processes, pages, holds = sys.argv[1:5]
    steps = ["write", "read", "munmap", "fork", "exit", holds, "put", "reclaim"]
    print(promela(kernel, int(processes), int(pages), steps, renaming="--renaming" in sys.argv))
