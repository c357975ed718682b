"""Programs that are compiled sooner: a transfer calls them some fifty times, so that compiling them is most of it."""

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

import jax

# Fusions as plain loops, and LLVM's first level of optimisation: f compiles in half of the processor time, runs as
# fast, and gives the same encodings within 1e-6.
OPTIONS = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 1}


@lru_cache(maxsize=1)
def compiler_options() -> dict[str, int] | None:
    """Options for the device at hand; None where it is no CPU, or where this version of XLA has none of the name."""
    if jax.default_backend() != "cpu":
        return None
    try:
        jax.jit(lambda x: x, compiler_options=OPTIONS).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return None
    return OPTIONS


class QuickProgram:
    """A function as `jax.jit` compiles it, with `compiler_options`."""

    def __init__(self, function: Callable[..., Any], **static: Any) -> None:
        """Takes the function and what of it is static, as `jax.jit` does; compiles nothing yet."""
        self._function, self._static = function, static

    @cached_property
    def program(self) -> Any:
        """The function of `jax.jit`."""
        return jax.jit(self._function, compiler_options=compiler_options(), **self._static)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.program(*arguments, **named)
