/* The far end of HvSocket, played from within the guest over vsock_loopback.
 *
 *     vsock-call CID PORT      connects; standard input goes there, what comes goes to standard output
 *     vsock-call --hold PORT   another program that serves the port; "holding", until it is killed
 *
 * Standard error says "connected", and "ended" when the stream from there has. It stays until both
 * directions have ended. Input that cannot be sent yet is kept, however much it is: who feeds this
 * must not be held up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct queue {
    char *bytes;
    size_t begin, end, size;
};

static void
die(const char *what)
{
    fprintf(stderr, "vsock-call: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void
hold(const struct sockaddr_vm *address)
{
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) || listen(fd, 1))
        die("holding the port");
    puts("holding");
    fflush(stdout);
    pause();
}

static void
write_out(const char *bytes, size_t length)
{
    while (length) {
        ssize_t n = write(1, bytes, length);
        if (n < 0)
            die("standard output");
        bytes += n;
        length -= n;
    }
}

/* False: standard input has ended. */
static bool
take_input(struct queue *queue)
{
    if (queue->end + 65536 > queue->size) {
        queue->size = 2 * queue->size + 65536;
        queue->bytes = realloc(queue->bytes, queue->size);
        if (!queue->bytes)
            die("memory");
    }
    ssize_t n = read(0, queue->bytes + queue->end, 65536);
    if (n > 0)
        queue->end += n;
    return n > 0 || (n < 0 && errno == EINTR);
}

static void
send_queue(int fd, struct queue *queue)
{
    ssize_t n = send(fd, queue->bytes + queue->begin, queue->end - queue->begin,
                     MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n > 0)
        queue->begin += n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        die("sending");
}

/* False: the stream has ended. */
static bool
receive(int fd)
{
    static char buffer[65536];
    ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

    if (n > 0)
        write_out(buffer, n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void
relay(int fd)
{
    struct queue queue = { 0 };
    bool input = true, output = true, open = true;

    while (open || output) {
        bool waiting = queue.begin < queue.end;
        struct pollfd fds[2] = {
            { .fd = input ? 0 : -1, .events = POLLIN },
            { .fd = fd, .events = (output ? POLLIN : 0) | (waiting ? POLLOUT : 0) },
        };

        if (poll(fds, 2, -1) < 0)
            die("poll");
        if (fds[0].revents)
            input = take_input(&queue);
        if (output && fds[1].revents & (POLLIN | POLLHUP | POLLERR) && !receive(fd)) {
            output = false;
            fprintf(stderr, "ended\n");
        }
        if (waiting && fds[1].revents & (POLLOUT | POLLHUP | POLLERR))
            send_queue(fd, &queue);
        if (!input && open && queue.begin == queue.end) {
            shutdown(fd, SHUT_WR);
            open = false;
        }
    }
}

int
main(int argc, char **argv)
{
    struct sockaddr_vm address = { .svm_family = AF_VSOCK };

    if (argc != 3) {
        fprintf(stderr, "usage: vsock-call CID PORT | vsock-call --hold PORT\n");
        return 2;
    }
    address.svm_port = atoi(argv[2]);
    address.svm_cid = VMADDR_CID_ANY;
    if (!strcmp(argv[1], "--hold"))
        hold(&address);
    address.svm_cid = atoi(argv[1]);

    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
        die("connecting");
    fprintf(stderr, "connected\n");
    relay(fd);
    return 0;
}
