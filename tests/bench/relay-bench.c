/* relay-bench: what the relay costs, beside a direct TCP connection and a plain TCP relay, measured
 * in the same run; and what the daemon costs while nothing happens.
 *
 * Five processes: this one waits and cleans up; the client, which is the simulated Hyper-V host,
 * too; the stand-in for the RDP server; the plain relay; the daemon. All three ways from client to
 * server have the same code at both ends. Rounds of the three alternate, so that what disturbs the
 * machine disturbs all of them.
 */
#include "endpoint.h"
#include "failure.h"
#include "report.h"
#include "shape.h"
#include "stand-in.h"
#include "subject.h"
#include "tcp-relay.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef HVS_BENCH_DAEMON
#define HVS_BENCH_DAEMON "hvsessiond-sim"
#endif

/* The data channel that rounds go through. */
#define CHANNEL 1u
/* For each step of the daemon's, milliseconds. */
#define STEP_TIMEOUT 10000
/* After the last byte until the daemon counts as idle, as a part of how long it is then watched. */
#define SETTLE_SHARE 10
/* A bench that takes longer hangs, seconds. */
#define TIME_LIMIT 900

#define ECHO_LENGTH 64u

/* In front of each round goes this part of it, unmeasured. */
#define WARM_UP_SHARE 4u

static const uint32_t message_sizes[MESSAGE_SIZES] = { 16000, 1623, 64 };

struct options {
    const char *daemon;
    const char *json;
    const char *daemon_log;
    const char *only; /* part of the bench; NULL: all */
    uint32_t message; /* the only size of bulk messages; 0: all */
    int direction;    /* the only one; −1: all */
    int path;         /* of bulk, the only one; −1: all */
    bool check;
    bool pin;
    bool quick;
    unsigned rounds; /* a case */
    double round_seconds;
    uint64_t echoes; /* a round */
    double idle_seconds;
    size_t ring_size; /* data bytes of each ring */
};

struct bench {
    struct options options;
    struct results results;
    uint16_t server_port, relay_port;
    pid_t server;
    pid_t relay; /* the plain one */
    struct subject subject;
    hvhost *host;
};

/* ---- one round of one path ---- */

static uint64_t
relay_cpu(const struct bench *bench, enum path path)
{
    if (path == PATH_DIRECT)
        return 0;
    return cpu_of(path == PATH_HVSESSION ? bench->subject.pid : bench->relay);
}

/* Nanoseconds, as cpu_of(). */
static void
read_cpu(const struct bench *bench, enum path path, uint64_t cpu[PROCESSES])
{
    cpu[PROCESS_CLIENT] = cpu_of(getpid());
    cpu[PROCESS_RELAY] = relay_cpu(bench, path);
    cpu[PROCESS_SERVER] = cpu_of(bench->server);
}

static struct endpoint
open_channel(struct bench *bench, unsigned number)
{
    hvhost_channel *channel = hvhost_connect(bench->host, number, STEP_TIMEOUT);

    if (channel == NULL)
        fail(0, "the daemon did not open channel %u", number);
    return endpoint_of_channel(channel);
}

static struct endpoint
open_path(struct bench *bench, enum path path)
{
    if (path == PATH_HVSESSION)
        return open_channel(bench, CHANNEL);
    return endpoint_of_socket(
        connect_to(path == PATH_DIRECT ? bench->server_port : bench->relay_port));
}

static void
close_path(struct bench *bench, struct endpoint *endpoint)
{
    if (endpoint->channel != NULL) {
        hvhost_rescind(bench->host, hvhost_channel_number(endpoint->channel));
        if (!hvhost_channel_wait_closed(endpoint->channel, STEP_TIMEOUT))
            fail(0, "the daemon did not close a channel that was taken back");
    }
    endpoint_close(endpoint);
}

/* A connection of its own for each round, so that no case hangs on the luck of one: what the kernel
 * makes of its buffers differs, and lasts. Begun and warm. */
static struct endpoint
begin_round(struct bench *bench, enum path path)
{
    struct endpoint endpoint = open_path(bench, path);

    client_begin(&endpoint);
    return endpoint;
}

/* How many messages take a round's time. */
static uint64_t
calibrate(struct bench *bench, const struct bulk *bulk, enum path path)
{
    struct endpoint endpoint = begin_round(bench, path);
    double enough = bench->options.round_seconds / 4, seconds;
    uint64_t count = 16;

    while ((seconds = client_move(&endpoint, bulk->direction, bulk->length, count)) < enough)
        count *= 2;
    close_path(bench, &endpoint);
    return (uint64_t)((double)count * bench->options.round_seconds / seconds) + WARM_UP_SHARE;
}

