"""The callback bridge: exceptions recorded, shapes held, and no deadlock with several CPU devices."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dafxvae.core.errors import EffectError, UserError
from dafxvae.gradients.bridge import CallbackLog, make_bridge, require_thread_pool
from dafxvae.gradients.estimators import Estimator, make_effect_loss

PMAP = """
import jax, numpy as np, jax.numpy as jnp, time
from dafxvae.gradients import bridge
if {bypass}:
    bridge.require_thread_pool = lambda num_devices: None
from dafxvae.gradients.estimators import Estimator, make_effect_loss

def render(audio, unit_params):
    time.sleep(0.05)
    return audio[:, None] * unit_params[:, :, :1, None]

loss = lambda output, target: (jnp.mean((output - target) ** 2, axis=(1, 2)), {{}})
effect_loss = make_effect_loss(render, loss, Estimator())

def step(audio, params, keys):
    value, gradient = jax.value_and_grad(lambda p: effect_loss(audio, p, keys, audio).loss.mean())(params)
    return jax.lax.pmean(value, "d"), jax.lax.pmean(gradient, "d")

run = jax.pmap(step, axis_name="d")
audio, params = jnp.ones((4, 2, 65536, 1)), jnp.full((4, 2, 3), 0.5)
keys = jax.random.split(jax.random.key(0), (4, 2))
for _ in range(5):
    jax.block_until_ready(run(audio, params, keys))
print("finished")
"""


def run_on_four_devices(nproc, bypass=False, timeout=60):
    """In a process of its own: the pool's size is read when JAX starts."""
    environment = {k: v for k, v in os.environ.items() if k not in ("NPROC", "XLA_FLAGS")}
    environment |= {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    if nproc is not None:
        environment["NPROC"] = str(nproc)
    return subprocess.run(
        [sys.executable, "-c", PMAP.format(bypass=bypass)],
        env=environment,
        cwd=Path(__file__).resolve().parent.parent,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_four_devices_finish():
    """Hangs (and is killed) when the pool is no larger than the number of devices."""
    result = run_on_four_devices(8)
    assert "finished" in result.stdout, result.stderr


def test_without_a_thread_to_spare_it_refuses_instead_of_hanging():
    result = run_on_four_devices(None)
    assert result.returncode != 0
    assert "UserError" in result.stderr
    assert "NPROC=8" in result.stderr


@pytest.mark.slow
def test_without_the_refusal_it_would_hang():
    with pytest.raises(subprocess.TimeoutExpired):
        run_on_four_devices(2, bypass=True, timeout=40)


def test_require_thread_pool(monkeypatch):
    for nproc, devices in (("5", 4), ("", 1)):
        monkeypatch.setenv("NPROC", nproc)
        require_thread_pool(devices)
    for nproc, devices in (("4", 4), ("", 2), ("many", 2)):
        monkeypatch.setenv("NPROC", nproc)
        with pytest.raises(UserError, match=f"NPROC={2 * devices}"):
            require_thread_pool(devices)


def test_an_exception_is_nan_now_and_an_error_after_the_step():
    def broken(audio, unit_params):
        raise RuntimeError("the plugin exploded")

    log = CallbackLog()
    out = jax.jit(make_bridge(broken, log))(jnp.ones((2, 8, 1)), jnp.ones((2, 3, 4)))
    assert out.shape == (3, 2, 8, 1)
    assert np.isnan(out).all()
    assert log.count == 1
    with pytest.raises(EffectError, match=r"1 time.*the plugin exploded"):
        log.check()


def test_an_exception_on_several_devices_with_a_collective_does_not_abort():
    def broken(audio, unit_params):
        raise RuntimeError("the plugin exploded")

    log = CallbackLog()
    effect_loss = make_effect_loss(broken, lambda y, t: (jnp.mean((y - t) ** 2, axis=(1, 2)), {}), Estimator(), log=log)

    def step(audio, params, keys):
        gradient = jax.grad(lambda p: effect_loss(audio, p, keys, audio).loss.sum())(params)
        return jax.lax.pmean(gradient, "d")

    audio, params = jnp.ones((2, 2, 64, 1)), jnp.full((2, 2, 3), 0.5)
    keys = jax.random.split(jax.random.key(0), (2, 2))
    gradient = jax.pmap(step, axis_name="d", devices=jax.devices()[:2])(audio, params, keys)
    np.testing.assert_array_equal(gradient, 0)
    assert log.count == 2
    with pytest.raises(EffectError):
        log.check()


def test_a_result_of_the_wrong_shape_is_recorded():
    log = CallbackLog()
    out = make_bridge(lambda audio, unit_params: audio, log)(jnp.ones((2, 8, 1)), jnp.ones((2, 3, 4)))
    assert np.isnan(out).all()
    with pytest.raises(EffectError, match=r"render gave \(2, 8, 1\)"):
        log.check()


def test_a_quiet_log_raises_nothing():
    log = CallbackLog()
    out = make_bridge(lambda audio, p: np.repeat(audio[:, None], p.shape[1], 1), log)(
        jnp.ones((2, 8, 1)), jnp.ones((2, 3, 4))
    )
    np.testing.assert_array_equal(out, 1)
    log.check()


def test_arguments_are_checked_when_traced():
    bridge = make_bridge(lambda audio, unit_params: audio)
    with pytest.raises(ValueError, match="need audio"):
        bridge(jnp.ones((2, 8, 1)), jnp.ones((2, 4)))
