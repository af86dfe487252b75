/* A dbus-daemon of the test's own, and the test's connection to it. Everything waits for events and
 * fails the test after WAIT. */
#ifndef HVHOST_PRIVATE_BUS_H
#define HVHOST_PRIVATE_BUS_H

#include <gio/gio.h>

struct private_bus {
    char *directory;
    char *address;
    GPid pid;                    /* 0: not running */
    GDBusConnection *connection; /* the test's; NULL: not running */
};

/* The address is there, the bus is not yet. */
void private_bus_init(struct private_bus *bus);
void private_bus_clear(struct private_bus *bus);
/* Starts it at the same address each time, and connects. */
void private_bus_start(struct private_bus *bus);
/* Nobody may take that name any more, or those again who may; whoever has it keeps it. While it runs,
 * before it is started or afterwards. */
void private_bus_refuse_name(struct private_bus *bus, const char *name, gboolean refused);
/* Kills it. */
void private_bus_stop(struct private_bus *bus);
/* Another connection, of a user that is not root: that takes root. Of the same user otherwise. */
GDBusConnection *private_bus_connect_unprivileged(const struct private_bus *bus);
/* Until somebody has the name, or nobody has it any more. */
void private_bus_wait_name(const struct private_bus *bus, const char *name, gboolean owned);

/* Runs the main loop until done(data) says so, which is asked after every event. */
void wait_until(gboolean (*done)(gpointer data), gpointer data, const char *what);

#endif