static void
add_signals(struct bulk *bulk, const struct endpoint *endpoint, uint64_t count, int sign)
{
    struct hvhost_counters counters;

    if (endpoint->channel == NULL)
        return;
    hvhost_channel_counters(endpoint->channel, &counters);
    bulk->signals_to_guest += sign * (double)counters.signals_to_guest / (double)count;
    bulk->signals_to_host += sign * (double)counters.signals_from_guest / (double)count;
}

static void
run_bulk_round(struct bench *bench, struct bulk *bulk, enum path path, uint64_t count)
{
    struct endpoint endpoint = begin_round(bench, path);
    uint64_t before[PROCESSES], after[PROCESSES];
    double seconds;

    client_move(&endpoint, bulk->direction, bulk->length, count / WARM_UP_SHARE);
    add_signals(bulk, &endpoint, count * bench->options.rounds, -1);
    read_cpu(bench, path, before);
    seconds = client_move(&endpoint, bulk->direction, bulk->length, count);
    read_cpu(bench, path, after);
    add_signals(bulk, &endpoint, count * bench->options.rounds, +1);
    close_path(bench, &endpoint);

    samples_add(&bulk->rate[path], (double)(count * bulk->length) / seconds);
    for (unsigned i = 0; i < PROCESSES; i++)
        samples_add(&bulk->busy[path][i], (double)(after[i] - before[i]) / (seconds * 1e9));
    if (path != PATH_DIRECT)
        samples_add(&bulk->cpu[path],
                    (double)(after[PROCESS_RELAY] - before[PROCESS_RELAY]) / (double)count);
}

static void
run_echo_round(struct bench *bench, enum path path)
{
    struct latency *echo = &bench->results.echo;
    struct endpoint endpoint = begin_round(bench, path);
    uint64_t count = bench->options.echoes, cpu;
    struct samples times = { 0 };

    client_echo(&endpoint, ECHO_LENGTH, count / WARM_UP_SHARE, &times);
    samples_clear(&times);
    cpu = relay_cpu(bench, path);
    client_echo(&endpoint, ECHO_LENGTH, count, &times);
    cpu = relay_cpu(bench, path) - cpu;
    close_path(bench, &endpoint);

    if (path != PATH_DIRECT)
        samples_add(&echo->cpu[path], (double)cpu / (double)count);
    samples_add(&echo->medians[path], samples_median(&times));
    for (size_t i = 0; i < times.count; i++)
        samples_add(&echo->all[path], times.values[i]);
    samples_clear(&times);
}

static void
run_replay_round(struct bench *bench, enum path path)
{
    struct replay *replay = &bench->results.replay;
    struct samples updates = { 0 };
    struct endpoint endpoint;
    double begin = now();

    endpoint = open_path(bench, path);
    shape_play_client(&endpoint, &updates);
    samples_add(&replay->seconds[path], now() - begin);
    close_path(bench, &endpoint);

    samples_add(&replay->updates.medians[path], samples_median(&updates));
    for (size_t i = 0; i < updates.count; i++)
        samples_add(&replay->updates.all[path], updates.values[i]);
    samples_clear(&updates);
}

/* ---- the parts of the bench ---- */

/* Which path is the turn-th of a round: each goes first in every third round. */
static enum path
path_of_turn(unsigned round, unsigned turn)
{
    return (enum path)((round + turn) % PATHS);
}

static bool
wants_path(const struct bench *bench, enum path path)
{
    return bench->options.path < 0 || bench->options.path == (int)path;
}

static void
measure_bulk_case(struct bench *bench, struct bulk *bulk)
{
    uint64_t counts[PATHS];

    for (unsigned path = 0; path < PATHS; path++)
        counts[path] = wants_path(bench, path) ? calibrate(bench, bulk, path) : 0;
    for (unsigned round = 0; round < bench->options.rounds; round++) {
        for (unsigned turn = 0; turn < PATHS; turn++) {
            enum path path = path_of_turn(round, turn);

            if (wants_path(bench, path))
                run_bulk_round(bench, bulk, path, counts[path]);
        }
    }
}

