"""Where replications run: in this process, or on several. The results do not depend on which."""

from __future__ import annotations

import multiprocessing
import traceback
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple, Protocol

from netsim.errors import InputError
from netsim.scenario.spec import Scenario
from netsim.study.outcome import Failed, Outcome, PointRunner


class Unit(NamedTuple):
    """One replication of one point: the smallest piece of work, and of resuming."""

    point: int
    replication: int


class Job(NamedTuple):
    """A unit with what is needed to run it anywhere."""

    unit: Unit
    scenario: Scenario
    seed: int


class Executor(Protocol):
    """Runs jobs from a queue and yields outcomes as they finish.

    The consumer may append to the queue between two outcomes, and may clear it to stop early.
    """

    def run(self, runner: PointRunner, queue: deque[Job]) -> Iterator[tuple[Unit, Outcome]]:
        """Take jobs from the left of ``queue`` until it is empty and everything taken has been yielded."""
        ...


def perform(runner: PointRunner, job: Job) -> Outcome:
    """Run one job; an exception becomes an outcome, so one bad point does not take the others with it."""
    try:
        return runner(job.scenario, seed=job.seed, replication=job.unit.replication)
    except InputError as error:
        return Failed(str(error), input_error=True)
    except MemoryError:
        return Failed("out of memory")
    except Exception as error:
        return Failed(f"{type(error).__name__}: {error} ({_origin(error)})")


def _origin(error: Exception) -> str:
    """Return file and line where an exception began: enough to report a defect, and the same on every machine."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


class SerialExecutor:
    """Everything in this process, in order."""

    def run(self, runner: PointRunner, queue: deque[Job]) -> Iterator[tuple[Unit, Outcome]]:
        """Yield outcomes in the queue's order."""
        while queue:
            job = queue.popleft()
            yield job.unit, perform(runner, job)


class ProcessExecutor:
    """A pool of worker processes.

    Workers are spawned, not forked: a fork copies threads' locks, and behaves differently per platform. Two jobs a
    worker are under way at a time, so queues stay short and the consumer can stop early.

    Parameters
    ----------
    workers: processes. keep: leave them running after a queue is empty, for the next one; `close` ends them.
    """

    def __init__(self, workers: int, *, keep: bool = False) -> None:
        self.workers, self.keep = workers, keep
        self._idle: ProcessPoolExecutor | None = None

    def close(self) -> None:
        """End the workers that were kept."""
        if self._idle is not None:
            self._idle.shutdown(wait=False, cancel_futures=True)
            self._idle = None

    def run(self, runner: PointRunner, queue: deque[Job]) -> Iterator[tuple[Unit, Outcome]]:
        """Yield outcomes as they finish. A worker that dies costs its job, not the study."""
        suspects: deque[Job] = deque()
        while queue or suspects:
            if suspects:
                job = suspects.popleft()
                yield job.unit, self._alone(runner, job)
            else:
                yield from self._together(runner, queue, suspects)

    def _together(self, runner: PointRunner, queue: deque[Job], suspects: deque[Job]) -> Iterator[tuple[Unit, Outcome]]:
        """Run the queue on all workers; when the pool breaks, leave what was under way in ``suspects``."""
        pool, self._idle = self._idle or self._pool(self.workers), None
        through = False
        running: dict[Future[Outcome], Job] = {}
        try:
            while queue or running:
                while queue and len(running) < 2 * self.workers:
                    job = queue.popleft()
                    running[pool.submit(perform, runner, job)] = job
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                # a set has no order: take the finished ones in the order they were submitted
                for future in [each for each in running if each in done]:
                    outcome = future.result()
                    yield running.pop(future).unit, outcome
            through = True
        except BrokenProcessPool:
            suspects.extend(running.values())
        finally:
            if through and self.keep:
                self._idle = pool
            else:
                pool.shutdown(wait=False, cancel_futures=True)

    def _alone(self, runner: PointRunner, job: Job) -> Outcome:
        """Run a job that was under way when a worker died in a process of its own, so that the culprit is known."""
        with self._pool(1) as pool:
            try:
                return pool.submit(perform, runner, job).result()
            except BrokenProcessPool:
                return Failed("the worker process died, most likely for lack of memory")

    def _pool(self, workers: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def executor_for(workers: int, jobs: int) -> Executor:
    """Return the executor for this many workers; a pool is not worth starting for one job."""
    useful = min(workers, jobs)
    return SerialExecutor() if useful <= 1 else ProcessExecutor(useful)
