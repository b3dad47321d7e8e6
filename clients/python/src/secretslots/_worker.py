from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ._errors import where_raised
from ._log import logger


class SerialWorker:
    """Runs jobs one at a time and in order, on a thread that lives only while there are any.

    Changes are rare, so a thread for a moment is cheaper than one that waits all day; and a slow job delays only
    those behind it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._jobs: deque[Callable[[], None]] = deque()
        self._running = False
        self._stopped = False

    def submit(self, job: Callable[[], None]) -> None:
        with self._lock:
            if self._stopped:
                return
            self._jobs.append(job)
            if self._running:
                return
            self._running = True
        threading.Thread(target=self._drain, name=self._name, daemon=True).start()

    def stop(self) -> None:
        """Drops what has not begun."""
        with self._lock:
            self._stopped = True
            self._jobs.clear()

    def _drain(self) -> None:
        while True:
            with self._lock:
                if not self._jobs:
                    self._running = False
                    return
                job = self._jobs.popleft()
            try:
                job()
            except BaseException as error:  # sys.exit() in a callback, for one: the jobs behind it go on
                logger.warning("%s: %s", self._name, where_raised(error))