static bool
wants_bulk_case(const struct bench *bench, const struct bulk *bulk)
{
    const struct options *options = &bench->options;

    return (options->message == 0 || options->message == bulk->length) &&
           (options->direction < 0 || options->direction == (int)bulk->direction);
}

static void
measure_bulk(struct bench *bench)
{
    for (unsigned i = 0; i < DIRECTIONS * MESSAGE_SIZES; i++) {
        struct bulk *bulk = &bench->results.bulk[i];

        bulk->direction = (enum direction)(i / MESSAGE_SIZES);
        bulk->length = message_sizes[i % MESSAGE_SIZES];
        if (wants_bulk_case(bench, bulk))
            measure_bulk_case(bench, bulk);
    }
    bench->results.has_bulk = true;
}

static void
measure_echo(struct bench *bench)
{
    bench->results.echo_length = ECHO_LENGTH;
    for (unsigned round = 0; round < bench->options.rounds; round++)
        for (unsigned turn = 0; turn < PATHS; turn++)
            run_echo_round(bench, path_of_turn(round, turn));
    bench->results.has_echo = true;
}

static void
measure_replay(struct bench *bench)
{
    for (unsigned round = 0; round < bench->options.rounds; round++)
        for (unsigned turn = 0; turn < PATHS; turn++)
            run_replay_round(bench, path_of_turn(round, turn));
    bench->results.has_replay = true;
}

static void
measure_idle(struct bench *bench, struct idle *idle, unsigned sessions)
{
    struct usage before, after;
    double begin;

    idle->sessions = sessions;
    usleep((useconds_t)(bench->options.idle_seconds * 1e6 / SETTLE_SHARE));
    before = usage_of(bench->subject.pid);
    begin = now();
    usleep((useconds_t)(bench->options.idle_seconds * 1e6));
    after = usage_of(bench->subject.pid);
    idle->seconds = now() - begin;
    idle->usage = usage_between(&before, &after);
}

/* Traffic of both kinds through a session that is idle afterwards. */
static void
use_session(struct endpoint *endpoint)
{
    struct samples times = { 0 };

    client_move(endpoint, BOTH_WAYS, 16000, 200);
    client_echo(endpoint, ECHO_LENGTH, 100, &times);
    samples_clear(&times);
}

/* With one session, and with all channels in use. */
static void
measure_idle_sessions(struct bench *bench)
{
    struct endpoint sessions[HVHOST_CHANNELS];

    for (unsigned i = 1; i < HVHOST_CHANNELS; i++) {
        sessions[i] = open_channel(bench, i);
        client_begin(&sessions[i]);
        use_session(&sessions[i]);
        if (i == 1)
            measure_idle(bench, &bench->results.idle[1], i);
    }
    measure_idle(bench, &bench->results.idle[2], HVHOST_CHANNELS - 1);
    bench->results.memory = memory_of(bench->subject.pid);
    for (unsigned i = 1; i < HVHOST_CHANNELS; i++)
        close_path(bench, &sessions[i]);
    bench->results.has_idle = true;
}

/* The calling thread, and those that it starts, stay on one CPU. */
static void
pin_to_cpu(const struct bench *bench, size_t cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (bench->options.pin && sched_setaffinity(0, sizeof(set), &set) != 0)
        fail(errno, "pinning to CPU %zu", cpu);
}

static bool
wants(const struct bench *bench, const char *part)
{
    return bench->options.only == NULL || strcmp(bench->options.only, part) == 0;
}

static void
start_host(struct bench *bench)
{
    struct hvhost_options options;

    hvhost_options_init(&options, bench->subject.socket);
    options.ring_size = bench->options.ring_size;
    bench->host = hvhost_new(&options);
    if (bench->host == NULL)
        fail(errno, "starting the simulated host");
    subject_start(&bench->subject, bench->options.daemon);
    if (!hvhost_wait_ready(bench->host, STEP_TIMEOUT))
        fail(0, "the daemon did not open the control channel");
}

static void
stop_host(struct bench *bench)
{
    subject_stop(&bench->subject, bench->options.daemon_log);
    for (unsigned i = 0; hvhost_breach(bench->host, i) != NULL; i++)
        fprintf(stderr, "relay-bench: breach of the protocol: %s\n", hvhost_breach(bench->host, i));
    if (hvhost_breaches(bench->host) > 0)
        fail(0, "the daemon broke the protocol");
    hvhost_free(bench->host);
}

