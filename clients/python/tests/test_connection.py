from __future__ import annotations

import datetime
from pathlib import Path

import grpc
import pytest
from conftest import Eventually
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from scripted_server import ScriptedServer, begin, slot, synced
from test_open import opened
from test_unary import value_response

import secretslots
from secretslots import SlotsError
from secretslots._address import Address, parse_address


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        ("localhost:1", Address("dns:localhost:1", True)),
        ("127.9.0.1:65535", Address("dns:127.9.0.1:65535", True)),
        ("[::1]:80", Address("ipv6:[::1]:80", True)),
        ("[2001:db8::1]:80", Address("ipv6:[2001:db8::1]:80", False)),
        ("secrets.example:50051", Address("dns:secrets.example:50051", False)),
        ("unix:/run/slots.sock", Address("unix:/run/slots.sock", True)),
    ],
)
def test_addresses(address: str, parsed: Address) -> None:
    assert parse_address(address) == parsed


@pytest.mark.parametrize(
    "address", ["", "a", "a:", "a:0", "a:65536", "::1:80", "http://a:1", "a:1/b", "unix:", "a:1\n"]
)
def test_ill_formed_addresses(address: str) -> None:
    with pytest.raises(SlotsError, match="INVALID_ARGUMENT"):
        parse_address(address)


def test_a_token_stays_off_the_open_wire() -> None:
    with pytest.raises(SlotsError) as refused:
        secretslots.connect("secrets.example:1", token="tok")
    assert refused.value.reason == "PLAINTEXT_REFUSED"
    secretslots.connect("secrets.example:1", token="tok", allow_plaintext=True).close()
    secretslots.connect("secrets.example:1", token="tok", tls=True).close()
    secretslots.connect("secrets.example:1").close()


def test_options_that_contradict() -> None:
    for options in ({"token": "a", "token_file": "b"}, {"cert": "a"}, {"timeout": 0}, {"max_attempts": -1}):
        with pytest.raises(SlotsError, match="INVALID_ARGUMENT"):
            secretslots.connect("localhost:1", **options)


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "é"])
def test_a_token_that_is_none_is_not_shown(token: str) -> None:
    with pytest.raises(SlotsError) as refused:
        secretslots.connect("localhost:1", token=token)
    assert refused.value.reason == "TOKEN_UNREADABLE"
    assert not token or token not in str(refused.value)


def test_a_token_file_that_is_not_there(server: ScriptedServer, tmp_path: Path) -> None:
    with secretslots.connect(server.address, token_file=tmp_path / "none") as client:
        for call in (lambda: client.get_secret("a"), lambda: client.open(["a"])):
            with pytest.raises(SlotsError) as refused:
                call()
            assert (refused.value.code, refused.value.reason) == ("UNAUTHENTICATED", "TOKEN_UNREADABLE")


def test_a_token_callback_is_asked_each_time(server: ScriptedServer) -> None:
    tokens = iter(["one", "two"])
    server.answer = lambda *_: value_response()
    with secretslots.connect(server.address, token=lambda: next(tokens)) as client:
        client.get_secret("a")
        client.get_secret("a")
    assert [call[2] for call in server.calls] == ["Bearer one", "Bearer two"]


def test_a_unix_socket(tmp_path: Path) -> None:
    server = ScriptedServer(f"unix:{tmp_path}/slots.sock")
    server.answer = lambda *_: value_response()
    with secretslots.connect(server.address, token="tok") as client:
        assert client.get_secret("a").slot == 3
    assert server.calls[0][2] == "Bearer tok"
    server.stop()


class Identity:
    """A self-signed certificate for slots.test, and its key."""

    def __init__(self, subject: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("slots.test")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.cert = certificate.public_bytes(serialization.Encoding.PEM)
        self.key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def credentials(self, clients: bytes) -> grpc.ServerCredentials:
        return grpc.ssl_server_credentials([(self.key, self.cert)], clients, require_client_auth=True)


def test_mutual_tls_is_reloaded_and_damaged_files_are_not(
    tmp_path: Path, eventually: Eventually, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("secretslots._connection._TLS_CHECK", 0.0)
    first, second = Identity("first"), Identity("second")
    ca, cert, key = tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem"

    def write(identity: Identity) -> None:
        ca.write_bytes(identity.cert)
        cert.write_bytes(identity.cert)
        key.write_bytes(identity.key)

    write(first)
    server = ScriptedServer(credentials=first.credentials(first.cert))
    server.answer = lambda *_: value_response()
    with secretslots.connect(server.address, ca=ca, cert=cert, key=key, server_name="slots.test") as client:
        secrets, stream = opened(client, server, begin("a"), slot("a", 0, "x", 1), synced(1))

        # A key that does not fit: the last good files stay.
        key.write_bytes(second.key)
        client.get_secret("a")
        assert "the last good ones stay in use" in caplog.text

        # Other content: calls move to a new channel, and the stream goes on over the old one.
        key.write_bytes(first.key)
        ca.write_bytes(first.cert + second.cert)
        client.get_secret("a")
        stream.send(slot("a", 1, "y", 2), synced(2))
        eventually(lambda: secrets["a"].current().value.text() == "y")

        # The server comes back with another identity that trusts another client.
        server.stop()
        write(second)
        back = ScriptedServer(server.address, second.credentials(second.cert))
        back.next_stream().send(slot("a", 2, "z", 3), synced(3))
        eventually(lambda: secrets["a"].current().value.text() == "z")
    back.stop()


def test_tls_files_that_never_loaded(tmp_path: Path) -> None:
    with (
        secretslots.connect("localhost:1", ca=tmp_path / "none") as client,
        pytest.raises(SlotsError, match="TLS_UNREADABLE"),
    ):
        client.get_secret("a")
