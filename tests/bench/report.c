#include "report.h"

#include <string.h>
#include <unistd.h>

/* The goals. */
#define BULK_LENGTH       16000u
#define BULK_VS_TCP_RELAY 1.3
#define BULK_VS_DIRECT    0.7
#define ECHO_VS_TCP_RELAY 1.0
#define IDLE_SWITCHES     0.0 /* a second */
#define RESIDENT_KIB      (8.0 * 1024)

static const char *const path_titles[PATHS] = { "hvsession", "TCP relay", "direct TCP" };
static const char *const path_names[PATHS] = { "hvsession", "tcp_relay", "direct" };
static const char *const direction_titles[DIRECTIONS] = { "to server", "to host", "both ways" };
static const char *const direction_names[DIRECTIONS] = { "host_to_server", "server_to_host",
                                                         "both_ways" };

/* ---- for people ---- */

static void
print_heading(FILE *to, const char *what)
{
    fprintf(to, "\n%-21s", what);
    for (unsigned i = 0; i < PATHS; i++)
        fprintf(to, " %13s", path_titles[i]);
    fprintf(to, "  /relay /direct\n");
}

/* A line of medians with their spread, and how the first relates to the others. */
static void
print_medians(FILE *to, const char *label, const struct samples values[PATHS], double scale)
{
    fprintf(to, "  %-19s", label);
    for (unsigned i = 0; i < PATHS; i++)
        fprintf(to, " %8.1f ±%2.0f%%", samples_median(&values[i]) * scale,
                samples_spread(&values[i]) * 100);
    fprintf(to, "  %6.2f %7.2f\n",
            samples_median_ratio(&values[PATH_HVSESSION], &values[PATH_TCP_RELAY]),
            samples_median_ratio(&values[PATH_HVSESSION], &values[PATH_DIRECT]));
}

static void
print_quantiles(FILE *to, const char *label, const struct samples values[PATHS], double share)
{
    double quantile[PATHS];

    fprintf(to, "  %-19s", label);
    for (unsigned i = 0; i < PATHS; i++) {
        quantile[i] = samples_quantile(&values[i], share);
        fprintf(to, " %8.1f     ", quantile[i]);
    }
    fprintf(to, "  %6.2f %7.2f\n", quantile[PATH_HVSESSION] / quantile[PATH_TCP_RELAY],
            quantile[PATH_HVSESSION] / quantile[PATH_DIRECT]);
}

static void
print_latency(FILE *to, const struct latency *latency)
{
    print_medians(to, "p50", latency->medians, 1);
    print_quantiles(to, "p99", latency->all, 0.99);
}

static void
print_cpu(FILE *to, const char *label, const struct samples values[PATHS])
{
    fprintf(to, "  %-19s %8.2f ±%2.0f%% %8.2f ±%2.0f%% %15s %6.2f\n", label,
            samples_median(&values[PATH_HVSESSION]) / 1000,
            samples_spread(&values[PATH_HVSESSION]) * 100,
            samples_median(&values[PATH_TCP_RELAY]) / 1000,
            samples_spread(&values[PATH_TCP_RELAY]) * 100, "",
            samples_median_ratio(&values[PATH_HVSESSION], &values[PATH_TCP_RELAY]));
}

/* Who is at the limit: a process that has a CPU for itself cannot be faster. */
static void
print_busy(FILE *to, const char *label, const struct samples busy[PATHS][PROCESSES])
{
    fprintf(to, "  %-19s", label);
    for (unsigned i = 0; i < PATHS; i++) {
        char shares[48] = "";
        size_t length = 0;

        for (unsigned k = 0; k < PROCESSES; k++)
            if (i != PATH_DIRECT || k != PROCESS_RELAY)
                length += (size_t)snprintf(shares + length, sizeof(shares) - length, " %3.0f",
                                           samples_median(&busy[i][k]) * 100);
        fprintf(to, " %13s", shares);
    }
    fprintf(to, "\n");
}

static void
bulk_label(const struct bulk *bulk, char *label, size_t size)
{
    snprintf(label, size, "%-9s %6u B", direction_titles[bulk->direction], bulk->length);
}

