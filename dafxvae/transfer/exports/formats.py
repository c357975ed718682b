"""The table of export formats, and how they are named on a command line: FORMAT or FORMAT:PATH."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from dafxvae.core.errors import UserError, unknown_name
from dafxvae.core.files import check_output
from dafxvae.core.paths import user_path
from dafxvae.transfer.exports.dawproject import write_dawproject
from dafxvae.transfer.exports.impulse_response import write_impulse_response
from dafxvae.transfer.exports.material import Exported, Material, open_material
from dafxvae.transfer.exports.reascript import write_reascript
from dafxvae.transfer.exports.vstpreset import write_vstpreset
from dafxvae.transfer.files import warn


@dataclass(frozen=True)
class ExportFormat:
    """One format."""

    name: str
    suffix: str  # of the file that is written beside the settings
    summary: str
    write: Callable[[Material, Path], Exported]


EXPORTS = {
    form.name: form
    for form in (
        ExportFormat("vstpreset", ".vstpreset", "a preset for each VST3 plugin (exact)", write_vstpreset),
        ExportFormat("dawproject", ".dawproject", "take, output, references, chain as a project", write_dawproject),
        ExportFormat("ir", ".ir.wav", "an impulse response, of linear chains", write_impulse_response),
        ExportFormat("reascript", ".lua", "a script of REAPER that makes the track", write_reascript),
    )
}


@dataclass(frozen=True)
class ExportRequest:
    """A format and where it shall be written; None for beside the settings."""

    form: ExportFormat
    target: Path | None

    def path(self, settings: Path) -> Path:
        """The file, for the settings `OUT.settings.json`."""
        beside = settings.with_name(settings.name.removesuffix(".settings.json") + self.form.suffix)
        return beside if self.target is None else self.target


def parse_exports(items: Sequence[str]) -> list[ExportRequest]:
    """`FORMAT` or `FORMAT:PATH`, as often as they were given.

    Raises:
        UserError: no such format, an empty path, one with another suffix, or two of one name.
    """
    requests = []
    for item in items:
        name, colon, path = item.partition(":")
        if name not in EXPORTS:
            raise unknown_name("export format", name, EXPORTS)
        form = EXPORTS[name]
        try:
            target = user_path(path) if colon else None
        except UserError as error:
            raise UserError(f"{item}: {error}") from error
        suffix = f".{form.suffix.rpartition('.')[2]}"
        if target is not None and target.suffix.lower() != suffix:
            raise UserError(f"{item}: give the file a name that ends in {suffix}")
        if any(request.form is form and request.target == target for request in requests):
            raise UserError(f"{item} is asked for twice: give it once")
        requests.append(ExportRequest(form, target))
    return requests


def export_settings(settings: Path, requests: Sequence[ExportRequest], console: Console) -> list[str]:
    """Writes stored settings in other formats; says what was written, and says and returns what of it is approximate.

    Args:
        settings: `OUT.settings.json`.
        requests: of `parse_exports`.
        console: for names and notes.

    Raises:
        UserError: bad settings, a recording that is not there, or a chain that the format cannot hold.
        EffectError: a plugin failed.
    """
    notes: list[str] = []
    with open_material(settings) as material:
        named = (material.stored.take, *material.stored.references, material.stored.output)
        for request in requests:
            target = request.path(settings)
            check_output(target, [settings, *(user_path(entry["file"]) for entry in named)])
            exported = request.form.write(material, target)
            said = [f"{target.name}: {note}" for note in exported.notes]
            warn(console, said)
            notes += said
            written = ", ".join(str(path) for path in exported.paths)
            console.print(written, markup=False, highlight=False, soft_wrap=True)
    return notes
