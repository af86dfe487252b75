#include "endpoint.h"

#include "failure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What messages are filled with; no TPKT begins with it. */
#define FILLER 0x5a

struct endpoint
endpoint_of_socket(int socket)
{
    return (struct endpoint) { .socket = socket };
}

struct endpoint
endpoint_of_channel(hvhost_channel *channel)
{
    hvhost_channel_set_packets(channel, HVHOST_PIPE_MAX, false);
    return (struct endpoint) { .socket = -1, .channel = channel };
}

void
endpoint_close(struct endpoint *endpoint)
{
    if (endpoint->channel != NULL)
        hvhost_channel_unref(endpoint->channel);
    else if (endpoint->socket >= 0)
        close(endpoint->socket);
    *endpoint = (struct endpoint) { .socket = -1 };
}

int
listen_anywhere(uint16_t *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
        listen(listener, 16) != 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        fail(errno, "listening on the loopback interface");
    *port = ntohs(address.sin_port);
    return listener;
}

int
connect_to(uint16_t port)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(port),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
        fail(errno, "connecting to port %u", port);
    return fd;
}

void
endpoint_send(struct endpoint *endpoint, const void *bytes, size_t length)
{
    const uint8_t *rest = bytes;

    if (endpoint->channel != NULL) {
        int error = hvhost_channel_write(endpoint->channel, bytes, length, -1);

        if (error < 0)
            fail(-error, "writing to the channel");
        return;
    }
    while (length > 0) {
        ssize_t sent = send(endpoint->socket, rest, length, MSG_NOSIGNAL);

        if (sent < 0 && errno != EINTR)
            fail(errno, "sending");
        if (sent > 0) {
            rest += sent;
            length -= (size_t)sent;
        }
    }
}

size_t
endpoint_receive(struct endpoint *endpoint, void *bytes, size_t size)
{
    ssize_t received;

    if (endpoint->channel != NULL) {
        received = hvhost_channel_read(endpoint->channel, bytes, size, -1);
        if (received < 0)
            fail((int)-received, "reading from the channel");
        return (size_t)received;
    }
    do
        received = recv(endpoint->socket, bytes, size, 0);
    while (received < 0 && errno == EINTR);
    if (received < 0 && errno == ECONNRESET)
        return 0; /* whoever waits for more says so */
    if (received < 0)
        fail(errno, "receiving");
    return (size_t)received;
}

bool
endpoint_receive_all(struct endpoint *endpoint, void *bytes, size_t length)
{
    size_t done = 0;

    while (done < length) {
        size_t received = endpoint_receive(endpoint, (uint8_t *)bytes + done, length - done);

        if (received == 0 && done == 0)
            return false;
        if (received == 0)
            fail(0, "the stream ended within a message");
        done += received;
    }
    return true;
}

void
endpoint_send_many(struct endpoint *endpoint, size_t length, uint64_t count)
{
    uint8_t message[HVHOST_PIPE_MAX];

    memset(message, FILLER, length);
    while (count-- > 0)
        endpoint_send(endpoint, message, length);
}

void
endpoint_drop(struct endpoint *endpoint, uint64_t length)
{
    uint8_t buffer[RECEIVE_SIZE];

    while (length > 0) {
        size_t size = length < sizeof(buffer) ? (size_t)length : sizeof(buffer);
        size_t received = endpoint_receive(endpoint, buffer, size);

        if (received == 0)
            fail(0, "the stream ended with %llu bytes to come", (unsigned long long)length);
        length -= received;
    }
}
