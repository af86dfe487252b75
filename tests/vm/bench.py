"""bench.py [--check] [--explain] [--json] [--series 6.12] [--mib 64] [--pings 1000] [--rounds 7]

The daemon, the plain echo program on the bare ring, and the guest's own loopback TCP, in one boot.
They take turns, round by round, and the medians count; after each figure stands half the spread
between the rounds' quartiles. The machine should have nothing else to do.

Figures are MB/s each way, and microseconds for a round trip of 64 bytes. They are of an emulated
machine: compare them with each other, not with others.

--check judges the daemon's: one way at least 0.8 of the lesser of the two others', the median round
trip at most 1.3 of the sum of the two others', no processor time and no wake-up while idle. The exit
status is 1 if it falls short. --explain tells what each transfer of the last round was made of.
"""

import argparse
import json
import os
import re
import statistics
import sys
import time

from daemon import PROGRAMS, Daemon, negotiated
from vm import VM, percentile

MIB = 1 << 20
SMALL = 64
IDLE_SECONDS = 5
ONE_WAY_GOAL = 0.8
ROUND_TRIP_GOAL = 1.3
TRANSFERS = ("to_guest", "from_guest", "both_ways")
COLUMNS = TRANSFERS + ("round_trip_p50", "round_trip_p99")
TRANSFER = {
    "to_guest": lambda client, data: client.sink(data, "drain"),
    "from_guest": lambda client, data: client.source(len(data)),
    "both_ways": lambda client, data: client.duplex(data),
}


