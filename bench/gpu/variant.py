"""One training of `gpu_training.py`, in a process of its own.

    cd bench && python -m gpu.variant JOB.json RESULT.json

So none finds memory, kernels or an accelerator's state that another has left, and one that fails
takes no other with it.

Both loops get the same network, drawn from the same seed, the same optimiser and schedule, and the
same micro-batches in the same order; both draw dropout from generators seeded before the first
update. In fp32 their losses are therefore the same up to rounding, which shows that the comparison
is one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gpu.job import Job
from gpu.ours import run_ours
from gpu.trainer import run_trainer

if __name__ == "__main__":
    given = Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    found = run_trainer(given) if given.framework == "trainer" else run_ours(given)
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")
