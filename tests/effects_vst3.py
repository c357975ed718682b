"""Finds or builds the real VST3 plugins of the tests; in CI they must be there."""

import functools
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "vst3"
ROOTS = [Path(root) for root in (os.environ.get("DAFXVAE_DEBIAN_ROOT", ""), "/") if root]
ZAM = (
    *("ZaMaximX2", "ZaMultiComp", "ZaMultiCompX2", "ZamAutoSat", "ZamComp", "ZamCompX2", "ZamDelay", "ZamDynamicEQ"),
    *("ZamEQ2", "ZamGEQ31", "ZamGate", "ZamGateX2", "ZamGrains", "ZamHeadX2", "ZamPhono", "ZamTube", "ZamVerb"),
)


def missing(reason: str) -> None:
    """Skips, but fails where CI promised that nothing is missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must run this test: {reason}")
    pytest.skip(reason)


def _under_root(path: str) -> Path | None:
    return next((root / path for root in ROOTS if (root / path).exists()), None)


def zam(name: str) -> str:
    """Path of one of Debian's zam-plugins."""
    path = _under_root(f"usr/lib/vst3/{name}.vst3")
    if path is None:
        missing("needs Debian's zam-plugins: apt-get install zam-plugins")
    return str(path)


@functools.cache
def _built(folder: str, latency: int) -> str | None:
    dpf = _under_root("usr/share/dpf")
    compiler = shutil.which("g++") or shutil.which("clang++")
    if dpf is None or compiler is None or platform.system() != "Linux":
        return None
    binary = Path(folder) / str(latency) / "Trouble.vst3" / "Contents" / f"{platform.machine()}-linux" / "Trouble.so"
    binary.parent.mkdir(parents=True)
    command = [compiler, "-std=c++14", "-O2", "-fPIC", "-shared", "-DDISTRHO_PLUGIN_TARGET_VST3", "-DNDEBUG"]
    command += [f"-DLATENCY={latency}", f"-I{SOURCE}", f"-I{dpf}/distrho", f"{dpf}/distrho/DistrhoPluginMain.cpp"]
    subprocess.run([*command, str(SOURCE / "TestPlugin.cpp"), "-o", str(binary), "-ldl", "-lpthread"], check=True)
    return str(binary.parents[2])


def build_trouble(base: Path, latency: int = 64) -> str:
    """Path of our own plugin, which is late by `latency` samples, compiled once a session under `base`."""
    path = _built(str(base / "vst3"), latency)
    if path is None:
        missing("needs Linux, g++ and Debian's dpf-source: apt-get install g++ dpf-source")
    return str(path)
