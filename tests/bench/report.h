/* What was measured, for people, for machines, and against the goals. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "stand-in.h"
#include "statistics.h"
#include "subject.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The ways from the client to the server. */
enum path {
    PATH_HVSESSION, /* simulated host, hvsessiond-sim, server */
    PATH_TCP_RELAY,
    PATH_DIRECT,
};
#define PATHS 3

/* The processes that bytes go through on their way. */
enum process {
    PROCESS_CLIENT, /* hvsession: the simulated host, too */
    PROCESS_RELAY,  /* direct: none */
    PROCESS_SERVER,
};
#define PROCESSES 3

#define MESSAGE_SIZES 3

/* One value a round, so that the same round of two paths can be compared. */
struct bulk {
    enum direction direction;
    uint32_t length;
    struct samples rate[PATHS]; /* bytes a second; both ways: each way */
    struct samples cpu[PATHS];  /* nanoseconds of the relay's CPU time a message; direct: none */
    struct samples busy[PATHS][PROCESSES]; /* how much of one CPU each process had: 0 to 1, or
                                            * more if it has several threads */
    double signals_to_guest, signals_to_host; /* a message, over all rounds */
};

struct latency {
    struct samples all[PATHS];     /* microseconds */
    struct samples medians[PATHS]; /* of each round */
    struct samples cpu[PATHS];     /* as in struct bulk; echo only */
};

struct replay {
    struct samples seconds[PATHS]; /* from the offer, or connect(), to the last byte */
    struct latency updates;
};

struct idle {
    unsigned sessions;
    double seconds;
    struct usage usage;
};
#define IDLES 3

struct results {
    bool quick;
    bool pinned; /* client and server each to a CPU */
    unsigned rounds;
    size_t ring_size;
    bool has_bulk, has_echo, has_replay, has_idle;

    struct bulk bulk[DIRECTIONS * MESSAGE_SIZES];
    uint32_t echo_length;
    struct latency echo;
    struct replay replay;
    struct idle idle[IDLES];
    struct memory memory; /* with the sessions of the last idle[] */
};

void report_table(const struct results *results, FILE *to);
void report_json(const struct results *results, FILE *to);
/* Prints each goal and how far it was reached; returns how many were missed or not measured. */
unsigned report_goals(const struct results *results, FILE *to);

#endif
