"""A connection pool that is swapped when its secret rotates: queries go on all the while.

The secret examples/db is the address of a database, here the path of an SQLite file; a password works the same. With
psycopg_pool: build is ``lambda v: ConnectionPool(v.value.text(), open=True)`` and a ``wait()`` that proves that it
works; close is ``ConnectionPool.close``, which waits for the queries that run.
"""

import os
import queue
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

import secretslots


class Pool:
    """A few connections; as small as a pool can be."""

    def __init__(self, version: secretslots.SecretVersion, size: int = 2) -> None:
        self.slot = version.slot
        self._size = size
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for _ in range(size):
            connection = sqlite3.connect(version.value.text(), check_same_thread=False)
            connection.execute("SELECT 1 FROM sqlite_schema")  # proves that it works; a failure keeps the old pool
            self._idle.put(connection)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        connection = self._idle.get()
        try:
            yield connection
        finally:
            self._idle.put(connection)

    def close(self) -> None:
        for _ in range(self._size):
            self._idle.get().close()  # waits for the queries that run


def main() -> None:
    address = os.environ.get("SLOTS_ADDRESS", "127.0.0.1:50051")
    token_file = os.environ.get("SLOTS_TOKEN_FILE", "data/admin.token")
    with secretslots.open(address, ["examples/db"], token_file=token_file) as secrets:
        pool = secrets["examples/db"].derived(Pool, Pool.close)
        while True:
            with pool.get().connection() as connection:
                (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            print(f"{tables} tables in the database of slot {pool.get().slot}", flush=True)
            time.sleep(0.2)


if __name__ == "__main__":
    main()
