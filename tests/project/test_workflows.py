"""The workflows of .github and the hooks of pre-commit: valid, with few rights, and with names that exist."""

from __future__ import annotations

import configparser
import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from support.paths import ROOT

yaml = pytest.importorskip("yaml")
pytestmark = pytest.mark.smoke

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github").rglob("*.yml"))
#: What a job may have beyond reading the repository.
RIGHTS = {("release.yml", "publish"): {"id-token": "write"}}


def load(path: Path) -> dict[str, Any]:
    content: dict[Any, Any] = yaml.safe_load(path.read_text())
    # YAML 1.1 reads the key "on" as true.
    return {"on" if key is True else key: value for key, value in content.items()}


def jobs() -> list[tuple[str, str, dict[str, Any]]]:
    return [(path.name, name, job) for path in WORKFLOWS for name, job in load(path)["jobs"].items()]


def steps() -> list[dict[str, Any]]:
    return [step for _, _, job in jobs() for step in job.get("steps", [])]


def expanded(name: str) -> list[str]:
    """``py3{9,10}-{gevent,eventlet}``, as tox reads it."""
    parts = [part.split(",") for part in re.split(r"[{}]", name)]
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def tox() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini")
    return parser


def tox_environments() -> set[str]:
    listed = tox()["tox"]["env_list"].split()
    sections = [name.partition(":")[2] for name in tox().sections() if name.startswith("testenv:")]
    return {name for entry in listed for name in expanded(entry)} | set(sections)


def test_there_are_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["release.yml", "tests.yml", "weekly.yml"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_yaml_is_valid(path: Path) -> None:
    assert load(path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_reads_only_and_runs_once(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    # A called workflow has the caller's name, so a group made of names would hold both.
    assert workflow["concurrency"]["group"] == f"{path.stem}-${{{{ github.ref }}}}"
    assert "cancel-in-progress" in workflow["concurrency"]


@pytest.mark.parametrize(("workflow", "name", "job"), jobs(), ids=lambda value: value if isinstance(value, str) else "")
def test_job_has_a_timeout_and_few_rights(workflow: str, name: str, job: dict[str, Any]) -> None:
    assert job.get("permissions", {}) == RIGHTS.get((workflow, name), {})
    if "uses" in job:
        assert (ROOT / job["uses"]).is_file()
    else:
        assert 0 < job["timeout-minutes"] <= 90
    assert set([job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])) <= {
        other for file, other, _ in jobs() if file == workflow}


def test_actions_have_a_major_version() -> None:
    used = [step["uses"] for step in steps() if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w.-]+/[\w.-]+@(release/)?v\d+", action)] == []


def test_checkouts_keep_no_credentials() -> None:
    checkouts = [step for step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert [step for step in checkouts if step["with"]["persist-credentials"] is not False] == []


def test_commands_contain_no_expression() -> None:
    """What a branch or a title is called must not become part of a shell command."""
    assert [step["run"] for step in steps() if "${{" in step.get("run", "")] == []


def test_tox_environments_exist() -> None:
    strategies = [job["strategy"] for _, _, job in jobs() if "strategy" in job]
    matrix = [row["tox"] for strategy in strategies for row in strategy["matrix"].get("include", [])]
    named = re.findall(r"tox run -e ([\w,-]+)", "\n".join(step.get("run", "") for step in steps()))
    assert matrix
    assert named
    assert {*matrix, *",".join(named).split(",")} - tox_environments() == set()


def test_scripts_exist() -> None:
    scripts = re.findall(r"\bbash (\S+)", "\n".join(step.get("run", "") for step in steps()))
    assert ".ci/run" in scripts
    assert [script for script in scripts if not (ROOT / script).is_file()] == []


def test_matrix_has_each_interpreter_and_hub() -> None:
    classifiers = re.findall(r'Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    rows = next(job for _, name, job in jobs() if name == "matrix")["strategy"]["matrix"]["include"]
    assert {row["python"] for row in rows if not row["python"].startswith("pypy")} == set(classifiers)
    for row in rows:
        factor = row["python"].replace("pypy-", "pypy").replace(".", "")
        assert row["tox"].startswith((f"{factor}-", f"py{factor}-")), row
    for python, hub in itertools.product(classifiers, ("gevent", "eventlet")):
        assert [row for row in rows if row["python"] == python and f"-{hub}-" in row["tox"]], (python, hub)


def test_pre_commit_runs_what_tox_runs() -> None:
    (repository,) = load(ROOT / ".pre-commit-config.yaml")["repos"]
    hooks = {hook["id"]: hook for hook in repository["hooks"]}
    assert hooks.keys() == {"ruff", "mypy"}
    for hook, environment in (("ruff", "lint"), ("mypy", "types")):
        assert hooks[hook]["additional_dependencies"] == tox()[f"testenv:{environment}"]["deps"].split()


def test_site_is_built_with_the_extra() -> None:
    extra = re.search(r"^docs = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert extra
    assert re.findall(r'"([^"]+)"', extra[1]) == tox()["testenv:docs"]["deps"].split()
    hosted = load(ROOT / ".readthedocs.yaml")
    assert (ROOT / hosted["sphinx"]["configuration"]).is_file()
    assert hosted["python"]["install"] == [{"method": "pip", "path": ".", "extra_requirements": ["docs"]}]