static bool
is_touched(const struct bulk *bulk)
{
    for (unsigned i = 0; i < PATHS; i++)
        if (bulk->rate[i].count > 0)
            return true;
    return false;
}

/* On all paths. */
static bool
is_measured(const struct bulk *bulk)
{
    for (unsigned i = 0; i < PATHS; i++)
        if (bulk->rate[i].count == 0)
            return false;
    return true;
}

/* The first case from *i on of which there are figures, and its place; NULL: none. */
static const struct bulk *
next_bulk(const struct results *results, unsigned *i)
{
    for (; *i < DIRECTIONS * MESSAGE_SIZES; ++*i)
        if (is_touched(&results->bulk[*i]))
            return &results->bulk[*i];
    return NULL;
}

static void
print_bulk(FILE *to, const struct results *results)
{
    const struct bulk *bulk;
    char label[32];

    print_heading(to, "bulk, MB/s");
    for (unsigned i = 0; (bulk = next_bulk(results, &i)) != NULL; i++) {
        bulk_label(bulk, label, sizeof(label));
        print_medians(to, label, bulk->rate, 1e-6);
    }
    fprintf(to, "\nthe relay's CPU time, µs/message\n");
    for (unsigned i = 0; (bulk = next_bulk(results, &i)) != NULL; i++) {
        bulk_label(bulk, label, sizeof(label));
        print_cpu(to, label, bulk->cpu);
    }
    fprintf(to, "\n%% of a CPU that client, relay and server had\n");
    for (unsigned i = 0; (bulk = next_bulk(results, &i)) != NULL; i++) {
        bulk_label(bulk, label, sizeof(label));
        print_busy(to, label, bulk->busy);
    }
}

static void
print_idle(FILE *to, const struct results *results)
{
    fprintf(to, "\nidle daemon           context switches   CPU time, µs   threads   in\n");
    for (unsigned i = 0; i < IDLES; i++) {
        const struct idle *idle = &results->idle[i];

        fprintf(to, "  %u session%-10s %16llu %14.1f %9u   %.1f s\n", idle->sessions,
                idle->sessions == 1 ? "" : "s", (unsigned long long)idle->usage.switches,
                (double)idle->usage.cpu / 1000, idle->usage.threads, idle->seconds);
    }
    fprintf(to, "\nmemory with %u idle sessions: resident %.1f MiB, proportional %.1f, own %.1f\n",
            results->idle[IDLES - 1].sessions, (double)results->memory.resident / 1024,
            (double)results->memory.proportional / 1024, (double)results->memory.unique / 1024);
}

void
report_table(const struct results *results, FILE *to)
{
    char title[32];

    fprintf(to,
            "relay-bench: %ld CPUs, %u rounds a case, rings of %zu bytes%s%s\n"
            "Medians; ± is half the span of the middle half; /relay and /direct: hvsession as a\n"
            "multiple of the TCP relay and of direct TCP, round by round.\n",
            sysconf(_SC_NPROCESSORS_ONLN), results->rounds, results->ring_size,
            results->pinned ? "; pinned" : "",
            results->quick ? "; quick: figures mean nothing" : "");
    if (results->has_bulk)
        print_bulk(to, results);
    if (results->has_echo) {
        snprintf(title, sizeof(title), "round trip %u B, µs", results->echo_length);
        print_heading(to, title);
        print_latency(to, &results->echo);
        fprintf(to, "the relay's CPU time, µs/message\n");
        print_cpu(to, "round trip", results->echo.cpu);
    }
    if (results->has_replay) {
        print_heading(to, "a session's shape, ms");
        print_medians(to, "start to last byte", results->replay.seconds, 1000);
        fprintf(to, "  an update, µs\n");
        print_latency(to, &results->replay.updates);
    }
    if (results->has_idle)
        print_idle(to, results);
}

/* ---- for machines ---- */

static void
write_samples(FILE *to, const char *name, const struct samples *samples)
{
    fprintf(to,
            "\"%s\": {\"median\": %.6g, \"p25\": %.6g, \"p75\": %.6g, \"p99\": %.6g, "
            "\"count\": %zu}",
            name, samples_median(samples), samples_quantile(samples, 0.25),
            samples_quantile(samples, 0.75), samples_quantile(samples, 0.99), samples->count);
}

