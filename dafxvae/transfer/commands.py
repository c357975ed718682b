"""The command `dafxvae transfer INPUT REFERENCE ...`: files to files."""

import os
import re
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from dafxvae.audio.formats import encoding_of
from dafxvae.audio.io import AudioReader, audio_writer
from dafxvae.core.errors import UserError, unknown_name
from dafxvae.core.files import check_output, write_bytes, write_text
from dafxvae.core.paths import user_path
from dafxvae.effects.kinds import KINDS
from dafxvae.effects.parameters import parse_values
from dafxvae.transfer import document, report
from dafxvae.transfer.effect_choice import check_choice, choose_controller, find_effects, open_transfer
from dafxvae.transfer.exports.formats import export_settings, parse_exports
from dafxvae.transfer.files import DEPTHS, is_integer, sample_progress, subtype_of, warn
from dafxvae.transfer.recordings import check_header
from dafxvae.transfer.results import Options, Outcome

if TYPE_CHECKING:
    from dafxvae.studio.found_chain import FoundChain
    from dafxvae.transfer.api import StyleTransfer
    from dafxvae.transfer.ranking import Ranking


def parse_ceiling(text: str) -> float | None:
    """A ceiling in dBTP, or None for "none".

    Raises:
        UserError: neither.
    """
    if text.lower() == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise UserError(f"--ceiling {text}: give a true peak in dBTP, for example -1, or none") from None


def parse_amounts(items: Sequence[str]) -> dict[str | int, float]:
    """`EFFECT=AMOUNT`, the effect by its name or number.

    Raises:
        UserError: no name, or no number.
    """
    amounts: dict[str | int, float] = {}
    for name, value in parse_values(items, "--amount-of").items():
        try:
            amounts[name] = float(value)
        except ValueError:
            raise UserError(f"--amount-of {name}={value}: give a number, 0 to 1.5") from None
    return amounts


def parse_reference(text: str) -> tuple[Path, int, str]:
    """A reference, how often it counts, and for which kind of effects it is given alone: `ref.wav:2`, `ref.wav:space`.

    A file whose name ends so is that file.

    Raises:
        UserError: the weight is no whole number, or there is no such kind.
    """
    weight, aspect = 1, ""
    while not os.path.exists(user_path(text)):
        path, colon, said = text.rpartition(":")
        if re.fullmatch(r"[\d.+-]+", said) and colon:
            if not said.isdigit():
                raise UserError(f"{text}: give a weight in whole numbers, as often as {path} counts, e.g. {path}:2")
            weight = int(said)
        elif said in KINDS or (said.isalpha() and os.path.exists(user_path(path or "."))):
            if said not in KINDS:
                raise unknown_name(f"kind of effect that {path} could be given for", said, KINDS)
            aspect = said
        else:
            break
        text = path
    return user_path(text), weight, aspect


def parse_options(arguments: Namespace, weights: Sequence[int], aspects: Sequence[str]) -> Options:
    """The options that the command line gives; the others have their defaults.

    Raises:
        UserError: one that cannot be.
    """
    named = {"amount": "amount", "match_level": "match_level", "refine": "refine", "max_tail": "max_tail_sec"}
    given = {field: getattr(arguments, name) for name, field in {**named, "max_eq": "max_eq_db"}.items()}
    asked: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    if arguments.ceiling is not None:
        asked["ceiling_db"] = parse_ceiling(arguments.ceiling)
    if arguments.only is not None:
        asked["only"] = [kind.strip() for kind in arguments.only.split(",")]
    return Options(
        locks=parse_values(arguments.lock or (), "--lock"),
        only_if_better=arguments.only_if_better,
        amount_of=parse_amounts(arguments.amount_of or ()),
        weights=weights,
        aspects=aspects,
        stereo=arguments.stereo,
        **asked,
    )


