from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from scripted_server import Refusal, ScriptedServer

import secretslots
from secretslots import SlotsError
from secretslots._version import crc32c
from secretslots_stubs.v1 import secret_service_pb2 as pb


def value_response(name: str = "a", slot: int = 3, value: bytes = b"x", **more: Any) -> pb.GetSecretResponse:
    response = pb.GetSecretResponse(name=name, slot=slot, value=value, crc32c=crc32c(value), revision=7, epoch="e")
    response.create_time.FromNanoseconds(1_790_000_000_250_000_000)
    response.MergeFrom(pb.GetSecretResponse(**more))
    return response


def test_get(client: secretslots.Client, server: ScriptedServer) -> None:
    server.answer = lambda _, request: value_response(request.name)
    found = client.get_secret("a")
    assert (found.name, found.slot, found.value.text(), found.revision, found.epoch) == ("a", 3, "x", 7, "e")
    assert found.create_time is not None
    assert found.create_time.isoformat() == "2026-09-21T14:13:20.250000+00:00"
    assert server.calls[0][2] == "Bearer tok"


def test_a_value_that_does_not_match_its_checksum(client: secretslots.Client, server: ScriptedServer) -> None:
    server.answer = lambda *_: value_response(crc32c=1)
    with pytest.raises(SlotsError) as refused:
        client.get_secret("a")
    assert (refused.value.code, refused.value.reason) == ("DATA_LOSS", "DATA_LOSS")


def test_put_sends_a_checksum_and_the_same_request_id_each_time(
    client: secretslots.Client, server: ScriptedServer
) -> None:
    seen: list[pb.PutSlotRequest] = []

    def answer(_: str, request: pb.PutSlotRequest) -> pb.PutSlotResponse:
        seen.append(request)
        if len(seen) < 3:
            raise Refusal(grpc.StatusCode.UNAVAILABLE, "STORE_BUSY")
        return pb.PutSlotResponse(name="a", slot=request.slot, state=pb.SLOT_STATE_ENABLED, revision=9, created=True)

    server.answer = answer
    done = client.put_slot("a", "", slot=2**63 - 1)
    assert (done.slot, done.state, done.current_slot) == (2**63 - 1, "ENABLED", None)
    assert len({request.request_id for request in seen}) == 1
    assert len(seen[0].request_id) == 32
    assert (seen[0].HasField("value"), seen[0].HasField("crc32c"), seen[0].crc32c) == (True, True, 0)


@pytest.mark.parametrize("slot", [-1, 2**63, 1.5])
def test_numbers_are_checked_before_anything_is_sent(
    client: secretslots.Client, server: ScriptedServer, slot: int
) -> None:
    for call in (client.disable_slot, client.enable_slot, client.destroy_slot, client.get_effective_at):
        with pytest.raises(SlotsError) as refused:
            call("a", slot)
        assert refused.value.code == "INVALID_ARGUMENT"
    assert server.calls == []


def test_only_unavailable_is_tried_again_and_errors_are_typed(
    client: secretslots.Client, server: ScriptedServer
) -> None:
    def answer(*_: Any) -> Any:
        raise Refusal(grpc.StatusCode.INTERNAL, "BROKEN")

    server.answer = answer
    with pytest.raises(SlotsError) as refused:
        client.get_secret("a")
    error = refused.value
    assert (error.code, error.reason, error.metadata, len(server.calls)) == ("INTERNAL", "BROKEN", {"name": "n"}, 1)


def test_attempts_are_counted(client: secretslots.Client, server: ScriptedServer) -> None:
    def answer(*_: Any) -> Any:
        raise Refusal(grpc.StatusCode.UNAVAILABLE, "DRAINING")

    server.answer = answer
    with pytest.raises(SlotsError, match="DRAINING"):
        client.get_secret("a", timeout=20)
    assert len(server.calls) == 5


def test_a_wait_past_the_deadline_is_not_begun(client: secretslots.Client, server: ScriptedServer) -> None:
    def answer(*_: Any) -> Any:
        raise Refusal(grpc.StatusCode.UNAVAILABLE, "STORE_BUSY", retry_after=30)

    server.answer = answer
    with pytest.raises(SlotsError) as refused:
        client.get_secret("a", timeout=20)
    assert (refused.value.reason, refused.value.retry_delay, len(server.calls)) == ("STORE_BUSY", 30.0, 1)


def test_the_deadline(client: secretslots.Client, server: ScriptedServer) -> None:
    server.answer = lambda *_: time.sleep(0.5)
    with pytest.raises(SlotsError) as refused:
        client.get_secret("a", timeout=0.05)
    assert refused.value.code == "DEADLINE_EXCEEDED"


def test_a_changed_token_is_tried_once(server: ScriptedServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one\n")

    def answer(*_: Any) -> Any:
        if server.calls[-1][2] == "Bearer two":
            return value_response()
        token.write_text("two")
        raise Refusal(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN")

    server.answer = answer
    with secretslots.connect(server.address, token_file=token) as client:
        assert client.get_secret("a").slot == 3
        token.write_text("")  # the last good one stays
        assert client.get_secret("a").slot == 3
    assert [call[2] for call in server.calls] == ["Bearer one", "Bearer two", "Bearer two"]


def test_lists_go_over_all_pages(client: secretslots.Client, server: ScriptedServer) -> None:
    def answer(_: str, request: pb.ListSecretsRequest) -> pb.ListSecretsResponse:
        at = int(request.page_token or 0)
        more = str(at + 1) if at < 2 else ""
        return pb.ListSecretsResponse(secrets=[pb.SecretMetadata(name=f"a{at}")], next_page_token=more)

    server.answer = answer
    assert [info.name for info in client.list_secrets("a", page_size=1)] == ["a0", "a1", "a2"]


def test_update_masks_what_is_given(client: secretslots.Client, server: ScriptedServer) -> None:
    server.answer = lambda _, request: pb.UpdateSecretResponse(name=request.name, labels=request.labels)
    assert client.update_secret("a", labels={"k": "v"}).labels == {"k": "v"}
    assert list(server.calls[0][1].update_mask.paths) == ["labels"]


def test_a_closed_client(client: secretslots.Client) -> None:
    client.close()
    for call in (lambda: client.get_secret("a"), lambda: client.open(["a"])):
        with pytest.raises(SlotsError) as refused:
            call()
        assert (refused.value.code, refused.value.reason) == ("CANCELLED", "CLIENT_CLOSED")