static void
measure(struct bench *bench)
{
    start_host(bench);
    pin_to_cpu(bench, 0);
    if (wants(bench, "idle"))
        measure_idle(bench, &bench->results.idle[0], 0);
    if (wants(bench, "bulk"))
        measure_bulk(bench);
    if (wants(bench, "echo"))
        measure_echo(bench);
    if (wants(bench, "replay"))
        measure_replay(bench);
    if (wants(bench, "idle"))
        measure_idle_sessions(bench);
    stop_host(bench);
}

/* Returns the exit status. */
static int
report(const struct bench *bench)
{
    const struct options *options = &bench->options;
    bool to_stdout = options->json != NULL && strcmp(options->json, "-") == 0;
    FILE *people = to_stdout ? stderr : stdout, *json = NULL;

    report_table(&bench->results, people);
    if (options->json != NULL) {
        json = to_stdout ? stdout : fopen(options->json, "we");
        if (json == NULL)
            fail(errno, "%s", options->json);
        report_json(&bench->results, json);
        if (fflush(json) != 0 || ferror(json))
            fail(errno, "%s", options->json);
    }
    if (options->check && report_goals(&bench->results, people) > 0)
        return EXIT_SHORT;
    return EXIT_SUCCESS;
}

/* ---- processes ---- */

/* name is what the process is called in ps and in profiles. */
static pid_t
fork_process(const char *name)
{
    pid_t pid = fork();

    if (pid < 0)
        fail(errno, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, name);
        signal(SIGINT, SIG_IGN); /* the first process cleans up */
    }
    return pid;
}

static void
interrupt_wait(int number)
{
    (void)number;
}

/* Waits for the client. Whichever other process ends before it has failed, and said why. */
static int
wait_for_client(pid_t client)
{
    struct sigaction action = { .sa_handler = interrupt_wait };
    int status = 0;
    pid_t ended;

    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    alarm(TIME_LIMIT);
    ended = waitpid(-1, &status, 0);
    if (ended < 0)
        fprintf(stderr, "relay-bench: interrupted, or nothing came for %d s\n", TIME_LIMIT);
    if (ended == client && WIFEXITED(status))
        return WEXITSTATUS(status);
    return EXIT_TROUBLE;
}

static int
run(struct bench *bench)
{
    int server_listener = listen_anywhere(&bench->server_port);
    int relay_listener = listen_anywhere(&bench->relay_port), status;
    pid_t client;

    subject_prepare(&bench->subject, bench->server_port);
    bench->server = fork_process("bench-server");
    if (bench->server == 0) {
        pin_to_cpu(bench, 1);
        stand_in_run(server_listener);
    }
    bench->relay = fork_process("bench-tcp-relay");
    if (bench->relay == 0)
        tcp_relay_run(relay_listener, bench->server_port);
    client = fork_process("bench-client");
    if (client == 0) {
        measure(bench);
        exit(report(bench));
    }
    status = wait_for_client(client);
    kill(client, SIGKILL);
    kill(bench->relay, SIGKILL);
    kill(bench->server, SIGKILL);
    if (status == EXIT_TROUBLE)
        subject_print_log(&bench->subject);
    subject_remove(&bench->subject);
    return status;
}

/* ---- options ---- */

static const char usage_text[] =
    "Usage: relay-bench [OPTION...]\n"
    "Measures the relay beside a direct TCP connection and a plain epoll TCP relay.\n"
    "\n"
    "  --daemon PROGRAM      the hvsessiond-sim to measure; a release build\n"
    "  --json FILE           write the figures to FILE, too; - is standard output\n"
    "  --check               judge them against the goals\n"
    "  --quick               only see that it works, in a few seconds\n"
    "  --only PART           bulk, echo, replay or idle\n"
    "  --message BYTES       of bulk, that size of messages only: 16000, 1623 or 64\n"
    "  --direction WAY       of bulk, to-server, to-host or both-ways only\n"
    "  --path PATH           of bulk, hvsession, tcp-relay or direct only: for profiles\n"
    "  --rounds N            rounds a case (15)\n"
    "  --round-ms MS         length of a bulk round (100)\n"
    "  --idle-seconds S      how long the daemon is watched doing nothing (10)\n"
    "  --pin                 client on CPU 0, server on CPU 1, relays anywhere\n"
    "  --ring-size BYTES     data bytes of each ring (65536)\n"
    "  --daemon-log FILE     keep the daemon's log\n"
    "  --help                this text\n"
    "\n"
    "Exit status: 0, 1 a goal was missed (--check), 2 it did not get through.\n";

