"""Corpora from Debian packages, downloaded and unpacked without root."""

import datetime
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dafxvae.audio.io import AUDIO_SUFFIXES
from dafxvae.core.errors import UserError
from dafxvae.core.files import whole_folder, write_json
from dafxvae.core.paths import data_dir
from dafxvae.data.corpora.layouts import MANIFEST

APT_TIMEOUT_SEC = 1800


class Package(NamedTuple):
    """One corpus as a Debian package."""

    name: str
    kind: str  # what to expect: "speech", "music", "drums", "masters" (finished records, to be references)
    held_out: bool  # for final tests alone, never for training
    version: str  # the one that the numbers in docs/data.md were measured on
    sha256: str
    licence: str
    root: str  # folder inside the package
    group: Callable[[str], str]  # from a file's path below `root` to its song or speaker
    about: str
    left_out: tuple[str, ...] = ()  # folders below `root` whose recordings are clipped, noisy or of 8 kHz


def _voice(name: str) -> str:
    """en_US_f_Allison/digits/1.g722: Allison, who speaks two of the languages."""
    return name.split("/")[0].split("_")[-1]


def _fish(name: str) -> str:
    """Two actors, the small fish (m) and the big fish (v), are most of the recordings."""
    parts = Path(name).stem.split("-")
    return "fillets small fish" if "m" in parts else "fillets big fish" if "v" in parts else "fillets others"


def _dutch_fish(name: str) -> str:
    return f"Dutch {_fish(name)}"


def _kde(name: str) -> str:
    """uk/alpha/a-1.ogg: one volunteer a language, perhaps the same in both packages."""
    return f"KDE {_folder(name)}"


def _hedgehog(name: str) -> str:
    """Sounds/voices/British/Amazing.ogg is a voice, Music/City.ogg a piece, the rest is effects; the voices Classic
    and Default share recordings."""
    *folders, file = Path(name).parts
    kind = folders[-1] if "voices" in folders else Path(file).stem if "Music" in folders else "effects"
    return f"hedgewars {kind.replace('Classic', 'Default')}"


def _folder(name: str) -> str:
    return name.split("/")[0]


def _file(name: str) -> str:
    return Path(name).stem


def _reader(name: str) -> str:
    return f"gcin {_file(name)}"


def _sample_kind(name: str) -> str:
    return f"Sonic Pi {name.split('_')[0]}"


