/* What the guest's own loopback TCP does: the second floor of the bench.
 *
 *     tcp-bench MEBIBYTES ROUNDS
 *
 * prints one line of JSON: one_way and both_ways in bytes a second (each way, messages of 16,000
 * bytes), round_trip_p50 and round_trip_p99 of 64 bytes in microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE 16000
#define SMALL   64

static char buffer[128 * 1024];

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void
check(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static void
read_count(int fd, uint64_t count)
{
    while (count) {
        ssize_t n = read(fd, buffer, count < sizeof(buffer) ? count : sizeof(buffer));
        check(n > 0, "read");
        count -= n;
    }
}

static void
write_count(int fd, uint64_t count, size_t message)
{
    while (count) {
        ssize_t n = write(fd, buffer, count < message ? count : message);
        check(n > 0, "write");
        count -= n;
    }
}

/* The peer: takes count bytes and confirms; then both ways; then answers small messages. */
static void
serve(int fd, uint64_t count, int rounds)
{
    read_count(fd, count);
    write_count(fd, 1, 1);
    if (!fork()) {
        write_count(fd, count, MESSAGE);
        _exit(0);
    }
    read_count(fd, count);
    wait(NULL);
    write_count(fd, 1, 1);
    for (int i = 0; i < rounds; i++) {
        read_count(fd, SMALL);
        write_count(fd, SMALL, SMALL);
    }
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
    uint64_t count = (argc > 1 ? strtoul(argv[1], NULL, 0) : 64) << 20;
    int rounds = argc > 2 ? atoi(argv[2]) : 1000, one = 1;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    double *times = calloc(rounds, sizeof(double)), start, one_way, both_ways;
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd;

    check(!bind(listener, (struct sockaddr *)&address, length) && !listen(listener, 1), "listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    if (!fork()) {
        fd = accept(listener, NULL, NULL);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        serve(fd, count, rounds);
        _exit(0);
    }
    fd = socket(AF_INET, SOCK_STREAM, 0);
    check(!connect(fd, (struct sockaddr *)&address, length), "connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    start = now();
    write_count(fd, count, MESSAGE);
    read_count(fd, 1);
    one_way = now() - start;

    start = now();
    pid_t writer = fork();
    if (!writer) {
        write_count(fd, count, MESSAGE);
        _exit(0);
    }
    read_count(fd, count + 1);
    both_ways = now() - start;
    waitpid(writer, NULL, 0);

    for (int i = 0; i < rounds; i++) {
        start = now();
        write_count(fd, SMALL, SMALL);
        read_count(fd, SMALL);
        times[i] = now() - start;
    }
    qsort(times, rounds, sizeof(double), compare);
    printf("{\"one_way\": %.0f, \"both_ways\": %.0f, \"round_trip_p50\": %.1f, "
           "\"round_trip_p99\": %.1f}\n",
           count / one_way, count / both_ways, times[rounds / 2] * 1e6,
           times[rounds * 99 / 100] * 1e6);
    return 0;
}
