"""`cowlab doctor`: it sees what is broken, says how to mend it, and calls nothing broken that is not."""

import json
from importlib import import_module, metadata
from pathlib import Path

import pytest

from cowlab import doctor
from cowlab.cli import main


def found(check):
    return {f.what: f for f in doctor._made(check)}


def without(*packages):
    """importlib.metadata.version() of a machine that lacks these."""
    real = metadata.version

    def version(name):
        if name in packages:
            raise metadata.PackageNotFoundError(name)
        return real(name)

    return version


def program(folder: Path, name: str, *lines: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(["#!/bin/sh", *lines, ""]))
    (folder / name).chmod(0o755)


def test_all_is_well_enough_where_the_tests_run():
    """The machine that runs these tests can run the lessons: nothing is missing, every remedy belongs to a trouble."""
    findings = doctor.examine()
    assert [f for f in findings if f.state == doctor.MISSING] == []
    assert {f.state for f in findings} <= {doctor.OK, doctor.LIMITED}
    for f in findings:
        assert f.found
        assert bool(f.mend) == (f.state != doctor.OK), f
    asked = {"Python", "cowlab", "packages", "kernel", "widgets", "fonts", "drawing", "dot", "Chromium", "live kernel"}
    assert asked <= {f.what for f in findings}


@pytest.mark.parametrize("package", doctor.NEEDED)
def test_a_missing_package_is_named_with_its_remedy(package, monkeypatch):
    monkeypatch.setattr(doctor.metadata, "version", without(package))
    finding = found(doctor._packages)[package]
    assert (finding.state, finding.found) == (doctor.MISSING, "not installed")
    assert f"pip install '{package}" in finding.mend
    assert package not in [said.split()[0] for said in found(doctor._packages)["packages"].found.split(", ")]


def test_bounds_are_those_of_the_installed_package(monkeypatch):
    """A version outside the bounds of cowlab's metadata is said; without metadata presence is all that can be asked."""
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: ["anywidget<0.2,>=0.1", "pytest<2; extra == 'test'"])
    finding = found(doctor._packages)["anywidget"]
    assert (finding.state, "<0.2,>=0.1" in finding.found) == (doctor.LIMITED, True)
    assert "pytest" not in found(doctor._packages)
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: without("cowlab")("cowlab"))
    assert set(found(doctor._packages)) == {"packages"}


def test_a_kernel_that_does_not_start(monkeypatch, tmp_path):
    """Jupyter's python3 points at a Python that has gone, as after an upgrade."""
    spec = tmp_path / "kernels" / "python3"
    spec.mkdir(parents=True)
    gone = {"argv": ["/gone/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "x"}
    (spec / "kernel.json").write_text(json.dumps(gone | {"language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    finding = found(doctor._kernel)["kernel"]
    assert finding.state == doctor.MISSING
    assert "ipykernel install" in finding.mend


def test_a_kernel_of_another_python(monkeypatch, tmp_path):
    """The python3 that starts is not this one: it would not find cowlab."""
    monkeypatch.setattr(doctor.sys, "prefix", str(tmp_path))
    assert found(doctor._kernel)["kernel"].state == doctor.LIMITED


def test_widgets_that_jupyterlab_does_not_see(monkeypatch, tmp_path):
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *parts: [str(tmp_path)])
    finding = found(doctor._widgets)["widgets"]
    assert finding.state == doctor.MISSING
    assert all(name in finding.found for name in doctor.WIDGETS)


def test_folders_of_someone_else(monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    assert found(doctor._folders)["folders"].state == doctor.MISSING


@pytest.mark.parametrize(
    ("platform", "listing", "state"),
    [
        ("linux", None, doctor.LIMITED),
        ("linux", "exit 0", doctor.LIMITED),
        ("linux", "echo DejaVu Sans", doctor.OK),
        ("win32", None, doctor.OK),
        ("darwin", None, doctor.OK),
    ],
)
def test_fonts(platform, listing, state, monkeypatch, tmp_path):
    """A machine without a font for a sign of the pictures is told which sign; other systems bring theirs."""
    if listing:
        program(tmp_path / "bin", "fc-list", listing)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(doctor.sys, "platform", platform)
    finding = found(doctor._fonts)["fonts"]
    assert finding.state == state
    assert ("no font" not in finding.found) or all(sign in finding.found for sign in doctor.SIGNS)


def test_nothing_on_the_path(monkeypatch, tmp_path):
    """No dot, no Chromium, no npm: the lessons run all the same."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert found(doctor._drawing)["dot"].state == doctor.OK
    assert "not needed" in found(doctor._drawing)["dot"].found
    assert found(doctor._drawing)["drawing"].state == doctor.OK
    assert found(doctor._chromium)["Chromium"].state == doctor.LIMITED
    assert "npm is missing" in found(doctor._site)["site"].mend


def test_nothing_can_draw(monkeypatch):
    monkeypatch.setattr(import_module("cowlab.view.render"), "render", lambda source: None)
    assert found(doctor._drawing)["drawing"].state == doctor.LIMITED


def test_no_live_kernel(monkeypatch):
    """Where the live kernel is out of reach the doctor says why in a sentence, and what the lessons do instead."""
    live = import_module("cowlab.live")
    seen = live.Probe({"system": "Darwin"}, reason="this is macOS")
    monkeypatch.setattr(live, "probe", lambda: seen, raising=False)
    finding = found(doctor._live_kernel)["live kernel"]
    assert (finding.state, finding.found) == (doctor.LIMITED, "this is macOS")
    assert "recorded" in finding.mend


def test_a_broken_check_is_a_finding(monkeypatch, capsys):
    def broken():
        raise RuntimeError("no such luck")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (broken,))
    assert main(["doctor"]) == 0
    assert "RuntimeError: no such luck" in capsys.readouterr().out


@pytest.mark.parametrize(("state", "status"), [(doctor.OK, 0), (doctor.LIMITED, 0), (doctor.MISSING, 1)])
def test_exit_status_and_json(state, status, monkeypatch, capsys):
    """1 when a lesson would not run; --json is one document with the same findings."""
    finding = doctor.Finding("thing", state, "seen", "" if state == doctor.OK else "do this")
    monkeypatch.setattr(doctor, "CHECKS", (lambda: iter([finding]),))
    assert main(["doctor"]) == status
    text = capsys.readouterr().out
    assert ("do this" in text) == (state != doctor.OK)
    assert "\x1b" not in text
    assert main(["doctor", "--json"]) == status
    assert json.loads(capsys.readouterr().out) == {"ok": not status, "checks": [finding._asdict()]}