_SPEECH, _FRETS = "usr/share/asterisk/sounds", "usr/share/games/fretsonfire/data/songs"
PACKAGES: tuple[Package, ...] = (
    Package(
        "asterisk-core-sounds-en-g722", "speech", False, "1.6.1-1",
        "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
        "CC-BY-SA-3.0", _SPEECH, _voice, "English telephone prompts, one speaker (Allison Smith)",
    ),
    Package(
        "asterisk-core-sounds-es-g722", "speech", False, "1.6.1-1",
        "e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8",
        "CC-BY-SA-3.0", _SPEECH, _voice, "Spanish telephone prompts, the same speaker as the English ones",
    ),
    Package(
        "asterisk-core-sounds-fr-g722", "speech", False, "1.6.1-1",
        "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
        "CC-BY-SA-3.0", _SPEECH, _voice, "French telephone prompts, one speaker (June Wallack)",
    ),
    Package(
        "fillets-ng-data-cs", "speech", False, "1.0.1-1.1",
        "3ecef99b9456f1c80c9625c6f2418642b52d58e7167a46bad7a412db17991b14",
        "GPL-2.0-only", "usr/share/games/fillets-ng/sound", _fish, "Czech game dialogue, two actors and a few more",
    ),
    Package(
        "asterisk-core-sounds-ru-g722", "speech", False, "1.6.1-1",
        "673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b",
        "CC-BY-3.0", _SPEECH, _voice, "Russian telephone prompts, one speaker",
    ),
    Package(
        "fillets-ng-data-nl", "speech", False, "1.0.1-1.1",
        "afb4443fda9ab507dee578b75be857d121718a1cd6017a474f30e0eb13dc9d10",
        "GPL-2.0-only", "usr/share/games/fillets-ng/sound", _dutch_fish,
        "Dutch game dialogue, two actors and a few more",
    ),
    Package(
        "klettres-data", "speech", False, "4:22.12.3-1",
        "1186d257a19e84230856baea0b0b1ded8be9195080fcdb2588970b5cd937f5a8",
        "GPL-2.0-or-later", "usr/share/klettres", _kde, "Letters and syllables in many languages, by volunteers",
        ("ml", "tn"),
    ),
    Package(
        "ktuberling-data", "speech", False, "4:22.12.3-1",
        "fba44c875bfa31ea488dadd9263e87a4dcaea0bd47d28817f6c0dc6d2af970ed",
        "GPL-2.0-or-later", "usr/share/ktuberling/sounds", _kde, "Words in many languages, by volunteers",
        ("es", "fi", "gl", "it", "nds", "nl", "pt", "sr", "sr@ijekavian", "sr@ijekavianlatin", "sr@latin", "sv"),
    ),
    Package(
        "gcin-voice", "speech", False, "0~20170223-3",
        "6a0353f0294d06f7bd901bada3d5d9eec63b66c2ec029f92da3124d93d45de70",
        "LGPL-3.0-only or CC-BY-3.0, by speaker", "usr/share/gcin-voice/ogg", _reader,
        "Mandarin syllables, two speakers",
    ),
    Package(
        "hedgewars-data", "speech and music", False, "1.0.2-6",
        "722225903a72604403e6e0026e40e9a6953f47a74d94efc5f55504bc05bb4761",
        "GPL-2.0-only (music), GFDL-1.3 and CC-BY-SA-3.0 (sounds)", "usr/share/games/hedgewars/Data", _hedgehog,
        "Game music, effects, and the shouted lines of several voices",
    ),
    Package(
        "sonic-pi-samples", "music", False, "3.2.2~repack-8",
        "25f2312d2fae005e6ad0f4726b8ed3084e776006a5a132083506e960224ac79d",
        "CC0-1.0 and MIT, by sample", "usr/share/sonic-pi/samples", _sample_kind, "Loops and single notes, lossless",
    ),
    Package(
        "wesnoth-1.16-music", "music", False, "1:1.16.9-1",
        "f9bc3cde92b4ab30db5d7b85f89b4bcc3d788dd92602956d0347250850bf59bb",
        "GPL-2.0-or-later", "usr/share/games/wesnoth/1.16/data/core/music", _file, "Orchestral game music",
    ),
    Package(
        "fretsonfire-songs-muldjord", "music", False, "2.dfsg-2.1",
        "b37adf8b08b46d4182c283e760e4f40622d83674e05803960ea1e11a92600c7b",
        "CC-BY-SA-3.0", f"{_FRETS}/muldjord", _folder, "Metal songs, guitar stems apart",
    ),
    Package(
        "hydrogen-drumkits", "drums", False, "2017.09.19~dfsg-1",
        "6ea3c6df9a67762e2362f946c695e619859126b19fbccf32a2e8f07dfd03b2f4",
        "GPL-2.0 and others, by kit", "usr/share/hydrogen/data/drumkits", _folder, "Single drum hits, lossless",
    ),
    Package(
        "asterisk-core-sounds-it-g722", "speech", True, "1.6.1-1",
        "46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016",
        "CC-BY-SA-3.0", _SPEECH, _voice, "Italian telephone prompts, one speaker (Carlo Flora)",
    ),
    Package(
        "fretsonfire-songs-sectoid", "music", True, "1.dfsg-3.1",
        "14c1ed3e43c1a6a80eae7698f0469a0825cd1184e441968d62df89ca418aa0b4",
        "MIT", f"{_FRETS}/sectoid", _folder, "Metal songs, guitar stems apart",
    ),
    Package(
        "asc-music", "masters", True, "1.3-6", "369f2d396adb8db9003ef73b797d529e284a7764a5ff4b59a50a4c8b9294da5f",
        "GPL-2.0-or-later", "usr/share/games/asc/music", _file, "Electronic game music, mp3 at 22 kHz",
    ),
    Package(
        "extremetuxracer-data", "masters", True, "0.8.2-1",
        "8ce6c82e6fb89549d284f43f6c4b0a9d82e6c0e5da753bee0ef419276a21470c",
        "GPL-2.0-or-later", "usr/share/games/etr/music", _file, "Pop, rock and surf, loud",
    ),
    Package(
        "hyperrogue-music", "masters", True, "12.0q-1",
        "61ab9f4c2169442d85f42c42d26e80c1a18b93c741f3d44f1b9d83015904e7f7",
        "CC-BY-SA-3.0", "usr/share/hyperrogue/music", _file, "Orchestral and ambient, three composers",
    ),
)  # fmt: skip


