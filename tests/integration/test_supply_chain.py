"""What a release is made of, and that each promise of SECURITY.md has the tests it names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINS = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\]+)", re.MULTILINE)


def pinned_versions(name: str) -> dict[str, str]:
    """The versions in a file, by name as registries compare them (PEP 503)."""
    found = PINS.findall((ROOT / name).read_text())
    return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in found}


def test_the_requirements_are_the_constraints_with_hashes() -> None:
    required, allowed = pinned_versions("requirements.txt"), pinned_versions("constraints.txt")
    assert required.pop("setuptools"), "zofbot is built with it"
    assert {name: allowed.get(name) for name in required} == required
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.match(r"[A-Za-z0-9-]+", line)[0].lower() for line in project["dependencies"]}  # type: ignore[index]
    assert wanted <= set(required)


def test_every_requirement_has_a_hash_and_no_place_to_come_from() -> None:
    text = (ROOT / "requirements.txt").read_text()
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.partition("\n")[2])
    assert len(entries) == len(pinned_versions("requirements.txt")) > 30
    for entry in entries:
        first, hashes = entry.replace("\\\n", "").partition("--hash")[0], re.findall(r"--hash=\S+", entry)
        assert "==" in first
        assert hashes
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes), first
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host|@ ", text)


def test_the_container_installs_by_hash_only() -> None:
    image = (ROOT / "Dockerfile").read_text()
    installs = re.findall(r"pip install (.*)", image)
    assert len(installs) == 2
    assert "--require-hashes --requirement requirements.txt" in installs[0]
    assert "--no-deps --no-build-isolation" in installs[1]
    assert re.findall(r"^FROM (\S+)", image, re.MULTILINE) == ["${BASE}", "${BASE}"]
    assert not re.search(r"sha256:[0-9a-f]", image), "a digest that nobody has checked"
    assert "!requirements.txt" in (ROOT / ".dockerignore").read_text()


def test_the_bill_of_materials_is_made_from_what_the_container_installs() -> None:
    make = (ROOT / "Makefile").read_text()
    [recipe] = re.findall(r"^sbom:.*\n((?:\t.*\n)+)", make, re.MULTILINE)
    assert "cyclonedx-py requirements requirements.txt" in recipe


def test_every_promise_of_security_names_tests_that_are_there() -> None:
    told = (ROOT / "SECURITY.md").read_text().split("## Promises and tests")[1].split("\n## ")[0]
    promises = [line for line in told.splitlines() if line.startswith("| *")]
    assert len(promises) > 25
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"^(?:async )?def (test_\w+)", written, re.MULTILINE))
    for line in promises:
        named = re.findall(r"`(test_\w+)`", line.rsplit("|", 2)[1])
        assert named, f"no test holds {line}"
        assert set(named) <= there, f"{set(named) - there} of {line}"
