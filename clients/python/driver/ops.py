from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import secretslots
from driver.bench import bench
from driver.hammer import Hammer
from driver.printed import printed_forms
from driver.resource import Resource
from driver.session import Json, Session, decoded, encoded, number, seconds, version
from secretslots import SecretHandle, SecretInfo, SecretState, SlotInfo, SlotsError
from secretslots.testing import FakeSecrets, fake

Op = Callable[[Session, Json], Json]


def hello(_: Session, __: Json) -> Json:
    return {"lang": "python", "version": secretslots.__version__}


# The client and its unary calls.


def connect(session: Session, r: Json) -> Json:
    options: dict[str, Any] = {key: r[key] for key in ("token", "ca", "cert", "key") if key in r}
    if "tokenFile" in r:
        options["token_file"] = r["tokenFile"]
    if "maxAttempts" in r:
        options["max_attempts"] = int(r["maxAttempts"])
    allow = r.get("allowPlaintext", False)
    session.clients[r["client"]] = secretslots.connect(
        r["address"], allow_plaintext=allow, **options, **seconds(r, "timeoutMs")
    )
    return {}


def get(session: Session, r: Json) -> Json:
    return version(session.clients[r["client"]].get_secret(r["name"]))


def at(session: Session, r: Json) -> Json:
    found = session.clients[r["client"]].get_effective_at(r["name"], number(r, "at"))
    return {**version(found), "at": str(found.at)}


def put(session: Session, r: Json) -> Json:
    done = session.clients[r["client"]].put_slot(
        r["name"],
        decoded(r["value"]) if "value" in r else None,
        slot=number(r, "slot"),
        auto_slot=r.get("autoSlot"),
        overwrite=r.get("overwrite", False),
        expected_revision=number(r, "expectedRevision"),
        request_id=r.get("requestId"),
        initial_state=r.get("initialState"),
    )
    return {
        "slot": str(done.slot),
        "state": done.state,
        "revision": str(done.revision),
        "created": done.created,
        "currentSlot": None if done.current_slot is None else str(done.current_slot),
        "epoch": done.epoch,
    }


def change_slot(method: str) -> Op:
    def change(session: Session, r: Json) -> Json:
        call = getattr(session.clients[r["client"]], method)
        done = call(r["name"], number(r, "slot"), etag=r.get("etag", ""), request_id=r.get("requestId"))
        return {"slot": str(done.slot.slot), "state": done.slot.state, "revision": str(done.revision)}

    return change


def delete(session: Session, r: Json) -> Json:
    client = session.clients[r["client"]]
    done = client.delete_secret(r["name"], etag=r.get("etag", ""), request_id=r.get("requestId"))
    return {"revision": str(done.revision)}


def _info(info: SecretInfo) -> Json:
    return {
        "name": info.name,
        "comment": info.comment,
        "labels": dict(info.labels),
        "etag": info.etag,
        "revision": str(info.revision),
        "slotCount": str(info.slot_count),
        "enabledCount": str(info.enabled_count),
        "currentSlot": None if info.current_slot is None else str(info.current_slot),
    }


def describe(session: Session, r: Json) -> Json:
    return _info(session.clients[r["client"]].describe_secret(r["name"]))


def update(session: Session, r: Json) -> Json:
    return _info(
        session.clients[r["client"]].update_secret(
            r["name"],
            comment=r.get("comment"),
            labels=r.get("labels"),
            etag=r.get("etag", ""),
            request_id=r.get("requestId"),
        )
    )


def list_(session: Session, r: Json) -> Json:
    found = session.clients[r["client"]].list_secrets(r.get("prefix", ""), page_size=number(r, "pageSize") or 0)
    return {"names": [info.name for info in found]}


def list_slots(session: Session, r: Json) -> Json:
    def slot(info: SlotInfo) -> Json:
        return {
            "slot": str(info.slot),
            "state": info.state,
            "revision": str(info.revision),
            "size": str(info.size),
        }

    found = session.clients[r["client"]].list_slots(r["name"], page_size=number(r, "pageSize") or 0)
    return {"slots": [slot(info) for info in found]}


def info(session: Session, r: Json) -> Json:
    found = session.clients[r["client"]].get_server_info()
    return {"version": found.version, "epoch": found.epoch, "revision": str(found.revision)}


def close_client(session: Session, r: Json) -> Json:
    session.clients[r["client"]].close()
    return {}


# Sets and handles.


def open_(session: Session, r: Json) -> Json:
    options = {"view": r["view"]} if "view" in r else {}
    opened = session.clients[r["client"]].open(
        r["names"],
        cache_path=r.get("cachePath"),
        cache_key=decoded(r["cacheKey"]) if "cacheKey" in r else None,
        **options,
        **seconds(r, "timeoutMs"),
    )
    session.keep(r["set"], opened, (number(r, "callbackDelayMs") or 0) / 1000)
    return {}


def fake_open(session: Session, r: Json) -> Json:
    values = {
        name: {int(slot): decoded(value) for slot, value in slots.items()} for name, slots in r["secrets"].items()
    }
    session.keep(r["set"], fake(values))
    return {}


def fake_rotate(session: Session, r: Json) -> Json:
    one = session.sets[r["set"]]
    assert isinstance(one, FakeSecrets)
    one.rotate(r["name"], decoded(r["value"]), number(r, "slot"))
    return {}


