/* The offers of a simulated Hyper-V host, in the place of linux/offers.c: what the socket that
 * HYPERV_SIM names says (hvhost-protocol.h). Losing the host rescinds everything; while it is not
 * there it is looked for again and again. */
#include "linux/offers.h"

#include "hvhost-protocol.h"

#include "common/synthrdp.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Pause between attempts to reach the host, in milliseconds. */
#define RECONNECT_PAUSE 20
/* How long the host may take to answer an open. */
#define OPEN_TIMEOUT 5000

/* A message and what came with it. */
struct letter {
    struct hvhost_message message;
    int fds[HVHOST_MESSAGE_FDS]; /* -1: none */
};

enum received { RECEIVED, NOTHING_THERE, HOST_GONE };

struct hvs_offers {
    const struct hvs_offers_callbacks *callbacks;
    gpointer user_data;
    const char *path;
    int host; /* -1: not connected */
    GSource *watch;
    GSource *timer;  /* to connect again */
    GQueue letters;  /* that came while an open was waited for */
    GSource *idle;   /* there are letters */
    gboolean missed; /* the problem was told */
    gboolean offered[HVS_CHANNELS];
    uint32_t offer[HVS_CHANNELS];
};

G_DEFINE_QUARK(hvs - offers - error - quark, hvs_offers_error)

static gboolean on_message(int fd, GIOCondition condition, gpointer user_data);
static void connect_later(hvs_offers *offers, guint pause);

static void
clear_source(GSource **source)
{
    if (*source == NULL)
        return;
    g_source_destroy(*source);
    g_source_unref(*source);
    *source = NULL;
}

static void
set_source(GSource **where, GSource *source, GSourceFunc function, hvs_offers *offers)
{
    clear_source(where);
    *where = source;
    g_source_set_callback(source, function, offers, NULL);
    g_source_attach(source, NULL);
}

static void
drop_letter(struct letter *letter)
{
    for (int i = 0; i < HVHOST_MESSAGE_FDS; i++)
        if (letter->fds[i] >= 0)
            close(letter->fds[i]);
    g_free(letter);
}

static void
take_fds(struct msghdr *header, struct letter *letter)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            memcpy(letter->fds, CMSG_DATA(c), MIN(c->cmsg_len - CMSG_LEN(0), sizeof letter->fds));
}

/* On RECEIVED *letter is the caller's. */
static enum received
receive(int host, struct letter **letter)
{
    g_autofree struct letter *incoming = g_new0(struct letter, 1);
    struct iovec piece = { &incoming->message, sizeof incoming->message };
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * HVHOST_MESSAGE_FDS)];
    } control;
    struct msghdr header = { .msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control };
    ssize_t n = recvmsg(host, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return NOTHING_THERE;
    for (int i = 0; i < HVHOST_MESSAGE_FDS; i++)
        incoming->fds[i] = -1;
    if (n > 0)
        take_fds(&header, incoming);
    if (n != (ssize_t)sizeof incoming->message || incoming->message.channel >= HVS_CHANNELS)
        return HOST_GONE;
    *letter = g_steal_pointer(&incoming);
    return RECEIVED;
}

/* -- what the host says -- */

static void
rescind(hvs_offers *offers, unsigned channel)
{
    if (!offers->offered[channel])
        return;
    offers->offered[channel] = FALSE;
    offers->callbacks->rescinded(channel, offers->user_data);
}

static void
act_on(hvs_offers *offers, const struct hvhost_message *message)
{
    if (message->type == HVHOST_MESSAGE_OFFER) {
        rescind(offers, message->channel);
        offers->offered[message->channel] = TRUE;
        offers->offer[message->channel] = message->offer;
        offers->callbacks->offered(message->channel, offers->user_data);
    } else if (message->type == HVHOST_MESSAGE_RESCIND) {
        rescind(offers, message->channel);
    }
    /* Anything else answers an open that was given up. */
}

static void
lose_host(hvs_offers *offers)
{
    clear_source(&offers->watch);
    if (offers->host >= 0)
        close(offers->host);
    offers->host = -1;
    for (unsigned i = 0; i < HVS_CHANNELS; i++)
        rescind(offers, i);
    connect_later(offers, RECONNECT_PAUSE);
}

/* Everything that has come, in its order. */
static void
read_letters(hvs_offers *offers)
{
    while (offers->host >= 0 || !g_queue_is_empty(&offers->letters)) {
        struct letter *letter = g_queue_pop_head(&offers->letters);

        if (letter == NULL) {
            enum received received = receive(offers->host, &letter);

            if (received == HOST_GONE)
                lose_host(offers);
            if (received != RECEIVED)
                return;
        }
        act_on(offers, &letter->message);
        drop_letter(letter);
    }
}

