"""A function over many jobs in threads."""

import threading
import time

import pytest

from dafxvae.core.threads import map_in_threads


def test_results_come_in_the_order_of_the_jobs():
    def square(job):
        time.sleep(0.01 * (5 - job))  # the last job ends first
        return job * job

    assert list(map_in_threads(square, range(5), 5)) == [0, 1, 4, 9, 16]


def test_an_error_is_raised_and_waiting_jobs_are_dropped():
    begun, release = [], threading.Event()

    def fail(job):
        begun.append(job)
        if job == 0:
            raise ValueError("job 0")
        release.wait(10)

    results = map_in_threads(fail, range(50), 2)
    threading.Timer(0.2, release.set).start()
    with pytest.raises(ValueError, match="job 0"):
        list(results)
    assert len(begun) < 50
