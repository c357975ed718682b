""".vstpreset: the state of each VST3 plugin of the chain, in the container that every VST3 host loads."""

from pathlib import Path

from dafxvae.core.errors import UserError
from dafxvae.core.files import write_bytes
from dafxvae.transfer.exports.material import Exported, Material


def write_vstpreset(material: Material, target: Path) -> Exported:
    """Writes a preset for each VST3 plugin: `target` for one; for several, numbered names beside it.

    Raises:
        UserError: the chain has no VST3 plugin.
    """
    if not material.plugins:
        raise UserError(f"{material.host.name} has no VST3 plugin: export it as dawproject, ir or reascript")
    paths = []
    for place, plugin in material.plugins.items():
        one = target.with_name(f"{target.stem}.{place + 1}.{plugin.label}{target.suffix}")
        paths.append(target if len(material.plugins) == 1 else one)
        write_bytes(paths[-1], plugin.preset)
    left_out = [stage.label for i, stage in enumerate(material.stages) if i not in material.plugins]
    notes = [f"not in a preset, as they are no VST3 plugins: {', '.join(left_out)}"] if left_out else []
    return Exported(paths, [*notes, *material.channel_notes])
