/* The daemon under measurement: started, looked at from outside, stopped. */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

#include <stdint.h>
#include <sys/types.h>

struct subject {
    pid_t pid;
    char directory[64]; /* temporary, removed by subject_remove() */
    char socket[96];    /* where the simulated host listens */
    char config[96];
    char log[96];
};

/* What a process has used so far, all its threads together. */
struct usage {
    uint64_t switches;    /* context switches, voluntary or not */
    uint64_t involuntary; /* those of them that were not its own wish */
    uint64_t cpu;         /* as cpu_of() */
    unsigned threads;
};

/* In KiB. */
struct memory {
    uint64_t resident;
    uint64_t proportional; /* what is shared with others counts in part */
    uint64_t unique;       /* what would be free if it went */
};

/* Makes the directory, and a configuration that names the server at that port. */
void subject_prepare(struct subject *subject, uint16_t server_port);
/* Starts program, with its log in subject->log. It dies with the calling thread. */
void subject_start(struct subject *subject, const char *program);
/* SIGTERM; fails unless it exits with 0. log_to: a file that its log is copied to, or NULL. */
void subject_stop(struct subject *subject, const char *log_to);
/* The log so far to stderr; for when something went wrong. */
void subject_print_log(const struct subject *subject);
void subject_remove(const struct subject *subject);

/* Nanoseconds that all threads of a process have been on a CPU. */
uint64_t cpu_of(pid_t pid);

struct usage usage_of(pid_t pid);
struct usage usage_between(const struct usage *before, const struct usage *after);
struct memory memory_of(pid_t pid);

#endif
