"""The space of `cowlab explore` as a Murphi model, for rumur: one private anonymous page of v5.7, v5.8 and v6.1.

    python tests/bench/murphi.py v6.1 3 pin > m.m

Written by hand, like promela.py beside it, for the steps that are compared. Processes and frames are scalarsets, so
rumur merges what differs by renaming. A frame that is written out keeps its element: it is `out` until it returns.
"""

import sys

__all__ = ["murphi"]

KERNELS = ("v5.7", "v5.8", "v6.1")


def murphi(kernel, processes, steps, never="leak"):
    """The model's text. ``steps`` is a list out of write, read, munmap, fork, exit, gup, pin, put, reclaim."""
    assert kernel in KERNELS, f"{kernel} is not modelled; choose one of {', '.join(KERNELS)}"
    new, breaks = kernel == "v6.1", kernel == "v5.8"
    may = "ex[f] | count(f) - lone(f) = 1" if new else "maps(f) + swaps(f) = 1"
    pinned = "& held(fr[p]) = 0" if new and "pin" in steps else ""
    early = (
        "if ex[fr[p]] & hp[p] & held(fr[p]) > 0 then n := unused(); ex[n] := true; fr[c] := n; k[c] := KW; "
        "d[c] := true; else"
        if new and "pin" in steps
        else "if false then else"
    )
    own = (
        "if w & count(f) = 1 then free_swap(f); end; own := sx[p] | count(f) = 0; sx[p] := false; "
        "if own then ex[f] := true; end;"
        if new
        else "own := w & maps(f) + swaps(f) = 0; if own then free_swap(f); end;"
    )

    def lookup(op):
        if (op == "gup" and not breaks) or kernel == "v5.7":
            fault = "if k[p] = KS then swapin(p, false); end;"
        elif breaks:
            fault = "if k[p] = KS then swapin(p, true); elsif k[p] = KR then wp(p, false); end;"
        else:
            fault = "if k[p] = KS then swapin(p, false); end; if k[p] = KR & !ex[fr[p]] then wp(p, true); end;"
        took = "hp[p] := true;" if op == "pin" else ""
        return f"alive[p] & k[p] != KN & !hold[p] ==> begin {fault} hold[p] := true; hf[p] := fr[p]; {took} sweep();"

    rules = {
        "write": "alive[p] & k[p] != KN ==> begin if k[p] = KS then swapin(p, true); elsif k[p] = KR then "
        "wp(p, false); end; d[p] := true;",
        "read": "alive[p] & k[p] != KN ==> begin if k[p] = KS then swapin(p, false); end;",
        "munmap": "alive[p] & k[p] != KN ==> begin zap(p); sweep();",
        "put": "alive[p] & hold[p] ==> begin hold[p] := false; undefine hf[p]; sweep();",
        "exit": "alive[p] ==> begin hold[p] := false; undefine hf[p]; sweep(); if k[p] != KN then zap(p); end; "
        "sweep(); alive[p] := false; hp[p] := false;",
        "gup": lookup("gup"),
        "pin": lookup("pin"),
    }
    each = "\n".join(f'  rule "{op}" {rule} end;' for op, rule in rules.items() if op in steps)
    reclaim = f"""
rule "reclaim" begin
  for p: Proc do if mapped(p) {pinned} then reclaim_frame(fr[p]); end; end; sweep();
end;"""
    leak = """
invariant "no leak" forall p: Proc do forall q: Proc do
  p = q | !(hold[p] & k[q] = KW) | fr[q] != hf[p] end end;"""
    return f"""type
  Proc: scalarset({processes}); Frame: scalarset({2 * processes + 1}); Kind: enum {{KN, KR, KW, KS}};
var
  k: array [Proc] of Kind; d: array [Proc] of boolean; fr: array [Proc] of Frame; sx: array [Proc] of boolean;
  hold: array [Proc] of boolean; hf: array [Proc] of Frame; hp: array [Proc] of boolean; alive: array [Proc] of boolean;
  cached: array [Frame] of boolean; out: array [Frame] of boolean; ex: array [Frame] of boolean;
function mapped(p: Proc): boolean; begin return k[p] = KR | k[p] = KW; end;
function maps(f: Frame): 0..{processes}; var n: 0..{processes}; begin
  n := 0; for p: Proc do if mapped(p) & fr[p] = f then n := n + 1; end; end; return n; end;
function swaps(f: Frame): 0..{processes}; var n: 0..{processes}; begin
  n := 0; for p: Proc do if k[p] = KS & fr[p] = f then n := n + 1; end; end; return n; end;
function held(f: Frame): 0..{processes}; var n: 0..{processes}; begin
  n := 0; for p: Proc do if hold[p] & hf[p] = f then n := n + 1; end; end; return n; end;
function count(f: Frame): 0..{2 * processes + 1}; var n: 0..{2 * processes + 1}; begin
  n := maps(f) + held(f); if cached[f] then n := n + 1; end; return n; end;
function lone(f: Frame): 0..1; begin if cached[f] & swaps(f) = 0 then return 1; end; return 0; end;
function unused(): Frame; begin
  for f: Frame do if count(f) = 0 & swaps(f) = 0 then return f; end; end; error "no frame"; end;
procedure free_swap(f: Frame); begin if cached[f] & swaps(f) = 0 then cached[f] := false; end; end;
procedure sweep(); begin for f: Frame do
  if cached[f] & swaps(f) = 0 & maps(f) = 0 & held(f) = 0 then cached[f] := false; end;
  if ex[f] & count(f) = 0 then ex[f] := false; end;
  if out[f] & swaps(f) = 0 then out[f] := false; end; end; end;
procedure wp(p: Proc; unshare: boolean); var f: Frame; var n: Frame; begin
  f := fr[p];
  if {may} then
    if !ex[f] then free_swap(f); {"ex[f] := true;" if new else ""} end;
    if !unshare then k[p] := KW; d[p] := true; end;
  else
    n := unused(); fr[p] := n; {"ex[n] := true;" if new else ""}
    if unshare then k[p] := KR; d[p] := false; else k[p] := KW; d[p] := true; end;
    {"if maps(f) = 0 then free_swap(f); end;" if new else ""} sweep();
  end; end;
procedure swapin(p: Proc; w: boolean); var f: Frame; var own: boolean; begin
  f := fr[p]; if out[f] then out[f] := false; cached[f] := true; end;
  k[p] := KN; {own}
  fr[p] := f; if w & own then k[p] := KW; d[p] := true; else k[p] := KR; d[p] := false; end;
  sweep();
  if w & !own then wp(p, false); end; end;
procedure zap(p: Proc); var f: Frame; begin
  f := fr[p]; k[p] := KN; d[p] := false; sx[p] := false; undefine fr[p];
  if maps(f) = 0 then free_swap(f); end; end;
procedure reclaim_frame(f: Frame); begin
  for q: Proc do if mapped(q) & fr[q] = f then k[q] := KS; d[q] := false; sx[q] := ex[f]; end; end;
  cached[f] := true; ex[f] := false;
  if count(f) = 1 then cached[f] := false; out[f] := true; end; end;
ruleset p: Proc do
{each}
end;
{
        f'''
ruleset p: Proc; c: Proc do rule "fork" alive[p] & !alive[c] ==> var n: Frame; begin
  alive[c] := true;
  if k[p] = KS then sx[p] := false; k[c] := KS; fr[c] := fr[p];
  elsif k[p] != KN then {early} ex[fr[p]] := false; k[p] := KR; k[c] := KR; fr[c] := fr[p]; d[c] := d[p]; end; end;
end; end;'''
        if "fork" in steps
        else ""
    }
{reclaim if "reclaim" in steps else ""}
ruleset p: Proc; f: Frame do startstate begin
  for q: Proc do k[q] := KN; d[q] := false; undefine fr[q]; sx[q] := false; hold[q] := false; undefine hf[q];
    hp[q] := false; alive[q] := false; end;
  for g: Frame do cached[g] := false; out[g] := false; ex[g] := false; end;
  alive[p] := true; k[p] := KW; d[p] := true; fr[p] := f; {"ex[f] := true;" if new else ""}
end; end;
{leak if never == "leak" else ""}
"""


if __name__ == "__main__":
    kernel, processes, holds = sys.argv[1:4]
    steps = ["write", "read", "munmap", "fork", "exit", holds, "put", "reclaim"]
    print(murphi(kernel, int(processes), steps))
