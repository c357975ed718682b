"""Scheduling: shared prefixes are rendered once, pools may be shared, interrupted, forgotten and closed."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest

import dafxvae.effects.chain as chain_module
from dafxvae.effects.factory import open_host
from dafxvae.effects.pool import RenderPool

RNG = np.random.default_rng(0)
AUDIO = (0.2 * RNG.standard_normal((2, 3000, 1))).astype(np.float32)


@pytest.fixture
def rendered_units(monkeypatch):
    """The labels of the units that are rendered, one entry for each render."""
    log = []
    real = chain_module.render_units

    def counting(worker, units, *rest):
        log.extend(unit.label for unit in units)
        return real(worker, units, *rest)

    monkeypatch.setattr(chain_module, "render_units", counting)
    return log


def test_variants_render_a_shared_leading_part_once(rendered_units):
    """One-sided differences of every parameter: effect k is rendered again for what moves at k or before."""
    with open_host("HighpassFilter | Compressor(threshold_db, ratio) | Gain", num_workers=2) as host:
        variants = np.repeat(host.parameters.sample(RNG, 2)[:, None], 5, axis=1)
        for k in range(4):
            variants[:, k + 1, k] = 1 - variants[:, k + 1, k]
        host.render_variants(AUDIO, variants, 24000)
    assert {name: rendered_units.count(name) for name in set(rendered_units)} == {
        "HighpassFilter": 2 * 2,
        "Compressor": 2 * (1 + 1 + 2),
        "Gain": 2 * 5,
    }


def test_equal_variants_are_rendered_once(rendered_units):
    with open_host("LadderFilter(mode, drive)", num_workers=1) as host:
        variants = np.full((2, 4, 2), 0.5, np.float32)
        variants[:, :, 0] = [0.0, 0.01, 0.05, 1.0]  # the first three are one value of a choice
        out = host.render_variants(AUDIO, variants, 24000)
    assert len(rendered_units) == 2 * 2
    np.testing.assert_array_equal(out[:, 0], out[:, 2])


def test_several_threads_may_render_at_once():
    with open_host("Reverb", num_workers=2) as host:
        unit = host.parameters.sample(RNG, 2)
        wanted = host.render(AUDIO, unit, 24000)
        got = [None] * 6
        threads = [
            threading.Thread(target=lambda i=i: got.__setitem__(i, host.render(AUDIO, unit, 24000))) for i in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for out in got:
        np.testing.assert_array_equal(out, wanted)


def test_a_defect_in_a_task_is_raised_and_the_pool_lives_on():
    def bad(worker):
        raise ZeroDivisionError

    done = []
    with RenderPool(2) as pool:
        with pytest.raises(ZeroDivisionError):
            pool.run([bad, lambda worker: time.sleep(0.01)])
        pool.run([lambda worker: done.append(1)] * 3)
    assert done == [1, 1, 1]


def test_tasks_run_what_they_return_depth_first():
    order = []

    def parent(name):
        def task(worker):
            order.append(name)
            return [lambda worker: order.append(name + "1"), lambda worker: order.append(name + "2")]

        return task

    with RenderPool(1) as pool:
        pool.run([parent("a"), parent("b")])
    assert order == ["a", "a1", "a2", "b", "b1", "b2"]


def test_a_forgotten_pool_ends_its_threads():
    pool = RenderPool(2)
    pool.run([lambda worker: None])
    threads, dead = pool._state.threads, weakref.ref(pool)
    del pool
    gc.collect()
    assert dead() is None
    for thread in threads:
        thread.join(timeout=10)
    assert not any(thread.is_alive() for thread in threads)


def test_closing_releases_those_who_wait():
    pool, errors, started = RenderPool(1), [], threading.Event()

    def slow(worker):
        started.set()
        time.sleep(0.2)

    def wait():
        try:
            pool.run([slow, slow, slow])
        except RuntimeError as error:
            errors.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    started.wait(10)
    pool.close()
    waiting.join(10)
    assert errors == ["the render pool was closed while renders were waiting"]
