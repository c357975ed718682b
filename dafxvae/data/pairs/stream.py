"""A resumable dataset of training pairs: element i is the batch of step i, for any number of workers."""

import threading
from typing import Any, Protocol, Self

from dafxvae.core.errors import UserError
from dafxvae.core.resource import Closable
from dafxvae.data.corpora.tracks import Corpus, PcmCache
from dafxvae.data.pairs.bank import Bank
from dafxvae.data.pairs.draws import PairMaker, PairOptions, make_cutter
from dafxvae.data.pairs.fixed import fixed_pairs
from dafxvae.data.pairs.shares import WHOLE, ProcessShare
from dafxvae.types import PairBatch

__all__ = ["BatchSource", "PairIterator", "PairOptions", "PairStream", "fixed_pairs", "iterate", "make_pairs"]

MAX_STEPS = 1 << 40


class BatchSource(Protocol):
    """Batches by step; `PairStream` renders them, `dafxvae.data.pairs.prerendered` reads them."""

    def __len__(self) -> int: ...

    def __getitem__(self, step: int) -> Any: ...  # PairBatch, or EncodedBatch

    @property
    def counts(self) -> dict[str, int]: ...


class PairStream:
    """Batches of pairs, rendered on access; `pairs[i]` is a pure function of (seed, stream, i)."""

    def __init__(self, maker: PairMaker, batch_size: int, share: ProcessShare = WHOLE):
        self.maker, self.batch_size, self._share = maker, batch_size, share

    def __len__(self) -> int:
        return MAX_STEPS

    def __getitem__(self, step: int) -> PairBatch:
        return self.maker.make(self._share.items(step, self.batch_size))[0]

    @property
    def counts(self) -> dict[str, int]:
        """Pairs made so far, draws drawn again by reason, and pairs kept though the last attempt failed too."""
        return self.maker.counts


def make_pairs(
    corpus: Corpus,
    bank: Bank,
    *,
    clip_samples: int,
    batch_size: int,
    seed: int,
    stream: str,
    mode: str = "other_file",
    options: PairOptions | None = None,
    cache: PcmCache | None = None,
    share: ProcessShare = WHOLE,
) -> PairStream:
    """Training pairs of a corpus and a bank of effects.

    The input and the reference are two clips that are not silent, each at a random level; both go through one draw of
    settings, which gives the target and the reference. The target is `bank.render(dry, effect, unit_params)`: a model
    that predicts the true settings has a loss of exactly zero.

    Args:
        corpus: a split of a corpus.
        bank: the effects.
        clip_samples: T.
        batch_size: B.
        seed: of the run.
        stream: name of the stream, e.g. "train"; streams are independent.
        mode: how the reference's recording relates to the input's: "same_clip", "other_section", "other_file".
        options: shares, levels and thresholds.
        cache: decoded files, to be shared between streams.
        share: the part of every batch that is made here.

    Returns:
        Batches by index; see `iterate` for reading ahead.
    """
    if batch_size < 1:
        raise UserError(f"batch_size must be positive, got {batch_size}")
    options = options or PairOptions()
    cutter = make_cutter(corpus, clip_samples, options, cache)
    return PairStream(PairMaker(cutter, bank, seed=seed, stream=stream, mode=mode, options=options), batch_size, share)


class _Counted:
    """A source that counts the elements being made, so that closing can wait for them."""

    def __init__(self, pairs: BatchSource):
        self._pairs = pairs
        self._idle = threading.Condition()
        self._busy = 0

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> PairBatch:
        with self._idle:
            self._busy += 1
        try:
            return self._pairs[index]
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def wait(self) -> None:
        with self._idle:
            self._idle.wait_for(lambda: self._busy == 0)


class PairIterator(Closable):
    """Batches in order, made ahead in background threads; its state is the next step."""

    def __init__(self, pairs: BatchSource, start_step: int, prefetch: int):
        import grain  # imports jax: only when batches are wanted

        self._source = _Counted(pairs)
        self._iterator: Any = iter(
            grain.MapDataset.source(self._source).to_iter_dataset(
                grain.ReadOptions(num_threads=min(2, prefetch), prefetch_buffer_size=prefetch)
            )
        )
        if start_step:
            self._iterator.set_state({"next_index": start_step})

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> PairBatch:
        return next(self._iterator)

    def get_state(self) -> dict[str, int]:
        """The step of the next batch, as plain JSON for a checkpoint."""
        return dict(self._iterator.get_state())

    def set_state(self, state: dict[str, int]) -> None:
        """Continue from a state of `get_state`, with the batch that came next there."""
        self._iterator.set_state(state)

    def close(self) -> None:
        """Stop reading ahead and wait for the batches in work; the bank may be closed after that."""
        self._iterator.close()
        self._source.wait()


def iterate(pairs: BatchSource, start_step: int = 0, prefetch: int = 4) -> PairIterator:
    """Reads batches in order, making up to `prefetch` of them ahead in background threads.

    Args:
        pairs: from `make_pairs`, or pre-rendered.
        start_step: the first step; a resumed run gives its step, or calls `set_state`.
        prefetch: batches made ahead; 0 makes each when it is asked for.

    Returns:
        An iterator with `get_state`, `set_state` and `close`; also a context manager.
    """
    if start_step < 0 or prefetch < 0:
        raise UserError(f"start_step and prefetch must not be negative, got {start_step} and {prefetch}")
    return PairIterator(pairs, start_step, prefetch)
