"""The report as a page: conclusions first, then measures, then pictures and sounds."""

from typing import Any

import numpy as np

from dafxvae.latent.figures import sweep_lines
from dafxvae.latent.report import Findings
from dafxvae.latent.traversals import Strip
from dafxvae.reporting.page import Page
from dafxvae.reporting.pictures import jpeg_bytes, png_bytes

ACTIVE_BAR = 0.8  # of g's dimensions in use


def _share(value: dict[str, float]) -> str:
    return f"{value['mean']:.3f} ({value['low']:.3f} … {value['high']:.3f})"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def conclusions(data: dict[str, Any]) -> list[str]:
    """Sentences on how many dimensions are enough."""
    g, f = data["g"], data["f"]
    found = [
        f"g: {g['recommended']} of {g['latent_dim']} dimensions account together for {g['share']:.0%} of the variance "
        f"that the latent can give to each output; {g['active_units']} are active units (variance of the posterior "
        f"mean above .01). f: {f['recommended']} of {f['latent_dim']}."
    ]
    for name in ("g", "f"):
        error = data[name]["error_with_d_kept"]["reconstruction"]
        if error[-1] >= error[0]:
            found.append(
                f"The latent of {name} does not lower the error of held-out reconstructions at all: {name} is hardly "
                "trained, and the number of its dimensions in use says nothing."
            )
    sweep = data.get("sweep")
    if sweep is None:
        return [*found, "Whether the recommended size holds was not verified: `report --retrain` or `sweep` does."]
    row = next((row for row in sweep["rows"] if row["latent_dim"] == sweep["recommended"]), None)
    if row is not None:
        tests = row["against_full"].items()
        verdicts = ", ".join(f"{sweep['metrics'][name]}: {test['verdict']}" for name, test in tests)
        found.append(
            f"Trained again with {row['latent_dim']} dimensions instead of {sweep['full']} "
            f"({len(row['in_use'])} seeds): {verdicts}."
        )
    return found


def bars(data: dict[str, Any]) -> list[list[str]]:
    """The bars for the encoders, and whether they reach them; rows of a table."""
    rows = []
    for lead in data["probes"]["f"]["leads"]:
        if lead["probe"] == "linear":
            words = "reference alone" if lead["input"] == "wet" else "input and reference"
            text = f"f's linear probe leads the best baseline ({lead['best_baseline']}) by 5 points, {words}"
            rows.append([text, f"lead {_share(lead['lead'])}", _yes(lead["passes"])])
    for bar in data["probes"]["g"]:
        text = f"R² from g's latent above every baseline on 80 % of the parameters, {bar['probe']} probe"
        rows.append([text, f"{bar['above']} of {bar['probed']} ({bar['share']:.0%})", _yes(bar["passes"])])
    active = data["g"]["active_share_of_used"]
    text = "80 % of g's dimensions active once the idle ones are gone"
    rows.append([text, f"{active:.0%}", _yes(active >= ACTIVE_BAR)])
    num_effects = len(data["probes"]["effects"])
    rows.append(["at least 12 effects", str(num_effects), _yes(num_effects >= 12)])
    return rows


def _dimensions(page: Page, findings: Findings) -> None:
    page.heading("What each dimension does")
    page.text(
        "Output variance: how much an output moves when one dimension alone moves over the prior N(0, 1), the others "
        "at their posterior means. A dimension is in use when it is among the fewest that hold 99 % of it for some "
        "output."
    )
    for name, title in (("g", "g, one latent for a pair of recordings"), ("f", "f, one latent for each frame")):
        for picture in (f"dimensions_{name}", f"sizes_{name}"):
            page.picture(findings.pictures[picture], title)
        found = findings.data[name]
        outputs = found["output_variance"]
        columns = ["dimension", "in use", "KL (nats)", "activity", *(f"{key}: variance" for key in outputs)]
        rows = [
            [str(j), _yes(found["used"][j]), f"{found['kl_nats'][j]:.3f}", f"{found['activity'][j]:.3f}"]
            + [f"{values[j]:.2e}" for values in outputs.values()]
            for j in found["order"]
        ]
        page.details(f"{title}: numbers", columns, rows)


