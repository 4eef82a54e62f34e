"""The wheel under test, built once from a copy of the sources, with nothing from the network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def greenscope_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A copy, so that the checkout's build/ neither changes nor adds its stale modules.
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, source)
    for name in ("greenscope", "packaging", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    wheels = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [*pip(), "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(wheels), str(source)],
        check=True,
        env={**os.environ, "GREENSCOPE_REQUIRE_EXTENSION": "1"},
    )
    (wheel,) = wheels.glob("greenscope-*.whl")
    return wheel


@pytest.fixture(scope="session")
def pyuv_wheel() -> Path:
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    wheels = [path for where in ("build/wheels", "dist") for path in (ROOT / where).glob(f"pyuv-*-{tag}-*.whl")]
    if not wheels:
        pytest.skip("no wheel of pyuv for this Python: `make build` leaves one in build/wheels")
    return wheels[0]


def pip() -> list[str]:
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", "--isolated"]