__attribute__((noreturn)) static void
refuse_usage(const char *message, const char *value)
{
    fprintf(stderr, "relay-bench: %s%s\nTry: relay-bench --help\n", message, value);
    exit(EXIT_TROUBLE);
}

static double
parse_positive(const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (*text == '\0' || *end != '\0' || !(value > 0 && value < 1e9))
        refuse_usage("not a number above 0: ", text);
    return value;
}

/* The place of text in a list that ends with NULL. */
static int
parse_name(const char *text, const char *const *names, const char *refusal)
{
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    refuse_usage(refusal, text);
}

static const char *
parse_part(const char *text)
{
    static const char *const parts[] = { "bulk", "echo", "replay", "idle", NULL };

    return parts[parse_name(text, parts, "not bulk, echo, replay or idle: ")];
}

static int
parse_direction(const char *text)
{
    static const char *const names[DIRECTIONS + 1] = { "to-server", "to-host", "both-ways" };

    return parse_name(text, names, "not to-server, to-host or both-ways: ");
}

static int
parse_path(const char *text)
{
    static const char *const names[PATHS + 1] = { "hvsession", "tcp-relay", "direct" };

    return parse_name(text, names, "not hvsession, tcp-relay or direct: ");
}

static uint32_t
parse_message(const char *text)
{
    double length = parse_positive(text);

    for (size_t i = 0; i < MESSAGE_SIZES; i++)
        if (length == message_sizes[i])
            return message_sizes[i];
    refuse_usage("no size of messages that is measured: ", text);
}

static void
be_quick(struct options *options)
{
    options->quick = true;
    options->rounds = 1;
    options->round_seconds = 0.01;
    options->echoes = 100;
    options->idle_seconds = 0.2;
}

static void
parse_options(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        { "daemon", required_argument, NULL, 'd' },
        { "json", required_argument, NULL, 'j' },
        { "check", no_argument, NULL, 'c' },
        { "quick", no_argument, NULL, 'q' },
        { "only", required_argument, NULL, 'o' },
        { "message", required_argument, NULL, 'b' },
        { "direction", required_argument, NULL, 'w' },
        { "path", required_argument, NULL, 't' },
        { "rounds", required_argument, NULL, 'r' },
        { "round-ms", required_argument, NULL, 'm' },
        { "idle-seconds", required_argument, NULL, 'i' },
        { "pin", no_argument, NULL, 'p' },
        { "ring-size", required_argument, NULL, 's' },
        { "daemon-log", required_argument, NULL, 'l' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
    };
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'd':
            options->daemon = optarg;
            break;
        case 'j':
            options->json = optarg;
            break;
        case 'c':
            options->check = true;
            break;
        case 'q':
            be_quick(options);
            break;
        case 'o':
            options->only = parse_part(optarg);
            break;
        case 'b':
            options->message = parse_message(optarg);
            break;
        case 'w':
            options->direction = parse_direction(optarg);
            break;
        case 't':
            options->path = parse_path(optarg);
            break;
        case 'r':
            options->rounds = (unsigned)parse_positive(optarg);
            break;
        case 'm':
            options->round_seconds = parse_positive(optarg) / 1000;
            break;
        case 'i':
            options->idle_seconds = parse_positive(optarg);
            break;
        case 'p':
            options->pin = true;
            break;
        case 's':
            options->ring_size = (size_t)parse_positive(optarg);
            break;
        case 'l':
            options->daemon_log = optarg;
            break;
        case 'h':
            fputs(usage_text, stdout);
            exit(EXIT_SUCCESS);
        default:
            fputs("Try: relay-bench --help\n", stderr);
            exit(EXIT_TROUBLE);
        }
    }
    if (optind < argc)
        refuse_usage("unexpected argument: ", argv[optind]);
}

int
main(int argc, char **argv)
{
    static struct bench bench = {
        .options = {
            .daemon = HVS_BENCH_DAEMON,
            .direction = -1,
            .path = -1,
            .rounds = 15,
            .round_seconds = 0.1,
            .echoes = 2000,
            .idle_seconds = 10,
            .ring_size = HVHOST_RING_SIZE,
        },
    };

    parse_options(argc, argv, &bench.options);
    bench.results.quick = bench.options.quick;
    bench.results.pinned = bench.options.pin;
    bench.results.rounds = bench.options.rounds;
    bench.results.ring_size = bench.options.ring_size;
    return run(&bench);
}