static void
write_paths(FILE *to, const char *name, const struct samples samples[PATHS])
{
    fprintf(to, "\"%s\": {", name);
    for (unsigned i = 0; i < PATHS; i++) {
        if (samples[i].count == 0)
            continue;
        write_samples(to, path_names[i], &samples[i]);
        fprintf(to, ", ");
    }
    fprintf(to, "\"vs_tcp_relay\": %.4f",
            samples_median_ratio(&samples[PATH_HVSESSION], &samples[PATH_TCP_RELAY]));
    if (samples[PATH_DIRECT].count > 0)
        fprintf(to, ", \"vs_direct\": %.4f",
                samples_median_ratio(&samples[PATH_HVSESSION], &samples[PATH_DIRECT]));
    fprintf(to, "}");
}

static void
write_busy(FILE *to, const struct samples busy[PATHS][PROCESSES])
{
    const char *separator = "";

    fprintf(to, "\"cpu_share\": {");
    for (unsigned i = 0; i < PATHS; i++) {
        if (busy[i][PROCESS_CLIENT].count == 0)
            continue;
        fprintf(to, "%s\"%s\": {\"client\": %.3f, \"relay\": %.3f, \"server\": %.3f}", separator,
                path_names[i], samples_median(&busy[i][PROCESS_CLIENT]),
                samples_median(&busy[i][PROCESS_RELAY]), samples_median(&busy[i][PROCESS_SERVER]));
        separator = ", ";
    }
    fprintf(to, "}");
}

static void
write_bulk(FILE *to, const struct results *results)
{
    const struct bulk *bulk;
    const char *separator = "";

    fprintf(to, ",\n \"bulk\": [");
    for (unsigned i = 0; (bulk = next_bulk(results, &i)) != NULL; i++) {
        fprintf(to, "%s\n  {\"direction\": \"%s\", \"message_bytes\": %u,\n   ", separator,
                direction_names[bulk->direction], bulk->length);
        separator = ",";
        write_paths(to, "bytes_per_second", bulk->rate);
        fprintf(to, ",\n   ");
        write_paths(to, "relay_cpu_ns_per_message", bulk->cpu);
        fprintf(to, ",\n   ");
        write_busy(to, bulk->busy);
        fprintf(to,
                ",\n   \"signals_to_guest_per_message\": %.6f, "
                "\"signals_to_host_per_message\": %.6f}",
                bulk->signals_to_guest, bulk->signals_to_host);
    }
    fprintf(to, "\n ]");
}

static void
write_idle(FILE *to, const struct results *results)
{
    fprintf(to, ",\n \"idle\": [");
    for (unsigned i = 0; i < IDLES; i++) {
        const struct idle *idle = &results->idle[i];

        fprintf(to,
                "%s\n  {\"sessions\": %u, \"seconds\": %.3f, \"context_switches\": %llu, "
                "\"involuntary\": %llu, \"cpu_ns\": %llu, \"threads\": %u}",
                i > 0 ? "," : "", idle->sessions, idle->seconds,
                (unsigned long long)idle->usage.switches,
                (unsigned long long)idle->usage.involuntary, (unsigned long long)idle->usage.cpu,
                idle->usage.threads);
    }
    fprintf(to,
            "\n ],\n \"memory\": {\"sessions\": %u, \"resident_kib\": %llu, "
            "\"proportional_kib\": %llu, \"own_kib\": %llu}",
            results->idle[IDLES - 1].sessions, (unsigned long long)results->memory.resident,
            (unsigned long long)results->memory.proportional,
            (unsigned long long)results->memory.unique);
}

