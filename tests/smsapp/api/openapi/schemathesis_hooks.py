"""For schemathesis, which imports this module by its name."""

import json
import os
from typing import Any

import schemathesis

#: Ids of things that are there, by their names in addresses.
MADE: dict[str, str] = json.loads(os.environ["CONTRACT_MADE"])


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Where a call shall succeed, it is about something that is there, and goes without a cursor.

    Cursors are sealed: one that was made up is refused, as tests/smsapp/api/test_pagination.py shows, and that refusal
    would be all that is seen of a list. In chains of calls schemathesis takes the ids of answers.
    """
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.query:
        case.query.pop("cursor", None)
    if case.meta.phase.name.value != "stateful" and case.method != "DELETE":
        for name in set(case.path_parameters or ()) & set(MADE):
            case.path_parameters[name] = MADE[name]