def run_transfer(arguments: Namespace, console: Console) -> None:
    """Transfers one file.

    Args:
        arguments: of `dafxvae.transfer.__main__`.
        console: for progress, the table and notes.

    Raises:
        UserError: bad input.
        EffectError: the effect failed.
    """
    source_path = user_path(arguments.files[0])
    reference_paths, *given = zip(*map(parse_reference, arguments.files[1:]))
    output = arguments.output
    if not output.suffix and not os.path.isdir(output):
        output = output.with_name(output.name + source_path.suffix)  # the take's container
    options = parse_options(arguments, *given)
    requests = parse_exports(arguments.export)
    read = [source_path, *reference_paths]
    check_output(output, read)
    settings = document.Paths.next_to(output).settings
    for request in requests:
        check_output(request.path(settings), [*read, output, settings])
    encoding_of(output, DEPTHS.get(arguments.bit_depth))
    with ExitStack() as stack:
        source, *references = [stack.enter_context(AudioReader(p)) for p in (source_path, *reference_paths)]
        for one in (source, *references):
            check_header(one)  # before the seconds that opening a controller takes
        check_choice(arguments)
        subtype = subtype_of(output, arguments.bit_depth, source)
        ranking = choose_controller(arguments, source, references, options, console)
        found = find_effects(arguments, source, references, options, console)
        if found is not None:
            found, options = found.adapted(options)
            warn(console, found.left_out)
        transfer = stack.enter_context(open_transfer(arguments, found))
        end = source.frames + round(options.max_tail_sec * source.sample_rate)
        channels = 2 if options.stereo else source.num_channels
        with (
            audio_writer(output, source.sample_rate, channels, end, subtype, source.tags) as write,
            sample_progress(console, end) as (notify, advance),
        ):
            outcome = transfer.run(
                source,
                references,
                options,
                is_integer=is_integer(output, subtype),
                folder=output.parent,
                say=notify,
                progress=advance,
            )
            stack.enter_context(closing(outcome.rendered))
            for block in outcome.rendered.chunks(outcome.level.factor):
                write(block)
        write_files(arguments, output, transfer, source, references, options, outcome, found or ranking, console)
    if requests and outcome.kept_take:
        warn(console, ["the take is kept as it is, without an effect: nothing is exported"])
    elif requests:
        export_settings(settings, requests, console)


def write_files(
    arguments: Namespace,
    output: Path,
    transfer: "StyleTransfer",
    source: AudioReader,
    references: list[AudioReader],
    options: Options,
    outcome: Outcome,
    chosen: "Ranking | FoundChain | None",
    console: Console,
) -> None:
    """Writes settings, script, plugin states, and the optional page and picture."""
    paths = document.Paths.next_to(output)
    end = source.frames + round(options.max_tail_sec * source.sample_rate)
    chain = transfer.host.chain
    content = document.settings_document(
        chain, outcome, options, arguments.controller, source.path, [one.path for one in references], output
    )
    content |= {} if chosen is None else chosen.document()
    document.write_document(paths.settings, content)
    subtype = subtype_of(output, arguments.bit_depth, source)
    script = outcome.script(
        chain,
        source,
        options.max_tail_sec,
        encoding=encoding_of(output, subtype, end * outcome.rendered.num_channels),
        source_name=str(source.path.resolve()),
        target_name=str(output.resolve()),
    )
    write_text(paths.script, script)
    for name, (_, state) in zip(content["plugin_states"], outcome.rendered.states, strict=True):
        write_bytes(output.with_name(name), state)
    if arguments.picture or arguments.page:
        with AudioReader(output) as written:
            if arguments.picture:
                from dafxvae.transfer.overview import picture  # matplotlib takes a second to import

                write_bytes(paths.picture, picture({"input": source, "reference": references[0], "output": written}))
            if arguments.page:
                clips = outcome.listening_clips(source, references, written)
                write_text(paths.page, report.page(content, clips))
    console.print(report.terminal_table(content))
    console.print(f"compared: {report.compared_sentence(content)}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"fit to the reference: {outcome.fit.sentence}", highlight=False, soft_wrap=True)
    if outcome.fit.confidence.sentence:
        console.print(f"prediction: {outcome.fit.confidence.sentence}", highlight=False, soft_wrap=True)
    warn(console, outcome.notes)
    if source.is_mended:
        warn(
            console, [f"{source.name} does not say how long it is: {paths.script.name} needs it converted, e.g. to WAV"]
        )
    optional = [paths.picture] * arguments.picture + [paths.page] * arguments.page
    written = ", ".join([str(output), *(path.name for path in (paths.settings, paths.script, *optional))])
    console.print(written, markup=False, highlight=False, soft_wrap=True)