def package(name: str) -> Package:
    """Finds a corpus by its name.

    Raises:
        UserError: no such corpus; names those that there are.
    """
    for item in PACKAGES:
        if item.name == name:
            return item
    raise UserError(f"no corpus '{name}': use one of {', '.join(item.name for item in PACKAGES)}")


def corpus_folder(item: Package, root: Path | None = None) -> Path:
    """Where a corpus is unpacked: below `train`, or below `held_out`, so that training on all of `train` is safe."""
    return (root or data_dir()) / ("held_out" if item.held_out else "train") / item.name


def fetch(item: Package, *, root: Path | None = None, warn: Callable[[str], None] = lambda _: None) -> Path:
    """Fetches and unpacks a corpus with `apt-get download` and `dpkg-deb -x`; no root, nothing is installed.

    Args:
        item: the corpus.
        root: the data folder; None for `dafxvae.core.paths.data_dir()`.
        warn: called with a message where the version is not the recorded one.

    Returns:
        The corpus's folder: its audio, and a manifest with version, hash, licence and groups. It is there whole or not
        at all; nothing is done where it is there already.

    Raises:
        UserError: a missing tool, a failed download, a wrong hash, a full disk.
    """
    target = corpus_folder(item, root)
    if (target / MANIFEST).is_file():
        return target
    if target.exists():
        raise UserError(
            f"{target} is there, and was not fetched (it has no {MANIFEST}): move it away, then fetch again"
        )
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise UserError(f"fetching {item.name} needs {tool}, which this machine lacks: use Debian or Ubuntu")
    with whole_folder(target) as folder:
        scratch = folder.parent
        os.replace(_unpack(item, _download(item, scratch), scratch, warn), folder)
    return target


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=APT_TIMEOUT_SEC, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"`{' '.join(command)}` took longer than {APT_TIMEOUT_SEC} s") from error


def _download(item: Package, scratch: Path) -> Path:
    """The .deb; where the machine has no package lists, they are fetched into the scratch folder first."""
    result = _run(["apt-get", "download", item.name], scratch)
    if result.returncode:
        lists = scratch / "lists"
        (lists / "partial").mkdir(parents=True)
        own = ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={scratch}", "-o", "Debug::NoLocking=1"]
        _run(["apt-get", *own, "update"], scratch)
        result = _run(["apt-get", *own, "download", item.name], scratch)
    found = list(scratch.glob("*.deb"))
    if result.returncode or len(found) != 1:
        reason = (result.stderr.strip() or "no reason given").splitlines()[-1]
        raise UserError(f"cannot download {item.name}: {reason}")
    return found[0]


def _unpack(item: Package, deb: Path, scratch: Path, warn: Callable[[str], None]) -> Path:
    version = _run(["dpkg-deb", "-f", str(deb), "Version"], scratch).stdout.strip()
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    if version != item.version:
        warn(f"{item.name} is version {version} here; the recorded numbers were measured on {item.version}")
    elif digest != item.sha256:
        raise UserError(f"{item.name} {version} has SHA-256 {digest}, expected {item.sha256}: the file is damaged")
    result = _run(["dpkg-deb", "-x", str(deb), "package"], scratch)
    source = scratch / "package" / item.root
    if result.returncode or not source.is_dir():
        raise UserError(f"cannot unpack {deb.name}: {result.stderr.strip() or f'it has no folder {item.root}'}")
    for name in item.left_out:
        shutil.rmtree(source / name, ignore_errors=True)
    suffixes = AUDIO_SUFFIXES | {".g722"}
    for path in sorted(source.rglob("*"), reverse=True):  # files before their folders
        if path.is_file() and path.suffix.lower() not in suffixes:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
    manifest = {
        "name": item.name,
        "version": version,
        "sha256": digest,
        "licence": item.licence,
        "kind": item.kind,
        "held_out": item.held_out,
        "fetched": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "groups": {name: re.sub(r"\s+", " ", item.group(name)) for name in names},
    }
    write_json(source / MANIFEST, manifest)
    return source
