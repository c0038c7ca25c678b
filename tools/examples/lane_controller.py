#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A controller of lanes: attaches to a pool, drains it, and counts or draws what comes.

    lane_controller.py [--library PATH] [--chrome FILE.json] LANES

LANES is the file of a pool, of a program that runs or that has ended, crashed or not; or FD:WAKE_FD,
two descriptors that were inherited, of a pool in memory. It goes on until the program has ended and
all is read, or until it is interrupted. What it took is gone from the lanes.

--chrome writes the records of <nipc/trace.h> as JSON that chrome://tracing and Perfetto open.

Everything goes through the public functions of libnipc-transport by ctypes: there is no glue.
"""

import argparse
import collections
import ctypes
import errno
import json
import os
import struct
import sys

GAP = 0xFFFF  # NIPC_LANE_GAP
EVENT, NAME, THREAD, PROCESS = range(0xFE00, 0xFE04)  # NIPC_TRACE_*
NUMBER_BYTES = 8  # before the text of a name


class Record(ctypes.Structure):
    """struct nipc_lane_record"""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("sequence", ctypes.c_uint64),
        ("n_dropped", ctypes.c_uint64),
        ("n_recycled", ctypes.c_uint64),
        ("lane", ctypes.c_uint32),
        ("epoch", ctypes.c_uint32),
        ("tid", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    ]


def load(path):
    """The library, with what its functions take; all that is not said here is an int."""
    library = ctypes.CDLL(path)
    reader = ctypes.c_void_p
    out = ctypes.POINTER(ctypes.c_void_p)
    for name, result, arguments in (
        ("nipc_deadline_after_ms", ctypes.c_uint64, [ctypes.c_uint64]),
        ("nipc_lane_reader_open", ctypes.c_int, [ctypes.c_int, ctypes.c_int, out]),
        ("nipc_lane_reader_open_path", ctypes.c_int, [ctypes.c_char_p, out]),
        ("nipc_lane_reader_close", ctypes.c_void_p, [reader]),
        ("nipc_lane_reader_next", ctypes.c_int, [reader, ctypes.POINTER(Record)]),
        ("nipc_lane_reader_wait", ctypes.c_int, [reader, ctypes.c_uint64]),
        ("nipc_lane_reader_is_orphan", ctypes.c_bool, [reader]),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


class Controller:
    """Of one pool; a context manager."""

    def __init__(self, library, lanes):
        self.library = library
        self.reader = ctypes.c_void_p()
        fd, _, wake_fd = lanes.partition(":")
        if fd.isdigit() and wake_fd.isdigit():
            r = library.nipc_lane_reader_open(int(fd), int(wake_fd), ctypes.byref(self.reader))
        else:
            r = library.nipc_lane_reader_open_path(os.fsencode(lanes), ctypes.byref(self.reader))
        if r < 0:
            raise OSError(-r, os.strerror(-r), lanes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reader = self.library.nipc_lane_reader_close(self.reader)

    def wait(self, timeout_ms):
        """Whether there is something before so much time has passed."""
        r = self.library.nipc_lane_reader_wait(
            self.reader, self.library.nipc_deadline_after_ms(timeout_ms)
        )
        if r < 0 and -r not in (errno.EAGAIN, errno.ETIMEDOUT, errno.EINTR):
            raise OSError(-r, os.strerror(-r))
        return r == 0

    def records(self):
        """Yields (record, bytes) until the agent has ended and nothing is left."""
        record = Record()
        while True:
            # Asked first: what an agent wrote before it ended is there once it is known to have.
            is_over = self.library.nipc_lane_reader_is_orphan(self.reader)
            while self.library.nipc_lane_reader_next(self.reader, ctypes.byref(record)) == 0:
                yield record, ctypes.string_at(record.data, record.size) if record.size else b""
            if not self.wait(1 if is_over else 1000) and is_over:
                return


class Timeline:
    """The records of <nipc/trace.h>, as the viewer wants them."""

    def __init__(self):
        self.names = {}
        self.events = []
        self.process = 0

    def take(self, record, data):
        if record.type == EVENT:
            self.take_event(record, data)
        elif record.type in (NAME, THREAD, PROCESS) and len(data) >= NUMBER_BYTES:
            (number,) = struct.unpack_from("=Q", data)
            text = data[NUMBER_BYTES:].decode("utf-8", "replace")
            if record.type == NAME:
                self.names[number] = text
            else:
                self.take_title(record.type, number, text)

    def take_title(self, kind, number, text):
        title = {"ph": "M", "args": {"name": text}, "pid": self.process, "tid": number, "ts": 0}
        title["name"] = "thread_name" if kind == THREAD else "process_name"
        if kind == PROCESS:
            self.process = title["pid"] = number
        self.events.append(title)

    def take_event(self, record, data):
        if len(data) < 24:
            return
        time_ns, name, tid, kind = struct.unpack_from("=QQII", data)
        kind = chr(kind) if kind < 128 else ""
        rest = data[24:]
        event = {"ph": kind, "ts": time_ns / 1000, "tid": tid or record.tid, "name": name}
        if kind in ("X", "C") and len(rest) >= 8:
            (value,) = struct.unpack_from("=q", rest)
            rest = rest[8:]
            event.update({"dur": value / 1000} if kind == "X" else {"args": {"value": value}})
        elif kind not in ("B", "E", "i"):
            return
        if not name:
            event["name"] = rest.decode("utf-8", "replace")
        self.events.append(event)

    def write(self, path):
        """In the order of time, as names are known by now. An END whose BEGIN was lost is left out."""
        depth = collections.Counter()
        events = []
        for event in sorted(self.events, key=lambda event: event["ts"]):
            if event["ph"] == "E" and not depth[event["tid"]]:
                continue
            depth[event["tid"]] += {"B": 1, "E": -1}.get(event["ph"], 0)
            if isinstance(event["name"], int):
                event["name"] = self.names.get(event["name"], hex(event["name"]))
            event["pid"] = self.process
            events.append(event)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": events, "displayTimeUnit": "ns"}, file)


def main():
    parser = argparse.ArgumentParser(description="Drains lanes.")
    parser.add_argument("--library", default="libnipc-transport.so.0")
    parser.add_argument("--chrome", metavar="FILE", help="write a timeline")
    parser.add_argument("lanes", metavar="LANES", help="a file, or FD:WAKE_FD")
    options = parser.parse_args()
    n_records = collections.Counter()
    n_missing = collections.Counter()
    timeline = Timeline()

    try:
        with Controller(load(options.library), options.lanes) as controller:
            print("attached", flush=True)
            try:
                for record, data in controller.records():
                    if record.type == GAP:
                        n_missing[record.lane] += record.n_dropped + record.n_recycled
                        continue
                    n_records[record.lane] += 1
                    if options.chrome:
                        timeline.take(record, data)
            except KeyboardInterrupt:
                pass
    except OSError as error:
        print(f"lane_controller.py: {error}", file=sys.stderr)
        return 1
    if options.chrome:
        timeline.write(options.chrome)
    for lane in sorted(n_records | n_missing):
        print(f"lane {lane}: {n_records[lane]} records, {n_missing[lane]} missing")
    print(f"{sum(n_records.values())} records, {sum(n_missing.values())} missing")
    return 0


if __name__ == "__main__":
    sys.exit(main())