def _sweep(page: Page, sweep: dict[str, Any]) -> None:
    page.heading("Trained again at other sizes")
    page.picture(png_bytes(sweep_lines(sweep)), "held-out scores by size")
    columns = ["dimensions", "in use after training", *sweep["metrics"].values()]
    rows = []
    for row in sweep["rows"]:
        cells = [f"{_share(row['scores'][key])}, {row['against_full'][key]['verdict']}" for key in sweep["metrics"]]
        rows.append([str(row["latent_dim"]), ", ".join(map(str, row["in_use"])), *cells])
    page.table(columns, rows)
    page.text(
        "Means over held-out pairs and seeds with 95 % intervals over pairs, the lower the better; "
        f"{sweep['num_training_pairs']} training pairs. The verdict compares with {sweep['full']} dimensions on the "
        "same pairs: unchanged within two standard errors, those of pairs and of seeds together.",
        "note",
    )


def _probes(page: Page, findings: Findings) -> None:
    probes = findings.data["probes"]
    page.heading("Probes: effect and settings from the latents")
    page.text(
        f"{probes['num_train']} pairs to fit on, {probes['num_valid']} of other recordings to choose the penalty with, "
        f"{probes['num_test']} held-out pairs ({findings.data['held_out']}). Blue: ours; grey: features that nothing "
        "was trained for. In parentheses: number of features.",
        "note",
    )
    page.picture(findings.pictures["probes_effect"], "accuracy of naming the effect")
    for kind in ("linear", "forest"):
        page.picture(findings.pictures[f"probes_settings_{kind}"], f"R² of every setting, {kind} probe")
    columns = ["features", "input", "probe", "size", "accuracy", "median R²"]
    rows = []
    for row in probes["rows"]:
        r2 = [value for value in row["r2"] if value is not None]
        median = f"{np.median(r2):.3f}" if r2 else "-"
        rows.append([row["features"], row["input"], row["probe"], str(row["size"]), _share(row["accuracy"]), median])
    page.details("all accuracies", columns, rows)
    scores = findings.data["disentanglement"]["g"]
    page.heading("Disentanglement of g's latent")
    columns = ["effect", "settings", "beta-VAE metric", "chance", "MIG", "examples"]
    found = scores["effects"] | ({"mean": scores["mean"]} if scores["mean"] else {})
    rows = []
    for name, s in found.items():
        values = f"{s['beta_vae']:.2f}", f"{s['chance']:.2f}", f"{s['mig']:.3f}"
        rows.append([name, str(s.get("num_factors", "")), *values, str(s.get("num_examples", ""))])
    page.table(columns, rows)
    page.text(
        "Known factors are the settings of one effect, in five bins. beta-VAE metric: Higgins et al. 2017; MIG: Chen "
        "et al. 2018.",
        "note",
    )


def add_strip(page: Page, strip: Strip, image: bytes, sample_rate: int) -> None:
    """Add a traversal or an interpolation: spectra, then the sounds in the same order."""
    page.subheading(strip.title)
    if strip.note:
        page.text(strip.note, "note")
    page.picture(image, strip.title)
    page.sounds(strip.sounds, sample_rate)


def make_page(findings: Findings, sample_rate: int) -> str:
    """The page as HTML."""
    data = findings.data
    subtitle = f"{data['source']}: {', '.join(data['probes']['effects'])}; clips of {data['clip_seconds']:.2f} s"
    page = Page("The latents of f and g", subtitle)
    for text in conclusions(data):
        page.text(text, "answer")
    page.table(["bar", "measured", "holds"], bars(data))
    _dimensions(page, findings)
    if data.get("sweep"):
        _sweep(page, data["sweep"])
    _probes(page, findings)
    page.heading("Projections")
    for name, png in findings.pictures.items():
        if name.startswith("projection"):
            page.picture(png, name)
    for note in data["notes"]:
        page.text(note, "note")
    page.heading("Traversals and interpolations")
    for _, strip in findings.strips:
        add_strip(page, strip, jpeg_bytes(strip.picture), sample_rate)
    return page.render()
