"""The same client for asyncio programs.

Reading a handle is in memory and never waits, so it is as in the synchronous client. What does wait is awaited here and
runs on the loop's default threads meanwhile: one implementation of the stream and its rules, and no second grpc loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

from ._arguments import View
from ._client import Client
from ._connection import ConnectOptions
from ._derived import Derived
from ._handle import SecretChange, SecretHandle
from ._results import Page, SecretInfo, SlotInfo
from ._secrets import Secrets
from ._tls import PathLike
from ._version import SecretVersion

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AsyncChanges", "AsyncClient", "AsyncDerived", "AsyncHandle", "AsyncSecrets", "connect", "open"]

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def _awaited(
    method: Callable[Concatenate[Client, P], R],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, R]]:
    @functools.wraps(method)
    async def call(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(method, self._client, *args, **kwargs)

    return call


class AsyncClient:
    """Client with coroutines; made by ``connect``. Arguments and errors are Client's."""

    def __init__(self, client: Client) -> None:
        self._client = client

    get_secret = _awaited(Client.get_secret)
    get_effective_at = _awaited(Client.get_effective_at)
    put_slot = _awaited(Client.put_slot)
    describe_secret = _awaited(Client.describe_secret)
    update_secret = _awaited(Client.update_secret)
    list_secrets_page = _awaited(Client.list_secrets_page)
    list_slots_page = _awaited(Client.list_slots_page)
    disable_slot = _awaited(Client.disable_slot)
    enable_slot = _awaited(Client.enable_slot)
    destroy_slot = _awaited(Client.destroy_slot)
    delete_secret = _awaited(Client.delete_secret)
    get_server_info = _awaited(Client.get_server_info)
    close = _awaited(Client.close)

    def list_secrets(self, prefix: str = "", *, page_size: int = 0) -> AsyncIterator[SecretInfo]:
        """All secrets whose names begin with ``prefix``, page after page."""
        return _all_pages(lambda token: self.list_secrets_page(prefix, page_size=page_size, page_token=token))

    def list_slots(self, name: str, *, page_size: int = 0) -> AsyncIterator[SlotInfo]:
        """All slots of a secret, page after page."""
        return _all_pages(lambda token: self.list_slots_page(name, page_size=page_size, page_token=token))

    async def open(
        self,
        names: Iterable[str],
        *,
        timeout: float = 10.0,
        view: View = "ALL_ENABLED",
        cache_path: PathLike | None = None,
        cache_key: bytes | None = None,
    ) -> AsyncSecrets:
        """Handles for the names, over one stream, as Client.open."""
        call = functools.partial(
            self._client.open, names, timeout=timeout, view=view, cache_path=cache_path, cache_key=cache_key
        )
        return AsyncSecrets(await _opened(call))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncSecrets:
    """The handles that share one stream; takes a ``secretslots.testing.fake`` as well."""

    def __init__(self, secrets: Secrets) -> None:
        self.age = secrets.age
        self.stale = secrets.stale
        self._secrets = secrets

    def handle(self, name: str) -> AsyncHandle:
        """The handle of a name declared at open."""
        return AsyncHandle(self._secrets.handle(name))

    def __getitem__(self, name: str) -> AsyncHandle:
        return self.handle(name)

    async def close(self) -> None:
        """Ends the stream, the iterations and what was derived. Handles go on answering."""
        await asyncio.to_thread(self._secrets.close)

    async def __aenter__(self) -> AsyncSecrets:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncHandle:
    """SecretHandle for asyncio: the same reads, which never wait, and changes to iterate over."""

    def __init__(self, handle: SecretHandle) -> None:
        self.name = handle.name
        self.current = handle.current
        self.effective_at = handle.effective_at
        self.acceptable = handle.acceptable
        self.state = handle.state
        self._handle = handle

    def changes(self) -> AsyncChanges:
        """The applied changes from now on, in order; ends with the set."""
        waiting = _Queue(asyncio.get_running_loop())
        return AsyncChanges(waiting, self._handle._subscribe(waiting))

    async def derived(
        self,
        build: Callable[[SecretVersion], Awaitable[T]],
        close: Callable[[T], Awaitable[object]] | None = None,
    ) -> AsyncDerived[T]:
        """SecretHandle.derived with coroutines, which run on this loop."""
        loop = asyncio.get_running_loop()

        def on_loop(call: Callable[[A], Awaitable[R]], argument: A) -> R:
            async def run() -> R:
                return await call(argument)

            coroutine = run()
            try:
                return asyncio.run_coroutine_threadsafe(coroutine, loop).result()
            finally:
                coroutine.close()  # when the loop is closed, it never ran

        derived = await asyncio.to_thread(
            self._handle.derived,
            functools.partial(on_loop, build),
            None if close is None else functools.partial(on_loop, close),
        )
        return AsyncDerived(derived)


class AsyncDerived(Generic[T]):
    """A resource that follows a secret: there is always one that works."""

    def __init__(self, derived: Derived[T]) -> None:
        self.get = derived.get
        self._derived = derived

    async def close(self) -> None:
        """Ends following and closes the resource."""
        await asyncio.to_thread(self._derived.close)

    async def __aenter__(self) -> AsyncDerived[T]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Queue:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.changes: asyncio.Queue[SecretChange | None] = asyncio.Queue()

    def deliver(self, change: SecretChange | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self.changes.put_nowait, change)

    def end(self) -> None:
        self.deliver(None)


class AsyncChanges(AsyncIterator[SecretChange]):
    """The changes of one secret as they are applied."""

    def __init__(self, waiting: _Queue, unsubscribe: Callable[[], None]) -> None:
        self._waiting = waiting
        self._unsubscribe = unsubscribe

    def close(self) -> None:
        """Ends the iteration."""
        self._unsubscribe()

    async def __anext__(self) -> SecretChange:
        change = await self._waiting.changes.get()
        if change is None:
            self._waiting.changes.put_nowait(None)  # whoever asks again is told again
            raise StopAsyncIteration
        return change

    def __del__(self) -> None:
        # A loop that was left must not leave a queue that grows.
        self._unsubscribe()


def connect(
    address: str, *, timeout: float = 5.0, max_attempts: int = 5, **options: Unpack[ConnectOptions]
) -> AsyncClient:
    """``secretslots.connect`` for asyncio; nothing is sent before the first call."""
    return AsyncClient(Client(address, timeout=timeout, max_attempts=max_attempts, **options))


async def open(
    address: str,
    names: Iterable[str],
    *,
    timeout: float = 10.0,
    view: View = "ALL_ENABLED",
    cache_path: PathLike | None = None,
    cache_key: bytes | None = None,
    **options: Unpack[ConnectOptions],
) -> AsyncSecrets:
    """``connect`` and ``AsyncClient.open`` in one call; closing the set closes the client."""
    client = Client(address, **options)
    call = functools.partial(client.open, names, timeout=timeout, view=view, cache_path=cache_path, cache_key=cache_key)
    try:
        secrets = await _opened(call)
    except BaseException:
        client.close()
        raise
    secrets.also_closing(client.close)
    return AsyncSecrets(secrets)


async def _opened(call: Callable[[], Secrets]) -> Secrets:
    """Opens on a thread; a set that comes after its task was cancelled is closed."""
    opening = asyncio.get_running_loop().run_in_executor(None, call)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(lambda late: None if late.cancelled() or late.exception() else late.result().close())
        raise


async def _all_pages(page: Callable[[str], Awaitable[Page[T]]]) -> AsyncIterator[T]:
    token = ""
    while True:
        one = await page(token)
        for item in one.items:
            yield item
        token = one.next_page_token
        if not token:
            return