static gboolean
on_message(int fd, GIOCondition condition, gpointer user_data)
{
    (void)fd;
    (void)condition;
    read_letters(user_data);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_letters(gpointer user_data)
{
    hvs_offers *offers = user_data;

    clear_source(&offers->idle);
    read_letters(offers);
    return G_SOURCE_REMOVE;
}

/* -- reaching the host -- */

static int
connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd;

    if (g_strlcpy(address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static gboolean
on_connect(gpointer user_data)
{
    hvs_offers *offers = user_data;

    clear_source(&offers->timer);
    offers->host = connect_to(offers->path);
    if (offers->host < 0) {
        if (!offers->missed) {
            g_autofree char *sentence = g_strdup_printf("the simulated host at %s does not answer; "
                                                        "start hyperv-sim",
                                                        offers->path);

            offers->missed = TRUE;
            offers->callbacks->problem(sentence, offers->user_data);
        }
        connect_later(offers, RECONNECT_PAUSE);
        return G_SOURCE_REMOVE;
    }
    if (offers->missed)
        offers->callbacks->problem(NULL, offers->user_data);
    offers->missed = FALSE;
    set_source(&offers->watch, g_unix_fd_source_new(offers->host, G_IO_IN),
               G_SOURCE_FUNC(on_message), offers);
    return G_SOURCE_REMOVE;
}

static void
connect_later(hvs_offers *offers, guint pause)
{
    set_source(&offers->timer, g_timeout_source_new(pause), on_connect, offers);
}

hvs_offers *
hvs_offers_new(const struct hvs_roots *roots, const struct hvs_offers_callbacks *callbacks,
               gpointer user_data, GError **error)
{
    const char *path = g_getenv(HVHOST_ENVIRONMENT);
    hvs_offers *offers;

    (void)roots;
    if (path == NULL) {
        g_set_error(error, HVS_OFFERS_ERROR, HVS_OFFERS_ERROR_FAILED,
                    "the environment variable " HVHOST_ENVIRONMENT
                    " does not name the simulated host's socket");
        return NULL;
    }
    offers = g_new0(hvs_offers, 1);
    offers->callbacks = callbacks;
    offers->user_data = user_data;
    offers->path = path;
    offers->host = -1;
    g_queue_init(&offers->letters);
    connect_later(offers, 0);
    return offers;
}

void
hvs_offers_free(hvs_offers *offers)
{
    clear_source(&offers->watch);
    clear_source(&offers->timer);
    clear_source(&offers->idle);
    g_queue_clear_full(&offers->letters, (GDestroyNotify)drop_letter);
    if (offers->host >= 0)
        close(offers->host);
    g_free(offers);
}

void
hvs_offers_rescan(hvs_offers *offers)
{
    if (offers->host < 0)
        connect_later(offers, 0);
}

/* -- opening -- */

static enum hvs_offers_error
error_of(uint32_t code)
{
    switch (code) {
    case ENOENT:
    case ENODEV:
        return HVS_OFFERS_ERROR_GONE;
    case EBUSY:
        return HVS_OFFERS_ERROR_IN_USE;
    case EACCES:
    case EPERM:
        return HVS_OFFERS_ERROR_DENIED;
    case ENOMEM:
        return HVS_OFFERS_ERROR_MEMORY;
    default:
        return HVS_OFFERS_ERROR_FAILED;
    }
}

static gboolean
fail(uint32_t code, GError **error)
{
    g_set_error(error, HVS_OFFERS_ERROR, (gint)error_of(code), "opening the channel failed: %s",
                g_strerror((int)code));
    return FALSE;
}

static gboolean
is_answer(const struct hvhost_message *message, const struct hvhost_message *open)
{
    return (message->type == HVHOST_MESSAGE_OPENED || message->type == HVHOST_MESSAGE_FAILED) &&
           message->channel == open->channel && message->offer == open->offer;
}

/* The answer to an open, NULL if there is none in time. Everything else is kept for later. */
static struct letter *
wait_for_answer(hvs_offers *offers, const struct hvhost_message *open)
{
    gint64 deadline = g_get_monotonic_time() + OPEN_TIMEOUT * G_TIME_SPAN_MILLISECOND;

    for (;;) {
        struct pollfd fd = { .fd = offers->host, .events = POLLIN };
        gint64 left = (deadline - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND;
        struct letter *letter;

        switch (receive(offers->host, &letter)) {
        case RECEIVED:
            if (is_answer(&letter->message, open))
                return letter;
            g_queue_push_tail(&offers->letters, letter);
            set_source(&offers->idle, g_idle_source_new(), on_letters, offers);
            break;
        case NOTHING_THERE:
            if (left <= 0 || (poll(&fd, 1, (int)left) < 0 && errno != EINTR))
                return NULL;
            break;
        case HOST_GONE:
            return NULL; /* the main loop finds out, too */
        }
    }
}

static gboolean
take_channel(struct letter *answer, struct hvs_channel *channel, GError **error)
{
    size_t size = (size_t)answer->message.map_size;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, answer->fds[0], 0);
    int fd = answer->fds[1];

    if (map == MAP_FAILED)
        return fail((uint32_t)errno, error);
    answer->fds[1] = -1;
    return hvs_channel_init(channel, fd, map, size, error);
}

gboolean
hvs_offers_open(hvs_offers *offers, unsigned channel_number, struct hvs_channel *channel,
                GError **error)
{
    struct hvhost_message open = { .type = HVHOST_MESSAGE_OPEN,
                                   .channel = channel_number,
                                   .offer = offers->offer[channel_number] };
    struct letter *answer;
    gboolean opened;

    if (offers->host < 0 || !offers->offered[channel_number] ||
        send(offers->host, &open, sizeof open, MSG_NOSIGNAL) != (ssize_t)sizeof open)
        return fail(ENODEV, error);
    answer = wait_for_answer(offers, &open);
    if (answer == NULL)
        return fail(ENODEV, error);
    opened = answer->message.type == HVHOST_MESSAGE_OPENED ? take_channel(answer, channel, error)
                                                           : fail(answer->message.error, error);
    drop_letter(answer);
    return opened;
}