void
report_json(const struct results *results, FILE *to)
{
    fprintf(to,
            "{\"quick\": %s, \"pinned\": %s, \"cpus\": %ld, \"rounds\": %u, \"ring_bytes\": %zu",
            results->quick ? "true" : "false", results->pinned ? "true" : "false",
            sysconf(_SC_NPROCESSORS_ONLN), results->rounds, results->ring_size);
    if (results->has_bulk)
        write_bulk(to, results);
    if (results->has_echo) {
        fprintf(to, ",\n \"round_trip\": {\"message_bytes\": %u,\n  ", results->echo_length);
        write_paths(to, "microseconds", results->echo.all);
        fprintf(to, ",\n  ");
        write_paths(to, "round_medians", results->echo.medians);
        fprintf(to, ",\n  ");
        write_paths(to, "relay_cpu_ns_per_message", results->echo.cpu);
        fprintf(to, "}");
    }
    if (results->has_replay) {
        fprintf(to, ",\n \"replay\": {\n  ");
        write_paths(to, "seconds", results->replay.seconds);
        fprintf(to, ",\n  ");
        write_paths(to, "update_microseconds", results->replay.updates.all);
        fprintf(to, ",\n  ");
        write_paths(to, "update_round_medians", results->replay.updates.medians);
        fprintf(to, "}");
    }
    if (results->has_idle)
        write_idle(to, results);
    fprintf(to, "\n}\n");
}

/* ---- goals ---- */

/* Returns 1 if it was missed. */
static unsigned
judge(FILE *to, const char *what, double value, bool at_least, double goal)
{
    bool met = at_least ? value >= goal : value <= goal;

    fprintf(to, "  %-6s %-46s %8.2f, goal %s %.1f\n", met ? "met" : "MISSED", what, value,
            at_least ? "≥" : "≤", goal);
    return met ? 0 : 1;
}

static unsigned
judge_bulk(FILE *to, const struct bulk *bulk)
{
    const struct samples *rate = bulk->rate;
    unsigned missed;
    char what[64];

    snprintf(what, sizeof(what), "%u B %s, × TCP relay", bulk->length,
             direction_titles[bulk->direction]);
    missed = judge(to, what, samples_median_ratio(&rate[PATH_HVSESSION], &rate[PATH_TCP_RELAY]),
                   true, BULK_VS_TCP_RELAY);
    snprintf(what, sizeof(what), "%u B %s, × direct TCP", bulk->length,
             direction_titles[bulk->direction]);
    return missed + judge(to, what, samples_median_ratio(&rate[PATH_HVSESSION], &rate[PATH_DIRECT]),
                          true, BULK_VS_DIRECT);
}

static unsigned
judge_idle(FILE *to, const struct results *results)
{
    unsigned missed = 0;
    char what[64];

    for (unsigned i = 0; i < IDLES; i++) {
        const struct idle *idle = &results->idle[i];

        snprintf(what, sizeof(what), "idle with %u sessions, context switches/s", idle->sessions);
        missed +=
            judge(to, what, (double)idle->usage.switches / idle->seconds, false, IDLE_SWITCHES);
    }
    snprintf(what, sizeof(what), "resident with %u idle sessions, KiB",
             results->idle[IDLES - 1].sessions);
    return missed + judge(to, what, (double)results->memory.resident, false, RESIDENT_KIB);
}

static bool
has_goal(const struct bulk *bulk)
{
    return bulk->length == BULK_LENGTH && bulk->direction != BOTH_WAYS;
}

static bool
is_complete(const struct results *results)
{
    bool complete = results->has_bulk && results->has_echo && results->has_idle;

    for (unsigned i = 0; complete && i < DIRECTIONS * MESSAGE_SIZES; i++)
        complete = !has_goal(&results->bulk[i]) || is_measured(&results->bulk[i]);
    return complete;
}

unsigned
report_goals(const struct results *results, FILE *to)
{
    unsigned missed = 0;

    fprintf(to, "\ngoals\n");
    if (!is_complete(results)) {
        fprintf(to, "  MISSED not everything was measured\n");
        missed++;
    }
    for (unsigned i = 0; results->has_bulk && i < DIRECTIONS * MESSAGE_SIZES; i++)
        if (has_goal(&results->bulk[i]) && is_measured(&results->bulk[i]))
            missed += judge_bulk(to, &results->bulk[i]);
    if (results->has_echo)
        missed += judge(to, "round trip p50, × TCP relay",
                        samples_median_ratio(&results->echo.medians[PATH_HVSESSION],
                                             &results->echo.medians[PATH_TCP_RELAY]),
                        false, ECHO_VS_TCP_RELAY);
    if (results->has_idle)
        missed += judge_idle(to, results);
    return missed;
}
