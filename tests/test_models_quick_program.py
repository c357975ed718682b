"""Programs that are compiled sooner: the results of `jax.jit`, and without what a version of XLA does not know."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dafxvae.models import quick_program
from dafxvae.models.quick_program import OPTIONS, QuickProgram, compiler_options


def smooth(x, size):
    return jnp.tanh(jnp.cumsum(x)[size:] - jnp.cumsum(x)[:-size]) / size


@pytest.mark.parametrize("options", [OPTIONS, {"xla_cpu_option_of_another_version": True}])
def test_results_are_those_of_jit(monkeypatch, options):
    monkeypatch.setattr(quick_program, "OPTIONS", options)
    compiler_options.cache_clear()
    assert compiler_options() == (OPTIONS if options is OPTIONS else None)
    x = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    found = QuickProgram(smooth, static_argnames="size")(x, size=4)
    np.testing.assert_allclose(found, jax.jit(smooth, static_argnums=1)(x, 4), atol=1e-6)
    compiler_options.cache_clear()
