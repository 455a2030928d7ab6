"""An executor in the process of the command, for tests of many short commands: no worker is started."""

from dataclasses import dataclass
from typing import Any

from t5grid.config.contracts import NO_CHECKS, Checks
from t5grid.execution.local import Local
from t5grid.execution.outcome import Outcome
from t5grid.execution.run_stage import work_on


@dataclass(frozen=True)
class Inline(Local):
    """Runs a stage after the other, each where the command is."""

    def run(self, stages: list[Any], store: Any, runtime: Any, checks: Checks = NO_CHECKS) -> Outcome:
        done = {identity for identity, state in store.states(stages).items() if state == "done"}
        outcome = Outcome(done_before=[stage for stage in stages if stage.identity in done])
        for stage in (stage for stage in stages if stage.identity not in done):
            result = work_on(stage, store, runtime, 1)
            assert result.word == "done", f"{stage.identity}: {result.word}: {result.reason}"
            outcome.ran.append(stage)
            if stage.identity in checks:
                checks[stage.identity]()
        return outcome
