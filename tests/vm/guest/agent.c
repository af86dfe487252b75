/* The harness's hands in the guest: process 1. It runs shell commands for vm.py over a virtio
 * serial port, several at a time, and reaps what is left over.
 *
 *     agent PORT
 *
 * Frames, both ways: u32 id, u32 type, u32 length (little endian), and so many bytes. The id is the
 * harness's name for a command. RUN starts a shell in a session of its own. STDOUT and STDERR come
 * as the command writes; EXIT comes when the shell has ended, even if a child of it still holds the
 * pipes: what is in them at that time is sent before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum frame_type {
    FRAME_RUN = 1,    /* to the guest: a command line for sh */
    FRAME_STDIN = 2,  /* to the guest: bytes; none: end of file */
    FRAME_KILL = 3,   /* to the guest: u32 signal, for the command's whole process group */
    FRAME_READY = 16, /* to the harness, once */
    FRAME_STDOUT = 17,
    FRAME_STDERR = 18,
    FRAME_EXIT = 19, /* to the harness: i32 exit status, or minus the signal */
};

struct frame {
    uint32_t id, type, length;
};

struct command {
    uint32_t id;
    pid_t pid;        /* 0: this slot is free */
    int in, out, err; /* our ends of its pipes, -1 when closed */
};

#define MAX_COMMANDS 32
#define CHUNK        32768

static struct command commands[MAX_COMMANDS];

static void
die(const char *what)
{
    fprintf(stderr, "agent: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void
write_all(int fd, const void *data, size_t length)
{
    const char *at = data;

    while (length) {
        ssize_t n = write(fd, at, length);
        if (n < 0 && errno != EINTR)
            die("write to the harness");
        if (n > 0) {
            at += n;
            length -= n;
        }
    }
}

static void
send_frame(int port, uint32_t id, enum frame_type type, const void *data, uint32_t length)
{
    struct frame frame = { id, type, length };

    write_all(port, &frame, sizeof(frame));
    write_all(port, data, length);
}

static void
read_all(int fd, void *data, size_t length)
{
    char *at = data;

    while (length) {
        ssize_t n = read(fd, at, length);
        if (n < 0 && errno != EINTR)
            die("read from the harness");
        if (n > 0) {
            at += n;
            length -= n;
        }
    }
}

static void
close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static struct command *
find_command(uint32_t id)
{
    for (int i = 0; i < MAX_COMMANDS; i++)
        if (commands[i].pid && commands[i].id == id)
            return &commands[i];
    return NULL;
}

static void
exec_shell(const char *line, int in, int out, int err)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

static void
run_command(int port, uint32_t id, const char *line)
{
    struct command *command = NULL;
    int in[2], out[2], err[2];

    for (int i = 0; i < MAX_COMMANDS && !command; i++)
        if (!commands[i].pid)
            command = &commands[i];
    if (!command || pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) {
        int32_t status = 126;
        send_frame(port, id, FRAME_EXIT, &status, sizeof(status));
        return;
    }
    pid_t pid = fork();
    if (!pid)
        exec_shell(line, in[0], out[1], err[1]);
    close(in[0]);
    close(out[1]);
    close(err[1]);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    *command = (struct command){ .id = id, .pid = pid, .in = in[1], .out = out[0], .err = err[0] };
}

/* Passes on what a command has written; closes our end at the end of file. */
static void
forward(int port, uint32_t id, enum frame_type type, int *fd)
{
    static char buffer[CHUNK];

    while (*fd >= 0) {
        ssize_t n = read(*fd, buffer, sizeof(buffer));
        if (n > 0)
            send_frame(port, id, type, buffer, n);
        else if (n == 0 || errno != EINTR) {
            if (n == 0 || errno != EAGAIN)
                close_end(fd);
            return;
        }
    }
}

static void
reap(int port)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < MAX_COMMANDS; i++)
            if (commands[i].pid == pid) {
                struct command *command = &commands[i];
                int32_t code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);

                forward(port, command->id, FRAME_STDOUT, &command->out);
                forward(port, command->id, FRAME_STDERR, &command->err);
                close_end(&command->in);
                close_end(&command->out);
                close_end(&command->err);
                command->pid = 0;
                send_frame(port, command->id, FRAME_EXIT, &code, sizeof(code));
            }
}

static void
handle_frame(int port)
{
    struct frame frame;

    read_all(port, &frame, sizeof(frame));
    char *data = calloc(1, frame.length + 1);
    if (!data)
        die("memory for a frame");
    read_all(port, data, frame.length);

    struct command *command = find_command(frame.id);
    if (frame.type == FRAME_RUN) {
        run_command(port, frame.id, data);
    } else if (command && frame.type == FRAME_STDIN) {
        if (!frame.length)
            close_end(&command->in);
        else if (command->in >= 0 && write(command->in, data, frame.length) < 0)
            close_end(&command->in);
    } else if (command && frame.type == FRAME_KILL) {
        uint32_t number;
        memcpy(&number, data, sizeof(number));
        kill(-command->pid, number);
    }
    free(data);
}

int
main(int argc, char **argv)
{
    int port = argc == 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
    if (port < 0)
        die(argc == 2 ? argv[1] : "usage: agent PORT");

    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    int children = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);

    send_frame(port, 0, FRAME_READY, NULL, 0);
    for (;;) {
        struct pollfd fds[2 + 2 * MAX_COMMANDS] = {
            { .fd = port, .events = POLLIN },
            { .fd = children, .events = POLLIN },
        };
        for (int i = 0; i < MAX_COMMANDS; i++) {
            bool running = commands[i].pid != 0;
            fds[2 + 2 * i] = (struct pollfd){ running ? commands[i].out : -1, POLLIN, 0 };
            fds[3 + 2 * i] = (struct pollfd){ running ? commands[i].err : -1, POLLIN, 0 };
        }
        if (poll(fds, 2 + 2 * MAX_COMMANDS, -1) < 0)
            continue;
        for (int i = 0; i < MAX_COMMANDS; i++) {
            if (fds[2 + 2 * i].revents)
                forward(port, commands[i].id, FRAME_STDOUT, &commands[i].out);
            if (fds[3 + 2 * i].revents)
                forward(port, commands[i].id, FRAME_STDERR, &commands[i].err);
        }
        if (fds[1].revents) {
            struct signalfd_siginfo info;
            while (read(children, &info, sizeof(info)) > 0)
                ;
            reap(port);
        }
        if (fds[0].revents)
            handle_frame(port);
    }
}
