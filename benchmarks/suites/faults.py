"""What happens to servers, made on purpose: a disk that is full, a clock that jumps, a client that is slow. Linux, as root."""

from __future__ import annotations

import contextlib
import mmap
import socket
import struct
import subprocess
import threading
from pathlib import Path
from types import TracebackType

from benchmarks.measure import BenchmarkError
from benchmarks.suites.serve_process import Process

CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile long long *offset;
__attribute__((constructor)) static void start(void) {
    int file = open(getenv("FAKE_CLOCK"), O_RDONLY);
    void *page = file < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
    offset = page == MAP_FAILED ? 0 : page;
}
int clock_gettime(clockid_t clock, struct timespec *found) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, found);
    if (!status && clock == CLOCK_REALTIME && offset) found->tv_sec += *offset;
    return status;
}
int gettimeofday(struct timeval *found, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    found->tv_sec = now.tv_sec; found->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *found) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (found) *found = now.tv_sec;
    return now.tv_sec;
}
"""


class FakeClock:
    """A wall clock that can be put forward and back while processes run that were started with its ``environment``."""

    def __init__(self, folder: Path) -> None:
        source, library, offset = folder / "clock.c", folder / "clock.so", folder / "offset"
        source.write_text(CLOCK, encoding="utf-8")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
        offset.write_bytes(bytes(mmap.PAGESIZE))
        with offset.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), 8)
        self.environment = {"LD_PRELOAD": str(library), "FAKE_CLOCK": str(offset)}

    def jump(self, seconds: int) -> None:
        (now,) = struct.unpack("q", self._page[:8])
        self._page[:8] = struct.pack("q", now + seconds)


class SmallDisk:
    """A file system of its own in memory, which can be filled to its last byte. Mounting it takes root."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder, self._megabytes = folder, megabytes

    def __enter__(self) -> SmallDisk:
        self.folder.mkdir()
        try:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self._megabytes}m", "tmpfs", str(self.folder)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise BenchmarkError(f"no file system can be mounted here: {error}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)

    def fill(self) -> None:
        with contextlib.suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass

    def free(self) -> None:
        (self.folder / "filler").unlink(missing_ok=True)


class SlowClient:
    """Sends the head of a request and then a byte a second, until the server cuts it off.

    Attributes:
        n_refused: how often it was.
    """

    LIMIT_S = 120.0

    def __init__(self, process: Process) -> None:
        self._process, self.n_refused = process, 0

    def send(self) -> None:
        threading.Thread(target=self._send, daemon=True).start()

    def _send(self) -> None:
        head = f"POST /v1/turns HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._process.token}\r\nContent-Length: 100\r\n\r\n"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._process.port), timeout=1.0) as connection:
            connection.sendall(head.encode())
            for _ in range(int(self.LIMIT_S)):
                connection.sendall(b" ")
                try:
                    answer = connection.recv(64)
                except TimeoutError:
                    continue
                self.n_refused += answer.startswith(b"HTTP/1.1 408")
                return
