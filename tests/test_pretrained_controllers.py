"""The controllers that come with the package: one for each config, over the package's f and g, and alive."""

import importlib.util
from typing import Any

import numpy as np
import pytest

from dafxvae.controllers.controller import read_controller
from dafxvae.controllers.names import shipped_folder
from dafxvae.descriptors import catalog
from dafxvae.descriptors.curves import KNOTS
from dafxvae.descriptors.lfo_measurement import rate_settings
from dafxvae.effects.factory import open_host
from dafxvae.models import networks
from dafxvae.models.controller_decoder import ControllerDecoder
from dafxvae.runs.options import packaged_configs

OTHERS = {"pretrain", "spoken_digits", "vst3"}  # configs that belong to no controller of the package
CONFIGS = {name: path for name, path in packaged_configs().items() if name not in OTHERS}
LIMIT_BYTES = 240_000  # vocal: 22 settings, each with an output of the network and three curves; 37 kB of experience
TEMPLATE_BYTES = 1_400_000  # of an LFO, where a descriptor needs them


def test_each_config_has_its_controller():
    assert {path.stem for path in shipped_folder().glob("*.safetensors")} == set(CONFIGS)


def rates_follow_the_scale_of_their_parameter(controller, host):
    """Fitted curves were bent above 4 Hz, and wrong by half of the range at 7."""
    rate, rates_hz = controller.config.h.lfo.rate, np.array([0.3, 0.97, 2.0, 4.7, 7.0], np.float32)
    estimates = catalog.rate_estimates(controller.descriptors)
    assert len(estimates) == 3
    for j in estimates:
        curve = np.asarray(controller.params["curves"])[j, controller.parameters.index(rate)]
        found = np.interp(np.log(rates_hz), KNOTS, curve)
        np.testing.assert_allclose(found, rate_settings(host, rate, rates_hz), atol=1e-4)


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_it_drives_the_effect_of_its_config(name):
    path = shipped_folder() / f"{name}.safetensors"
    controller = read_controller(path)
    templates = any(descriptor.needs_templates for descriptor in controller.descriptors)
    assert controller.check is not None
    assert controller.experience is not None
    assert controller.familiar is not None
    assert (controller.encoders.templates is not None) == templates
    assert path.stat().st_size < LIMIT_BYTES + templates * TEMPLATE_BYTES
    spec = importlib.util.spec_from_file_location(name, CONFIGS[name])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert controller.effect == module.get_config().effect
    with open_host(controller.effect, num_workers=1) as host:
        assert host.parameters.names == controller.parameters
        if templates:
            rates_follow_the_scale_of_their_parameter(controller, host)


def test_they_predict():
    """Different latents get different settings, all in range; a latent that was never seen leads nowhere wild."""
    rng = np.random.default_rng(0)
    for name in CONFIGS:
        controller = read_controller(shipped_folder() / f"{name}.safetensors")
        h = networks.build_h(controller.config, len(controller.parameters))
        scale = np.repeat([1.0, 100.0], [6, 2])[:, None]
        z = (scale * rng.standard_normal((8, controller.encoders.g.latent_dim + h.num_descriptors))).astype(np.float32)
        settings, _ = controller.settings(z)
        assert settings.shape == (8, len(controller.parameters))
        assert np.isfinite(settings).all()
        assert settings.min() >= 0.0
        assert settings.max() <= 1.0
        predicted = settings[:6]
        if h.direct:  # random descriptors are no reason to choose a direct estimate
            found: Any = h.apply({"params": controller.params}, z[:6], method=ControllerDecoder.candidates)
            predicted = found.settings
        assert np.asarray(predicted).std(0).max() > 0.02, name