class Bench:
    def __init__(self, vm, mib, pings, explain=False):
        self.vm, self.pings, self.explain = vm, pings, explain
        self.data = os.urandom(MIB) * mib
        self.explanations = []

    def transfer(self, connect, name, figures):
        with connect() as client:       # nothing is done for the first time when the clock runs
            client.order("echo")
            client.echo(bytes(SMALL))
        self.vm.settle()
        with connect() as client:
            start = time.perf_counter()
            TRANSFER[name](client, self.data)
            seconds = time.perf_counter() - start
            figures[name] = len(self.data) / seconds / 1e6
            status = self.vm.host.channel(1)
        if self.explain:
            self.explanations.append(
                "%-10s %.3f s; the host sent %d signals for %d packets and found the ring full "
                "%d times, the guest sent %d signals for %d packets" %
                (name, seconds, status["signals_sent"], status["packets_to_guest"],
                 status["in_full"], status["signals_received"], status["packets_from_guest"]))
        self.vm.settle()

    def round_trips(self, connect, figures):
        with connect() as client:
            client.order("echo")
            client.round_trips(self.pings // 10, SMALL)
            times = client.round_trips(self.pings, SMALL)
        figures["round_trip_p50"] = percentile(times, 50) * 1e6
        figures["round_trip_p99"] = percentile(times, 99) * 1e6
        self.vm.settle()

    def bare_ring(self):
        figures = {}
        echo = self.vm.start("exec ring-echo")
        echo.wait_line("channel 0 negotiated")
        for name in TRANSFERS:
            self.transfer(self.vm.connect, name, figures)
        self.round_trips(self.vm.connect, figures)
        echo.kill()
        echo.wait()
        self.vm.settle()
        return figures

    def loopback_tcp(self):
        line = "tcp-bench %d %d" % (len(self.data) // MIB, self.pings)
        found = json.loads(self.vm.run(line).out)
        return {"to_guest": found["one_way"] / 1e6, "from_guest": found["one_way"] / 1e6,
                "both_ways": found["both_ways"] / 1e6,
                "round_trip_p50": found["round_trip_p50"],
                "round_trip_p99": found["round_trip_p99"]}

    def daemon(self):
        figures = {}
        daemon = self.vm.daemon = Daemon(self.vm)
        daemon.wait_ready()

        def connect():
            return negotiated(self.vm.connect())
        for name in TRANSFERS:
            before = daemon.processor_seconds()
            self.transfer(connect, name, figures)
            figures["cpu_" + name] = daemon.processor_seconds() - before
            if self.explain:
                self.explanations.append(" " * 11 + re.sub(".*ended after", "the daemon's session:",
                                                           daemon.last_end()))
        before = daemon.processor_seconds()
        self.round_trips(connect, figures)
        figures["cpu_round_trips"] = daemon.processor_seconds() - before
        with connect() as client:
            client.order("echo")
            client.echo(bytes(SMALL))
            self.vm.run("udevadm settle")
            daemon.status()
            before = daemon.switches_and_run_time()
            self.vm.run("sleep %d" % IDLE_SECONDS)
            after = daemon.switches_and_run_time()
        figures["idle_wakeups"] = after[0] - before[0]
        figures["idle_cpu_ns"] = after[1] - before[1]
        self.vm.settle()
        daemon.stop()
        self.vm.settle()
        return figures


def summary(rounds):
    """name → (median, half the spread of the middle half)"""
    result = {}
    for name in rounds[0]:
        values = [figures[name] for figures in rounds]
        low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
        result[name] = (statistics.median(values), (high - low) / 2)
    return result


def print_table(results):
    print("%-13s" % "", *("%18s" % text for text in (
        "to guest MB/s", "from guest MB/s", "both ways MB/s", "p50 us", "p99 us")))
    for kind, figures in results.items():
        print("%-13s" % kind, *("%12.1f ±%4.1f" % figures[column] for column in COLUMNS))
    daemon = results["daemon"]
    print("\nThe daemon's processor time:",
          ", ".join("%.2f s %s" % (daemon["cpu_" + name][0], name.replace("_", " "))
                    for name in TRANSFERS + ("round_trips",)))
    print("Idle for %d s with a session: %d wake-ups, %d ns of processor time" %
          (IDLE_SECONDS, daemon["idle_wakeups"][0], daemon["idle_cpu_ns"][0]))


def judge(results):
    """(what, whether it is met) for each goal."""
    median = {kind: {name: pair[0] for name, pair in figures.items()}
              for kind, figures in results.items()}
    daemon, ring, tcp = median["daemon"], median["bare ring"], median["loopback TCP"]
    for name in ("to_guest", "from_guest"):
        ratio = daemon[name] / min(ring[name], tcp[name])
        yield ("%s: %.2f of the lesser of bare ring and loopback TCP; at least %.1f" %
               (name.replace("_", " "), ratio, ONE_WAY_GOAL)), ratio >= ONE_WAY_GOAL
    ratio = daemon["round_trip_p50"] / (ring["round_trip_p50"] + tcp["round_trip_p50"])
    yield ("round trip p50: %.2f of bare ring and loopback TCP together; at most %.1f" %
           (ratio, ROUND_TRIP_GOAL)), ratio <= ROUND_TRIP_GOAL
    yield ("idle: %d wake-ups, %d ns; none" % (daemon["idle_wakeups"], daemon["idle_cpu_ns"]),
           not daemon["idle_wakeups"] and not daemon["idle_cpu_ns"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--explain", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--series", default="6.12", choices=("6.12", "6.1"))
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--pings", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with VM(arguments.series, programs=PROGRAMS, monitor=arguments.series == "6.1") as vm:
        kernel = vm.run("uname -r").out.strip()
        vm.service("rdp-echo", "ready 3389")
        bench = Bench(vm, arguments.mib, arguments.pings)
        kinds = {"daemon": bench.daemon, "bare ring": bench.bare_ring,
                 "loopback TCP": bench.loopback_tcp}
        runs = {kind: [] for kind in kinds}
        for number in range(arguments.rounds):
            bench.explain = arguments.explain and number == arguments.rounds - 1
            for kind, measure in kinds.items():
                if bench.explain:
                    bench.explanations.append(kind)
                runs[kind].append(measure())
        vm.check()
    results = {kind: summary(rounds) for kind, rounds in runs.items()}
    verdicts = list(judge(results)) if arguments.check else []
    if arguments.json:
        print(json.dumps({
            "kernel": kernel, "mib": arguments.mib, "pings": arguments.pings, "rounds": runs,
            "summary": results, "explanations": bench.explanations,
            "goals": [{"what": text, "met": met} for text, met in verdicts]}, indent=2))
    else:
        print("Linux %s, %d MiB, %d round trips, %d rounds\n" %
              (kernel, arguments.mib, arguments.pings, arguments.rounds))
        print_table(results)
        if bench.explanations:
            print("\nThe last round:\n" + "\n".join(bench.explanations))
        if verdicts:
            print()
        for text, met in verdicts:
            print("%-6s %s" % ("met" if met else "SHORT", text))
    return 0 if all(met for _, met in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
