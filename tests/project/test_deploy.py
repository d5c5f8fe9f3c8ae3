"""What is shipped and how it is deployed: the package's metadata and files, the image, and the files of docs/deploy."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from tests.support.pages import PAGES, read_page
from tests.support.paths import ROOT
from zofbot.cli import app
from zofbot.config.settings import Settings

DEPLOY = ROOT / "docs/deploy"
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group has them
SETTINGS = {name.upper() for name in Settings.model_fields}
APACHE_2_MD5 = "3b83ef96387f14655fc854ddc3c6bd57"
"""Of https://www.apache.org/licenses/LICENSE-2.0.txt"""

APP_JSON_KEYS = {
    "addons", "buildpacks", "description", "env", "environments", "formation", "image", "keywords", "logo", "name",
    "repository", "scripts", "stack", "success_url", "website",
}  # fmt: skip
"""https://devcenter.heroku.com/articles/app-json-schema"""


def project_metadata() -> dict[str, Any]:
    return tomllib.loads(read_page("pyproject.toml"))


def test_the_license_is_apache_2_in_full_and_declared() -> None:
    assert hashlib.md5((ROOT / "LICENSE").read_bytes(), usedforsecurity=False).hexdigest() == APACHE_2_MD5
    project = project_metadata()["project"]
    assert project["license"] == "Apache-2.0"
    assert project["license-files"] == ["LICENSE"]
    assert not any(item.startswith("License ::") for item in project["classifiers"]), "PEP 639 allows only one of them"


def test_every_file_of_the_package_is_installed() -> None:
    build = project_metadata()["tool"]["setuptools"]
    assert build["packages"]["find"]["include"] == ["zofbot*"]
    patterns: dict[str, list[str]] = build["package-data"]
    for path in (ROOT / "zofbot").rglob("*"):
        if path.is_dir() or path.suffix in (".py", ".pyc"):
            continue
        packages = [package for package in path.parents if (package / "__init__.py").exists()]
        assert any(
            fnmatch(path.relative_to(package).as_posix(), pattern)
            for package in packages
            for pattern in patterns.get(".".join(package.relative_to(ROOT).parts), [])
        ), f"{path} is not in a wheel"
    folders = {path.parent for path in (ROOT / "zofbot").rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in folders), "only packages are found"


def test_git_ignores_the_files_that_pages_have_people_write_secrets_into() -> None:
    files = {name for page in PAGES for name in re.findall(r"[\w./-]*\.env\b", page.read_text())}
    assert {".env", "zofbot.env"} <= files
    patterns = read_page(".gitignore").splitlines()
    assert {name for name in files if not any(fnmatch(Path(name).name, pattern) for pattern in patterns)} == set()


def test_the_image_runs_as_nobody_special() -> None:
    image = read_page("Dockerfile")
    assert re.search(r"^USER 10001", image, re.MULTILINE)
    assert image.index("USER 10001") < image.index("ENTRYPOINT")
    assert '["run"]' in image


def run_health_check(port: int) -> int:
    """Run the image's health check where a proxy is set that does not answer; return its exit code."""
    [typed] = re.findall(r"^HEALTHCHECK .*\n\s+CMD (.+)$", read_page("Dockerfile"), re.MULTILINE)
    python, *arguments = json.loads(typed)
    assert python == "python"
    proxy = dict.fromkeys(("HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")
    env = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    ended = subprocess.run(
        [sys.executable, *arguments],
        env=env | proxy | {"PORT": str(port)},
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    return ended.returncode


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_of_the_image_reaches_the_bot_in_spite_of_a_proxy(status: int, code: int) -> None:
    asked = []

    class HealthHandler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name in http.server)
            pass

    with HTTPServer(("127.0.0.1", 0), HealthHandler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            assert run_health_check(server.server_port) == code
        finally:
            server.shutdown()
            thread.join()
    assert asked == ["/healthz"]
    assert run_health_check(server.server_port) == 1, "nothing answers any more"


def test_the_image_is_built_from_files_that_reach_it() -> None:
    reaching = {line.removeprefix("!") for line in read_page(".dockerignore").splitlines() if line.startswith("!")}
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", read_page("Dockerfile"), re.MULTILINE)
        for word in line.split()
    }
    project = project_metadata()["project"]
    assert copied == reaching
    assert copied >= {"pyproject.toml", "zofbot", project["readme"], *project["license-files"]}


def test_pods_are_locked_down_and_probed_where_something_answers() -> None:
    kinds = list(yaml.safe_load_all((DEPLOY / "kubernetes.yml").read_text()))
    server = read_page("zofbot/http/server.py")
    deployments = [kind for kind in kinds if kind["kind"] == "Deployment"]
    assert {deployment["metadata"]["name"] for deployment in deployments} == {"zofbot-web", "zofbot-worker"}
    for deployment in deployments:
        pod = deployment["spec"]["template"]["spec"]
        [container] = pod["containers"]
        assert container["args"][0] in COMMANDS
        assert pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert pod["terminationGracePeriodSeconds"] > 10
        probes = [container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")]
        assert probes
        assert all(f'"{path}"' in server for path in probes)


def test_compose_locks_the_bot_down_and_keeps_what_redis_stores() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    services = compose["services"]
    for name in ("web", "worker"):
        assert services[name]["command"] == [name]
        assert services[name]["read_only"]
        assert services[name]["cap_drop"] == ["ALL"]
        assert set(services[name]["environment"]) <= SETTINGS
        assert int(services[name]["stop_grace_period"].removesuffix("s")) > 10
        assert (DEPLOY / services[name]["build"] / "Dockerfile").resolve() == ROOT / "Dockerfile"
    valkey = services["valkey"]
    assert "noeviction" in valkey["command"]
    assert valkey["command"][1:3] == ["--appendonly", "yes"]
    assert {volume.partition(":")[0] for volume in valkey["volumes"]} <= set(compose["volumes"])


def test_heroku_has_the_settings_and_processes_that_there_are() -> None:
    manifest = json.loads((DEPLOY / "heroku/app.json").read_text())
    assert set(manifest) <= APP_JSON_KEYS
    assert set(manifest["env"]) <= SETTINGS
    for entry in manifest["env"].values():
        assert set(entry) <= {"description", "value", "required", "generator"}
    for procfile in (ROOT / "Procfile", DEPLOY / "heroku/Procfile"):
        processes = dict(line.split(": ", 1) for line in procfile.read_text().splitlines())
        assert set(processes) == set(manifest["formation"])
        for name, command in processes.items():
            assert command.endswith(f"python -m zofbot {name}"), "such platforms install requirements.txt alone"
            assert name in COMMANDS


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_understands_the_unit(tmp_path: Any) -> None:
    unit = (DEPLOY / "zofbot.service").read_text()
    assert "ExecStart=/opt/zofbot/bin/zofbot run" in unit
    (tmp_path / "zofbot.service").write_text(unit.replace("/opt/zofbot/bin/zofbot", "/bin/true"))
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / "zofbot.service")]
    ended = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