def _handle(session: Session, r: Json) -> SecretHandle:
    return session.sets[r["set"]].handle(r["name"])


def current(session: Session, r: Json) -> Json:
    return version(_handle(session, r).current())


def effective_at(session: Session, r: Json) -> Json:
    return version(_handle(session, r).effective_at(int(r["at"])))


def acceptable(session: Session, r: Json) -> Json:
    found = _handle(session, r).acceptable(int(r["t"]), int(r["overlap"]))
    return {"slots": [str(one.slot) for one in found], "values": [encoded(one.value.bytes()) for one in found]}


def age(session: Session, r: Json) -> Json:
    seconds_ = session.sets[r["set"]].age()
    return {"ageMs": None if seconds_ is None else str(int(seconds_ * 1000))}


def stale(session: Session, r: Json) -> Json:
    return {"stale": session.sets[r["set"]].stale()}


def wait_for(session: Session, r: Json) -> Json:
    begun = time.monotonic()
    one = session.sets[r["set"]]
    while True:
        state = one.handle(r["name"]).state() if "name" in r else None
        if (state is None or _fits(state, r)) and one.stale() == r.get("stale", one.stale()):
            return {"waitedMs": str(int((time.monotonic() - begun) * 1000))}
        if time.monotonic() - begun > int(r["boundMs"]) / 1000:
            what = f"{state}, slot {state.top.slot if state and state.top else 'none'}, stale {one.stale()}"
            raise SlotsError("DEADLINE_EXCEEDED", f"it is {what}", reason="WAIT_TIMEOUT")
        time.sleep(0.005)


def _fits(state: SecretState, r: Json) -> bool:
    top = state.top
    wanted: dict[str, Callable[[], bool]] = {
        "value": lambda: top is not None and top.value.equals(decoded(r["value"])),
        "slot": lambda: top is not None and top.slot == int(r["slot"]),
        "revision": lambda: state.revision >= int(r["revision"]),
        "absent": lambda: state.absent == r["absent"],
        "failed": lambda: state.failed,
    }
    return all(holds() for member, holds in wanted.items() if member in r)


def changes(session: Session, r: Json) -> Json:
    def told(change: secretslots.SecretChange) -> Json:
        state, top = change.current, change.current.top
        return {
            "revision": str(state.revision),
            "epoch": state.epoch,
            "slot": None if top is None else str(top.slot),
            "value": None if top is None else encoded(top.value.bytes()),
            "absent": state.absent or "",
            "currentChanged": change.current_changed,
        }

    return {"changes": [told(change) for change in list(session.changes[r["set"], r["name"]])]}


def derive(session: Session, r: Json) -> Json:
    book = Resource.Book(decoded(r["failOn"]) if "failOn" in r else None)
    derived = _handle(session, r).derived(lambda found: Resource(book, found), Resource.close)
    session.derived[r["derived"]] = (derived, book)
    return {"value": encoded(derived.get().value)}


def derived_get(session: Session, r: Json) -> Json:
    derived, book = session.derived[r["derived"]]
    if book.faults:
        raise RuntimeError(", ".join(book.faults))
    return {
        "value": encoded(derived.get().value),
        "builds": str(book.builds),
        "closed": [encoded(value) for value in book.closed],
    }


def repr_(session: Session, r: Json) -> Json:
    one = session.sets[r["set"]]
    handle = one.handle(r["name"])
    found = handle.current()
    holders: list[Any] = [found.value, found, handle.state(), handle.state().records, handle.state().slots, handle, one]
    holders += [session.clients[r["client"]]] if r.get("client") in session.clients else []
    return {"texts": [text for holder in holders for text in printed_forms(holder)]}


def bench_(session: Session, r: Json) -> Json:
    current_ns, effective_at_ns = bench(_handle(session, r), number(r, "ms") or 500)
    return {"currentNs": f"{current_ns:.1f}", "effectiveAtNs": f"{effective_at_ns:.1f}"}


def hammer_start(session: Session, r: Json) -> Json:
    session.hammers[r["set"]] = Hammer(session.sets[r["set"]], r["names"], int(r["perSecond"]))
    return {}


def hammer_stop(session: Session, r: Json) -> Json:
    hammer = session.hammers.pop(r["set"])
    hammer.close()
    return {
        "reads": str(hammer.reads),
        "failures": str(hammer.failures),
        "backwards": str(hammer.backwards),
        "firstFailure": hammer.first_failure,
    }


def close_set(session: Session, r: Json) -> Json:
    session.sets[r["set"]].close()
    return {}


OPS: dict[str, Op] = {
    "hello": hello,
    "connect": connect,
    "get": get,
    "at": at,
    "put": put,
    "disable": change_slot("disable_slot"),
    "enable": change_slot("enable_slot"),
    "destroy": change_slot("destroy_slot"),
    "delete": delete,
    "describe": describe,
    "update": update,
    "list": list_,
    "listSlots": list_slots,
    "info": info,
    "open": open_,
    "fakeOpen": fake_open,
    "fakeRotate": fake_rotate,
    "current": current,
    "effectiveAt": effective_at,
    "acceptable": acceptable,
    "age": age,
    "stale": stale,
    "waitFor": wait_for,
    "changes": changes,
    "derive": derive,
    "derivedGet": derived_get,
    "repr": repr_,
    "bench": bench_,
    "hammerStart": hammer_start,
    "hammerStop": hammer_stop,
    "closeSet": close_set,
    "closeClient": close_client,
}
