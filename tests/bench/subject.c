#include "subject.h"

#include "failure.h"
#include "tests/host/hvhost-protocol.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void
subject_prepare(struct subject *subject, uint16_t server_port)
{
    FILE *file;

    strcpy(subject->directory, "/tmp/relay-bench-XXXXXX");
    if (mkdtemp(subject->directory) == NULL)
        fail(errno, "%s", subject->directory);
    snprintf(subject->socket, sizeof(subject->socket), "%s/host", subject->directory);
    snprintf(subject->config, sizeof(subject->config), "%s/hvsession.conf", subject->directory);
    snprintf(subject->log, sizeof(subject->log), "%s/log", subject->directory);

    file = fopen(subject->config, "we");
    if (file == NULL)
        fail(errno, "%s", subject->config);
    /* passthrough: a replay's MCS PDUs have the right size only. */
    fprintf(file,
            "[hvsession]\n"
            "Server=tcp:127.0.0.1:%u\n"
            "NegotiationReply=passthrough\n"
            "LogLevel=info\n",
            server_port);
    if (fclose(file) != 0)
        fail(errno, "%s", subject->config);
}

void
subject_start(struct subject *subject, const char *program)
{
    int log = open(subject->log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (log < 0)
        fail(errno, "%s", subject->log);
    subject->pid = fork();
    if (subject->pid < 0)
        fail(errno, "fork");
    if (subject->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0 ||
            setenv(HVHOST_ENVIRONMENT, subject->socket, 1) != 0)
            fail(errno, "preparing for %s", program);
        unsetenv("NOTIFY_SOCKET");
        execl(program, program, "--config", subject->config, (char *)NULL);
        fail(errno, "%s", program);
    }
    close(log);
}

/* Copies the log to an open file. */
static void
copy_log(const struct subject *subject, FILE *to)
{
    FILE *log = fopen(subject->log, "re");
    char bytes[4096];
    size_t length;

    if (log == NULL)
        return;
    while ((length = fread(bytes, 1, sizeof(bytes), log)) > 0)
        fwrite(bytes, 1, length, to);
    fclose(log);
}

void
subject_print_log(const struct subject *subject)
{
    copy_log(subject, stderr);
}

void
subject_stop(struct subject *subject, const char *log_to)
{
    int status;

    kill(subject->pid, SIGTERM);
    if (waitpid(subject->pid, &status, 0) != subject->pid)
        fail(errno, "waiting for the daemon");
    if (log_to != NULL) {
        FILE *to = fopen(log_to, "we");

        if (to == NULL)
            fail(errno, "%s", log_to);
        copy_log(subject, to);
        if (fclose(to) != 0)
            fail(errno, "%s", log_to);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail(0, "the daemon ended with status 0x%x", (unsigned)status);
}

void
subject_remove(const struct subject *subject)
{
    unlink(subject->socket);
    unlink(subject->log);
    unlink(subject->config);
    rmdir(subject->directory);
}

/* ---- /proc ---- */

/* proc(5): the number behind the first line of a file that begins with key. False: none. */
static bool
read_field(const char *path, const char *key, uint64_t *value)
{
    FILE *file = fopen(path, "re");
    char line[256];
    bool found = false;

    while (!found && file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0) {
            *value = strtoull(line + strlen(key), NULL, 10);
            found = true;
        }
    if (file != NULL)
        fclose(file);
    return found;
}

/* A thread that ends while it is looked at counts nothing. */
static void
add_thread(const char *task, struct usage *usage)
{
    uint64_t voluntary = 0, involuntary = 0;
    char path[128];

    snprintf(path, sizeof(path), "%s/status", task);
    if (!read_field(path, "voluntary_ctxt_switches:", &voluntary) ||
        !read_field(path, "nonvoluntary_ctxt_switches:", &involuntary))
        return;
    usage->switches += voluntary + involuntary;
    usage->involuntary += involuntary;
    usage->threads++;
}

uint64_t
cpu_of(pid_t pid)
{
    struct timespec time;
    clockid_t clock;
    int error = clock_getcpuclockid(pid, &clock);

    if (error != 0 || clock_gettime(clock, &time) != 0)
        fail(error != 0 ? error : errno, "the CPU time of process %d", pid);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

struct usage
usage_of(pid_t pid)
{
    struct usage usage = { 0 };
    struct dirent *entry;
    char path[64];
    DIR *tasks;

    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    tasks = opendir(path);
    if (tasks == NULL)
        fail(errno, "%s", path);
    while ((entry = readdir(tasks)) != NULL) {
        char task[96];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(task, sizeof(task), "%s/%.16s", path, entry->d_name);
        add_thread(task, &usage);
    }
    closedir(tasks);
    usage.cpu = cpu_of(pid);
    return usage;
}

struct usage
usage_between(const struct usage *before, const struct usage *after)
{
    return (struct usage) {
        .switches = after->switches - before->switches,
        .involuntary = after->involuntary - before->involuntary,
        .cpu = after->cpu - before->cpu,
        .threads = after->threads,
    };
}

struct memory
memory_of(pid_t pid)
{
    struct memory memory = { 0 };
    uint64_t clean = 0, dirty = 0;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    if (!read_field(path, "VmRSS:", &memory.resident))
        fail(errno, "%s", path);
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    read_field(path, "Pss:", &memory.proportional);
    read_field(path, "Private_Clean:", &clean);
    read_field(path, "Private_Dirty:", &dirty);
    memory.unique = clean + dirty;
    return memory;
}
