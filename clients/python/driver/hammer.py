from __future__ import annotations

import threading

from secretslots import Secrets, SlotsError


class Hammer:
    """Reads ``current`` and ``effective_at`` of each name about so often in the background."""

    def __init__(self, secrets: Secrets, names: list[str], per_second: int) -> None:
        self.reads = self.failures = self.backwards = 0
        self.first_failure = ""
        self._handles = [secrets[name] for name in names]
        self._pause = 1 / per_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        seen: dict[str, tuple[str, int]] = {}
        while not self._stop.wait(self._pause):
            for handle in self._handles:
                self.reads += 1
                try:
                    version = handle.current()
                    handle.effective_at(version.slot)
                except SlotsError as error:
                    self.failures += 1
                    self.first_failure = self.first_failure or str(error)
                    continue
                epoch, revision = seen.get(handle.name, ("", 0))
                if version.epoch == epoch and version.revision < revision:
                    self.backwards += 1
                seen[handle.name] = (version.epoch, version.revision)
