"""What somebody gets who installs the wheel that we build."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

EXTENSION = sysconfig.get_config_var("EXT_SUFFIX")


@pytest.fixture(scope="module")
def names(greenscope_wheel: Path) -> set[str]:
    with zipfile.ZipFile(greenscope_wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_has_the_compiled_ring_and_its_python_twin(names: set[str]):
    assert f"greenscope/trace/_ring{EXTENSION}" in names
    assert "greenscope/trace/ring_python.py" in names


def test_the_wheel_has_the_page_and_the_type_marker(names: set[str]):
    assert "greenscope/py.typed" in names
    assert "greenscope/web/static/index.html" in names
    assert any(name.startswith("greenscope/web/static/") and name.endswith(".js") for name in names)


def test_the_wheel_has_every_module_of_the_package(names: set[str]):
    root = Path(__file__).resolve().parents[2]
    assert {str(path.relative_to(root)) for path in (root / "greenscope").rglob("*.py")} <= names


def test_the_wheel_has_nothing_else(names: set[str]):
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"greenscope"}
    assert not [name for name in names if "__pycache__" in name or "/test_" in name or name.endswith((".c", ".h"))]


def test_the_wheel_names_its_licence_its_command_and_its_dependencies(greenscope_wheel: Path):
    with zipfile.ZipFile(greenscope_wheel) as archive:
        (folder,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        metadata = archive.read(f"{folder}/METADATA").decode()
        entries = archive.read(f"{folder}/entry_points.txt").decode()
    assert "greenscope = greenscope.cli:main" in entries
    assert "[pytest11]\ngreenscope = greenscope.integrations.pytest_plugin" in entries
    assert "License-Expression: MIT" in metadata
    assert "Requires-Python: >=3.11" in metadata
    assert "Requires-Dist: pyuv>=1.4.0\n" in metadata


def test_two_wheels_are_enough_where_there_is_no_compiler_and_no_network(
    greenscope_wheel: Path, pyuv_wheel: Path, tmp_path: Path
):
    # The other dependencies are lent by this environment, without what is under test.
    lent = tmp_path / "lent"
    lent.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.lower().lstrip("_").startswith(("greenscope", "editable", "pyuv", "pip")):
            (lent / entry.name).symlink_to(entry)
    links = tmp_path / "dist"
    links.mkdir()
    for wheel in (greenscope_wheel, pyuv_wheel):
        (links / wheel.name).symlink_to(wheel)

    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", environment)
    python = environment / "bin" / "python"
    (site,) = (environment / "lib").glob("python*/site-packages")
    (site / "lent.pth").write_text(f"{lent}\n")
    bare = {**os.environ, "PATH": str(environment / "bin"), "CC": "there-is-no-compiler"}
    run(python, "-m", "pip", "--isolated", "install", "--no-index", "--find-links", links, "greenscope", env=bare)

    code = "import greenscope.runtime, greenscope.trace._ring as ring, pyuv; print(ring.__file__); print(pyuv.__file__)"
    paths = run(python, "-c", code, cwd=tmp_path, env=bare).splitlines()
    assert [Path(path).is_relative_to(environment) for path in paths] == [True, True]
    assert "demo" in run(environment / "bin" / "greenscope", "--help", cwd=tmp_path, env=bare)


def run(*command: str | Path, **kwargs: object) -> str:
    """What the command printed; what it complained of is the message when it failed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stderr
    return done.stdout
