from __future__ import annotations

import json
import sys

from driver.ops import OPS
from driver.session import Json, Session
from secretslots import SlotsError


def answer(session: Session, request: Json) -> Json:
    op = OPS.get(request["op"])
    try:
        if op is None:
            raise SlotsError("UNIMPLEMENTED", f"there is no op {request['op']}")
        return {"id": request["id"], "ok": True, **op(session, request)}
    except Exception as error:
        known = error if isinstance(error, SlotsError) else SlotsError("INTERNAL", f"{type(error).__name__}: {error}")
        told = {
            "code": known.code,
            "reason": known.reason,
            "message": known.message,
            "metadata": dict(known.metadata),
        }
        return {"id": request["id"], "ok": False, "error": told}


def main() -> None:
    session = Session()
    for line in sys.stdin:
        print(json.dumps(answer(session, json.loads(line))), flush=True)
    session.close()


main()
