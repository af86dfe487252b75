/* hvsessiond on a message bus of its own: what it publishes, who may act, and how it does without.
 */
#include "fake-polkit.h"
#include "private-bus.h"
#include "session-fixture.h"

#include "linux/checkup.h"
#include "linux/dbus.h"
#include "tests/unit/fake-guest.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANAGER    "io.github.hvsession1.Manager"
#define SESSION    "io.github.hvsession1.Session"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define OBJECTS    "org.freedesktop.DBus.ObjectManager"

#define HYBRID_REQUIRED_BY_SERVER 5 /* [MS-RDPBCGR] 2.2.1.2.2 */

/* Milliseconds in which nothing is to happen. */
#define QUIET 1200

struct signal {
    char *path, *name;
    GVariant *parameters;
};

struct test {
    struct fixture f;
    struct private_bus bus;
    fake_polkit *polkit;
    guint subscription;
    GPtrArray *signals; /* of the daemon, since the test began or forgot them */
};

/* ---- set-up ---- */

static void
free_signal(gpointer data)
{
    struct signal *signal = data;

    g_free(signal->path);
    g_free(signal->name);
    g_variant_unref(signal->parameters);
    g_free(signal);
}

static void
on_signal(GDBusConnection *connection, const char *sender, const char *path, const char *interface,
          const char *name, GVariant *parameters, gpointer user_data)
{
    struct test *t = user_data;
    struct signal *signal = g_new0(struct signal, 1);

    (void)connection;
    (void)sender;
    (void)interface;
    signal->path = g_strdup(path);
    signal->name = g_strdup(name);
    signal->parameters = g_variant_ref(parameters);
    g_ptr_array_add(t->signals, signal);
}

/* The daemon is on the bus, and its signals are counted. */
static void
meet_daemon(struct test *t)
{
    t->subscription =
        g_dbus_connection_signal_subscribe(t->bus.connection, HVS_DBUS_NAME, NULL, NULL, NULL, NULL,
                                           G_DBUS_SIGNAL_FLAGS_NONE, on_signal, t, NULL);
    private_bus_wait_name(&t->bus, HVS_DBUS_NAME, TRUE);
}

static void
begin_test(struct test *t, struct setup setup)
{
    *t = (struct test){ .signals = g_ptr_array_new_with_free_func(free_signal) };
    private_bus_init(&t->bus);
    private_bus_start(&t->bus);
    setup.bus = t->bus.address;
    set_up(&t->f, &setup);
    meet_daemon(t);
}

static void
end_test(struct test *t)
{
    g_clear_pointer(&t->polkit, fake_polkit_free);
    tear_down(&t->f);
    g_dbus_connection_signal_unsubscribe(t->bus.connection, t->subscription);
    private_bus_clear(&t->bus);
    g_ptr_array_unref(t->signals);
}

/* ---- calls ---- */

static GVariant *
call(GDBusConnection *connection, const char *path, const char *interface, const char *method,
     GVariant *parameters, GError **error)
{
    return g_dbus_connection_call_sync(connection, HVS_DBUS_NAME, path, interface, method,
                                       parameters, NULL, G_DBUS_CALL_FLAGS_NONE, WAIT, NULL, error);
}

static GVariant *
call_well(struct test *t, const char *path, const char *interface, const char *method,
          GVariant *parameters)
{
    GError *error = NULL;
    GVariant *reply = call(t->bus.connection, path, interface, method, parameters, &error);

    g_assert_no_error(error);
    return reply;
}

static void
call_manager(struct test *t, const char *method, GVariant *parameters)
{
    g_variant_unref(call_well(t, HVS_DBUS_PATH, MANAGER, method, parameters));
}

static void
expect_error(GDBusConnection *connection, const char *method, GVariant *parameters,
             const char *name, const char *words)
{
    GError *error = NULL;
    GVariant *reply = call(connection, HVS_DBUS_PATH, MANAGER, method, parameters, &error);
    g_autofree char *found = NULL;

    g_assert_null(reply);
    found = g_dbus_error_get_remote_error(error);
    g_assert_cmpstr(found, ==, name);
    if (!strstr(error->message, words))
        g_error("\"%s\" does not say \"%s\"", error->message, words);
    g_error_free(error);
}

static char *
session_path(unsigned id)
{
    return g_strdup_printf(HVS_DBUS_PATH "/session/%u", id);
}

static GVariant *
get_property(struct test *t, const char *path, const char *interface, const char *name)
{
    g_autoptr(GVariant) reply =
        call_well(t, path, PROPERTIES, "Get", g_variant_new("(ss)", interface, name));
    GVariant *value;

    g_variant_get(reply, "(v)", &value);
    return value;
}

static void
expect_property(struct test *t, const char *path, const char *interface, const char *name,
                const char *expected)
{
    g_autoptr(GVariant) value = get_property(t, path, interface, name);
    g_autofree char *printed = g_variant_print(value, FALSE);

    if (!g_str_equal(printed, expected))
        g_error("%s of %s is %s, not %s", name, path, printed, expected);
}

static void
expect_session(struct test *t, unsigned id, const char *name, const char *expected)
{
    g_autofree char *path = session_path(id);

    expect_property(t, path, SESSION, name, expected);
}

/* ---- signals ---- */

static void
forget_signals(struct test *t)
{
    g_ptr_array_set_size(t->signals, 0);
}

/* The properties that the signal tells of the object; NULL: it tells none. */
static GVariant *
properties_told(const struct signal *signal, const char *path)
{
    g_autoptr(GVariant) interfaces = NULL;
    const char *added;

    if (g_str_equal(signal->path, path) && g_str_equal(signal->name, "PropertiesChanged"))
        return g_variant_get_child_value(signal->parameters, 1);
    if (!g_str_equal(signal->name, "InterfacesAdded"))
        return NULL;
    g_variant_get(signal->parameters, "(&o@a{sa{sv}})", &added, &interfaces);
    return g_str_equal(added, path)
               ? g_variant_lookup_value(interfaces, SESSION, G_VARIANT_TYPE_VARDICT)
               : NULL;
}

/* What the object's signals said of the property last; NULL: nothing. */
static GVariant *
told_property(struct test *t, const char *path, const char *name)
{
    GVariant *value = NULL;

    for (guint i = 0; i < t->signals->len; i++) {
        const struct signal *signal = g_ptr_array_index(t->signals, i);
        g_autoptr(GVariant) changed = properties_told(signal, path);
        GVariant *found = changed != NULL ? g_variant_lookup_value(changed, name, NULL) : NULL;

        if (found == NULL)
            continue;
        g_clear_pointer(&value, g_variant_unref);
        value = found;
    }
    return value;
}

struct wanted {
    struct test *t;
    const char *path, *name, *value;
};

static gboolean
is_told(gpointer data)
{
    const struct wanted *wanted = data;
    g_autoptr(GVariant) value = told_property(wanted->t, wanted->path, wanted->name);
    g_autofree char *printed = value != NULL ? g_variant_print(value, FALSE) : NULL;

    return g_strcmp0(printed, wanted->value) == 0;
}

static void
wait_told(struct test *t, const char *path, const char *name, const char *value)
{
    struct wanted wanted = { t, path, name, value };
    g_autofree char *what = g_strdup_printf("%s of %s was not told to be %s", name, path, value);

    wait_until(is_told, &wanted, what);
}

static void
wait_session_told(struct test *t, unsigned id, const char *name, const char *value)
{
    g_autofree char *path = session_path(id);

    wait_told(t, path, name, value);
}

static unsigned
count_signals(const struct test *t, const char *path, const char *name)
{
    unsigned count = 0;

    for (guint i = 0; i < t->signals->len; i++) {
        const struct signal *signal = g_ptr_array_index(t->signals, i);

        count += g_str_equal(signal->path, path) && g_str_equal(signal->name, name);
    }
    return count;
}

struct counted {
    struct test *t;
    const char *name;
    unsigned count;
};

static gboolean
are_counted(gpointer data)
{
    const struct counted *counted = data;

    return count_signals(counted->t, HVS_DBUS_PATH, counted->name) >= counted->count;
}

/* InterfacesAdded or InterfacesRemoved, that many since they were forgotten. */
static void
wait_objects(struct test *t, const char *name, unsigned count)
{
    struct counted counted = { t, name, count };

    wait_until(are_counted, &counted, "the sessions were not told");
}

/* ---- time and answers ---- */

static gboolean
on_time(gpointer data)
{
    *(gboolean *)data = TRUE;
    return G_SOURCE_REMOVE;
}

static gboolean
is_time(gpointer data)
{
    return *(gboolean *)data;
}

/* Takes signals for that long. */
static void
listen_for(guint milliseconds)
{
    gboolean over = FALSE;

    g_timeout_add(milliseconds, on_time, &over);
    wait_until(is_time, &over, "time does not pass");
}

static void
on_called(GObject *source, GAsyncResult *result, gpointer user_data)
{
    GError **error = user_data;
    GVariant *reply = g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, error);

    if (reply != NULL) {
        g_variant_unref(reply);
        *error = g_error_new_literal(G_IO_ERROR, G_IO_ERROR_FAILED, "it was allowed");
    }
}

static gboolean
has_error(gpointer data)
{
    return *(GError **)data != NULL;
}

/* ---- what is published ---- */

static void
test_manager(void)
{
    struct test t;
    g_autofree char *server = NULL;

    begin_test(&t, (struct setup){ 0 });
    server = g_strdup_printf("'%s'", t.f.server);
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "State", "'ready'");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "Problem", "''");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "HostOffer", "'ready'");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "HostVersion", "'1.0'");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "KernelSupport", "'working'");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "Transports", "['vmbus', 'hvsocket']");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "Server", server);
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "SessionCount", "0");
    end_test(&t);
}

/* Every property of the XML file is there, of the type it says, and no other. */
static void
check_interface(struct test *t, const char *path, const char *name)
{
    g_autoptr(GVariant) xml =
        call_well(t, path, "org.freedesktop.DBus.Introspectable", "Introspect", NULL);
    g_autoptr(GVariant) reply =
        call_well(t, path, PROPERTIES, "GetAll", g_variant_new("(s)", name));
    g_autoptr(GVariant) values = g_variant_get_child_value(reply, 0);
    const char *text;
    GDBusNodeInfo *node;
    GDBusPropertyInfo **properties;
    unsigned count = 0;

    g_variant_get(xml, "(&s)", &text);
    node = g_dbus_node_info_new_for_xml(text, NULL);
    properties = g_dbus_node_info_lookup_interface(node, name)->properties;
    for (; *properties; properties++, count++) {
        g_autoptr(GVariant) value = g_variant_lookup_value(values, (*properties)->name, NULL);

        g_assert_nonnull(value);
        g_assert_cmpstr(g_variant_get_type_string(value), ==, (*properties)->signature);
    }
    g_assert_cmpuint(g_variant_n_children(values), ==, count);
    g_assert_cmpuint(count, >=, 15);
    g_dbus_node_info_unref(node);
}

static void
test_introspection(void)
{
    g_autofree char *path = session_path(1);
    struct session session;
    struct test t;

    begin_test(&t, (struct setup){ 0 });
    check_interface(&t, HVS_DBUS_PATH, MANAGER);
    start_session(&session, &t.f, 1);
    wait_objects(&t, "InterfacesAdded", 1);
    check_interface(&t, path, SESSION);
    hvhost_rescind(t.f.host, 1);
    end_session(&session, "host-rescinded");
    end_test(&t);
}

static void
test_describe(void)
{
    static const struct {
        const char *form, *words;
    } forms[] = {
        { "status-text", "Ready for Enhanced Session, nobody is connected\n" },
        { "status-json", "{\n  \"schema\": 1,\n  \"version\"" },
        { "sessions-text", "No sessions.\n" },
        { "sessions-json", "{\n  \"schema\": 1,\n  \"sessions\": []" },
    };
    struct test t;

    begin_test(&t, (struct setup){ 0 });
    for (gsize i = 0; i < G_N_ELEMENTS(forms); i++) {
        g_autoptr(GVariant) reply =
            call_well(&t, HVS_DBUS_PATH, MANAGER, "Describe", g_variant_new("(s)", forms[i].form));
        const char *document;

        g_variant_get(reply, "(&s)", &document);
        g_assert_true(g_str_has_prefix(document, forms[i].words));
    }
    expect_error(t.bus.connection, "Describe", g_variant_new("(s)", "html"),
                 "org.freedesktop.DBus.Error.InvalidArgs", "sessions-json");
    end_test(&t);
}

static int
compare_strings(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The ids of the published sessions, each with its State, in the order of their letters. */
static char *
managed_sessions(struct test *t)
{
    g_autoptr(GVariant) reply = call_well(t, HVS_DBUS_PATH, OBJECTS, "GetManagedObjects", NULL);
    g_autoptr(GVariantIter) objects = NULL;
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
    const char *path;
    GVariant *interfaces;

    g_variant_get(reply, "(a{oa{sa{sv}}})", &objects);
    while (g_variant_iter_next(objects, "{&o@a{sa{sv}}}", &path, &interfaces)) {
        g_autoptr(GVariant) session =
            g_variant_lookup_value(interfaces, SESSION, G_VARIANT_TYPE_VARDICT);
        const char *state = NULL;

        g_assert_true(g_variant_lookup(session, "State", "&s", &state));
        g_ptr_array_add(found,
                        g_strdup_printf("%s %s", path + strlen(HVS_DBUS_PATH "/session/"), state));
        g_variant_unref(interfaces);
    }
    g_ptr_array_sort(found, compare_strings);
    g_ptr_array_add(found, NULL);
    return g_strjoinv(", ", (char **)found->pdata);
}

static void
expect_sessions(struct test *t, const char *expected)
{
    g_autofree char *found = managed_sessions(t);

    g_assert_cmpstr(found, ==, expected);
}

static void
expect_bytes(struct test *t, unsigned id, const char *name, size_t expected)
{
    g_autofree char *printed = g_strdup_printf("%zu", expected);

    expect_session(t, id, name, printed);
}

/* It has no channel, and is like the others otherwise. */
static void
test_hvsocket_session(void)
{
    struct session session;
    struct test t;

    begin_test(&t, (struct setup){ 0 });
    t.polkit = fake_polkit_new(t.bus.address, FAKE_POLKIT_ALLOW);
    begin_socket_session(&session, &t.f);
    negotiate(&session);
    check_session(&session);
    wait_objects(&t, "InterfacesAdded", 1);
    expect_sessions(&t, "1 active");
    expect_session(&t, 1, "Channel", "0");
    expect_session(&t, 1, "Transport", "'hvsocket'");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "HvSocket", "'listening'");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "HvSocketUsed", "true");
    call_manager(&t, "Disconnect", g_variant_new("(u)", 1));
    end_session(&session, "disconnected");
    wait_session_told(&t, 1, "EndReason", "'disconnected'");
    end_test(&t);
}

/* Three sessions with what they carried, and one of them ended by an administrator. */
static void
test_three_sessions(void)
{
    struct session sessions[3];
    struct test t;

    begin_test(&t, (struct setup){ 0 });
    t.polkit = fake_polkit_new(t.bus.address, FAKE_POLKIT_ALLOW);
    for (unsigned i = 0; i < 3; i++) {
        start_session(&sessions[i], &t.f, i + 1);
        for (unsigned j = 0; j <= i; j++)
            check_session(&sessions[i]);
    }
    wait_objects(&t, "InterfacesAdded", 3);
    wait_told(&t, HVS_DBUS_PATH, "SessionCount", "3");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "State", "'active'");
    expect_sessions(&t, "1 active, 2 active, 3 active");
    for (unsigned i = 0; i < 3; i++) {
        g_autofree char *channel = g_strdup_printf("%u", i + 1);

        /* Counters are behind by what the relay has not gone to sleep on yet, so wait for them. */
        g_autofree char *to_server = g_strdup_printf("%zu", sizeof bare_request + (i + 1) * 600);
        g_autofree char *to_host = g_strdup_printf("%zu", sizeof bare_confirm + 1 + (i + 1) * 600);

        wait_session_told(&t, i + 1, "BytesToServer", to_server);
        wait_session_told(&t, i + 1, "BytesToHost", to_host);
        expect_session(&t, i + 1, "Channel", channel);
        expect_session(&t, i + 1, "Transport", "'vmbus'");
        expect_session(&t, i + 1, "EndReason", "''");
    }

    call_manager(&t, "Disconnect", g_variant_new("(u)", 2));
    end_session(&sessions[1], "disconnected");
    wait_session_told(&t, 2, "EndReason", "'disconnected'");
    wait_session_told(&t, 2, "State", "'ended'");
    wait_told(&t, HVS_DBUS_PATH, "SessionCount", "2");
    expect_bytes(&t, 2, "BytesToServer", sizeof bare_request + 2 * 600);
    expect_session(&t, 2, "Trouble", "false");
    expect_error(t.bus.connection, "Disconnect", g_variant_new("(u)", 2),
                 "io.github.hvsession1.Error.NoSuchSession", "no session 2");
    check_session(&sessions[0]);
    check_session(&sessions[2]);
    expect_sessions(&t, "1 active, 2 ended, 3 active");
    for (unsigned i = 0; i < 3; i += 2) {
        hvhost_rescind(t.f.host, i + 1);
        end_session(&sessions[i], "host-rescinded");
    }
    end_test(&t);
}

static void
append(GByteArray *to, const void *bytes, size_t length)
{
    g_byte_array_append(to, bytes, (guint)length);
}

/* An MCS Connect Initial with Client Core Data and two static channels. */
static GByteArray *
make_connect_initial(void)
{
    static const uint8_t head[] = { 0x03, 0x00, 0x00, 0x00, 0x02, 0xf0, 0x80, 0x7f, 0x65, 0x82,
                                    0x00, 0x00, 0x04, 0x00, 0x04, 0x00, 0x01, 0x01, 0xff, 0x30,
                                    0x00, 0x30, 0x00, 0x30, 0x00, 0x04, 0x82, 0x00, 0x00 };
    static const uint8_t gcc[] = {
        0x00, 0x05, 0x00, 0x14, 0x7c, 0x00, 0x01, 0x2a, 0x00, 0x08, 0x00,
        0x10, 0x00, 0x01, 0xc0, 0x00, 'D',  'u',  'c',  'a',  0x81, 0x08
    };
    static const uint8_t network[] = { 0x03, 0xc0, 0x20, 0x00, 2, 0, 0, 0, 'c',  'l', 'i',
                                       'p',  'r',  'd',  'r',  0, 0, 0, 0, 0xc0, 'r', 'd',
                                       'p',  's',  'n',  'd',  0, 0, 0, 0, 0,    0xc0 };
    uint8_t core[232] = { 0x01, 0xc0, 0xe8, 0x00, 0x0c, 0, 8, 0, 0x80, 0x07, 0x38, 0x04 };
    GByteArray *pdu = g_byte_array_new();

    core[24] = 'P';
    core[26] = 'C';
    core[140] = 24;
    G_STATIC_ASSERT(sizeof core + sizeof network == 0x108);
    append(pdu, head, sizeof head);
    append(pdu, gcc, sizeof gcc);
    append(pdu, core, sizeof core);
    append(pdu, network, sizeof network);
    pdu->data[2] = (uint8_t)(pdu->len >> 8);
    pdu->data[3] = (uint8_t)pdu->len;
    pdu->data[10] = (uint8_t)((pdu->len - 12) >> 8);
    pdu->data[11] = (uint8_t)(pdu->len - 12);
    pdu->data[27] = (uint8_t)((pdu->len - 29) >> 8);
    pdu->data[28] = (uint8_t)(pdu->len - 29);
    return pdu;
}

/* What the client says about itself, from its own bytes to the bus. */
static void
test_client(void)
{
    static const uint8_t request[19] = { 3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0,
                                         0, 1, 0, 8,  0,  0x0b, 0, 0, 0 };
    static const uint8_t confirm[19] = { 3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34,
                                         0, 2, 0, 8,  0,  0,    0, 0, 0 };
    GByteArray *initial = make_connect_initial();
    g_autofree char *server = NULL;
    uint8_t bytes[512];
    struct session session;
    struct test t;

    begin_test(&t, (struct setup){ 0 });
    server = g_strdup_printf("'%s'", t.f.server);
    begin_session(&session, &t.f, 4);
    host_write(&session, request, sizeof request);
    session.server = accept_server(t.f.listener);
    receive_all(session.server, bytes, sizeof request);
    send_all(session.server, confirm, sizeof confirm);
    host_read(&session, bytes, sizeof confirm);
    host_write(&session, initial->data, initial->len);
    receive_all(session.server, bytes, initial->len);
    wait_session_told(&t, 1, "ClientName", "'PC'");
    expect_session(&t, 1, "DesktopSize", "(1920, 1080)");
    expect_session(&t, 1, "ColourDepth", "24");
    expect_session(&t, 1, "StaticChannels", "['cliprdr', 'rdpsnd']");
    expect_session(&t, 1, "RequestedProtocols", "'SSL|HYBRID|HYBRID_EX'");
    expect_session(&t, 1, "SelectedProtocol", "'RDP'");
    expect_session(&t, 1, "Server", server);
    expect_session(&t, 1, "State", "'negotiating'");
    hvhost_rescind(t.f.host, 4);
    end_session(&session, "host-rescinded");
    g_byte_array_unref(initial);
    end_test(&t);
}

/* Sessions that have ended are remembered, the last few of them. */
static void
test_ended_sessions(void)
{
    struct test t;

    begin_test(&t, (struct setup){ 0 });
    for (unsigned i = 1; i <= HVS_STATUS_ENDED_MAX + 2; i++) {
        expect_working(&t.f, 1);
        wait_objects(&t, "InterfacesAdded", i);
    }
    wait_objects(&t, "InterfacesRemoved", 2);
    expect_sessions(&t, "10 ended, 3 ended, 4 ended, 5 ended, 6 ended, 7 ended, 8 ended, 9 ended");
    wait_told(&t, HVS_DBUS_PATH, "SessionsTotal", "10");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "BytesToServer", "6110");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "BytesToHost", "6120");
    end_test(&t);
}

/* ---- the diagnosis ---- */

/* The daemon on a guest made of files, where the RDP server listens at port 3389. */
static void
begin_on_guest(struct test *t, struct guest *guest)
{
    guest_init(guest);
    begin_test(t, (struct setup){ .root = guest->directory, .server = "tcp:127.0.0.1:3389" });
    wait_told(t, HVS_DBUS_PATH, "Verdict", "'fine'");
}

static void
end_on_guest(struct test *t, struct guest *guest)
{
    end_test(t);
    guest_clear(guest);
}

/* Findings were told, and one of them has that name. */
static gboolean
is_found(gpointer data)
{
    const struct wanted *wanted = data;
    g_autoptr(GVariant) findings = told_property(wanted->t, HVS_DBUS_PATH, "Findings");

    for (gsize i = 0; findings != NULL && i < g_variant_n_children(findings); i++) {
        g_autoptr(GVariant) finding = g_variant_get_child_value(findings, i);
        const char *name = NULL;

        if (g_variant_lookup(finding, "name", "&s", &name) && g_str_equal(name, wanted->name))
            return TRUE;
    }
    return FALSE;
}

static void
wait_found(struct test *t, const char *name)
{
    struct wanted wanted = { .t = t, .name = name };

    wait_until(is_found, &wanted, name);
}

static void
test_fine_guest(void)
{
    struct guest guest;
    struct test t;

    begin_on_guest(&t, &guest);
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "DiagnosisSummary",
                    "'All is in place for Enhanced Session.'");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "Findings", "[]");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "ServerState", "'reachable'");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "VirtualMachine", "'Build 7'");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "HostName", "'HV01'");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "HostBuild", "''");
    end_on_guest(&t, &guest);
}

/* What doctor says, in every part, as soon as Diagnose() has returned. */
static void
test_diagnose(void)
{
    struct guest guest;
    struct test t;
    g_autoptr(GVariant) findings = NULL, finding = NULL, steps = NULL;
    const char *where, *note, *command;

    begin_on_guest(&t, &guest);
    guest_remove(&guest, GUEST_CONTROL);
    guest_remove(&guest, GUEST_DATA);
    call_manager(&t, "Diagnose", NULL);
    findings = get_property(&t, HVS_DBUS_PATH, MANAGER, "Findings");
    finding = g_variant_get_child_value(findings, 0);
    for (const char *const *key =
             (const char *const[]){ "code", "name", "severity", "sentence", "why", "manual", NULL };
         *key != NULL; key++) {
        const char *value = NULL;

        g_assert_true(g_variant_lookup(finding, *key, "&s", &value));
        g_assert_cmpstr(value, !=, "");
        if (g_str_equal(*key, "name"))
            g_assert_cmpstr(value, ==, "not-offered");
        if (g_str_equal(*key, "manual"))
            g_assert_cmpstr(value, ==, "man:hvsession(7)#not-offered");
    }
    steps = g_variant_lookup_value(finding, "fix", G_VARIANT_TYPE("a(sss)"));
    g_assert_nonnull(steps);
    g_variant_get_child(steps, 0, "(&s&s&s)", &where, &note, &command);
    g_assert_cmpstr(where, ==, "host");
    g_assert_nonnull(strstr(command, "Set-VMHost -EnableEnhancedSessionMode $true"));
    wait_told(&t, HVS_DBUS_PATH, "Verdict", "'not-offered'");

    guest_set_listener(&guest, 0);
    call_manager(&t, "Diagnose", NULL);
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "ServerState", "'unreachable'");
    end_on_guest(&t, &guest);
}

/* The service listens there all the time: that the host comes that way is what counts. */
static void
test_hvsocket_is_used(void)
{
    struct session session;
    struct guest guest;
    struct test t;

    begin_on_guest(&t, &guest);
    guest_remove(&guest, GUEST_CONTROL);
    guest_remove(&guest, GUEST_DATA);
    call_manager(&t, "Diagnose", NULL);
    wait_told(&t, HVS_DBUS_PATH, "Verdict", "'not-offered'");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "HvSocket", "'listening'");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "HvSocketUsed", "false");

    begin_socket_session(&session, &t.f);
    wait_found(&t, "hvsocket-only");
    wait_told(&t, HVS_DBUS_PATH, "Verdict", "'fine'");
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "HvSocketUsed", "true");
    g_assert_cmpint(shutdown(session.socket, SHUT_RDWR), ==, 0);
    end_session(&session, "host-rescinded");
    end_on_guest(&t, &guest);
}

/* Only the service knows how the server answered; it looks again without being asked. */
static void
test_refused_session(void)
{
    struct guest guest;
    struct test t;

    guest_init(&guest);
    begin_test(&t, (struct setup){ .root = guest.directory });
    guest_set_listener(&guest, server_port(&t.f));
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "FailureCode", "0");
    refuse_session(&t.f, 1, HYBRID_REQUIRED_BY_SERVER);
    wait_told(&t, HVS_DBUS_PATH, "FailureCode", "5");
    wait_found(&t, "server-nla-only");
    end_on_guest(&t, &guest);
}

static void
test_bad_configuration(void)
{
    struct guest guest;
    struct test t;

    begin_on_guest(&t, &guest);
    write_config(&t.f, "tcp:127.0.0.1:99999", NULL);
    signal_daemon(&t.f, SIGHUP);
    wait_found(&t, "configuration");
    write_config(&t.f, "tcp:127.0.0.1:3389", NULL);
    signal_daemon(&t.f, SIGHUP);
    wait_told(&t, HVS_DBUS_PATH, "Verdict", "'fine'");
    end_on_guest(&t, &guest);
}

/* What the probe reads next is a pipe that nobody writes to. */
static char *
make_probe_wait(const struct guest *guest)
{
    char *path = guest_path(guest, "etc/os-release");

    g_assert_cmpint(unlink(path), ==, 0);
    g_assert_cmpint(mkfifo(path, 0644), ==, 0);
    return path;
}

/* When it reads there; the next one finds a file again. */
static void
let_probe_go(const struct guest *guest, const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    guest_write(guest, "etc/os-release", "ID=debian\n");
    close(fd);
}

/* However long a look takes: everything else goes on, those who ask meanwhile get another look
 * together, and too many are told so. */
static void
test_slow_diagnosis(void)
{
    GError *errors[HVS_CHECKUP_PENDING_MAX + 2] = { NULL };
    struct session session;
    struct guest guest;
    struct test t;
    g_autofree char *pipe = NULL;
    gint64 began;

    guest_init(&guest);
    begin_test(&t, (struct setup){ .root = guest.directory });
    start_session(&session, &t.f, 1);
    wait_told(&t, HVS_DBUS_PATH, "SessionCount", "1");
    call_manager(&t, "Diagnose", NULL);
    pipe = make_probe_wait(&guest);
    for (gsize i = 0; i < G_N_ELEMENTS(errors); i++)
        g_dbus_connection_call(t.bus.connection, HVS_DBUS_NAME, HVS_DBUS_PATH, MANAGER, "Diagnose",
                               NULL, NULL, G_DBUS_CALL_FLAGS_NONE, G_MAXINT, NULL, on_called,
                               &errors[i]);
    wait_until(has_error, &errors[G_N_ELEMENTS(errors) - 1], "no limit was told");
    g_assert_true(g_error_matches(errors[G_N_ELEMENTS(errors) - 1], G_DBUS_ERROR,
                                  G_DBUS_ERROR_LIMITS_EXCEEDED));
    let_probe_go(&guest, pipe);
    for (gsize i = 0; i < HVS_CHECKUP_PENDING_MAX; i++) {
        wait_until(has_error, &errors[i], "no answer came");
        g_assert_cmpstr(errors[i]->message, ==, "it was allowed");
    }
    for (gsize i = 0; i < G_N_ELEMENTS(errors); i++)
        g_clear_error(&errors[i]);

    began = g_get_monotonic_time();
    for (unsigned i = 0; i < 3; i++)
        call_manager(&t, "Diagnose", NULL);
    g_assert_cmpint(g_get_monotonic_time() - began, >=,
                    2 * HVS_CHECKUP_INTERVAL * G_TIME_SPAN_MILLISECOND);
    check_session(&session);
    hvhost_rescind(t.f.host, 1);
    end_session(&session, "host-rescinded");
    end_on_guest(&t, &guest);
}

/* A look that never ends does not keep the service from working, nor from ending. */
static void
test_stuck_diagnosis(void)
{
    struct guest guest;
    struct session session;
    struct test t;
    g_autofree char *pipe = NULL;
    GError *error = NULL;

    guest_init(&guest);
    begin_test(&t, (struct setup){ .root = guest.directory });
    call_manager(&t, "Diagnose", NULL);
    pipe = make_probe_wait(&guest);
    g_dbus_connection_call(t.bus.connection, HVS_DBUS_NAME, HVS_DBUS_PATH, MANAGER, "Diagnose",
                           NULL, NULL, G_DBUS_CALL_FLAGS_NONE, G_MAXINT, NULL, on_called, &error);
    start_session(&session, &t.f, 1);
    wait_told(&t, HVS_DBUS_PATH, "SessionCount", "1");
    check_session(&session);
    g_assert_null(error);
    hvhost_rescind(t.f.host, 1);
    end_session(&session, "host-rescinded");
    signal_daemon(&t.f, SIGTERM);
    g_assert_cmpint(wait_daemon(&t.f), ==, 0);
    wait_until(has_error, &error, "no answer came");
    g_assert_cmpstr(error->message, !=, "it was allowed");
    g_error_free(error);
    end_on_guest(&t, &guest);
}

/* Of the channel: its state, and the time of day since when. */
static guint64
channel_since(struct test *t, unsigned number, const char *state)
{
    g_autoptr(GVariant) channels = get_property(t, HVS_DBUS_PATH, MANAGER, "Channels");
    const char *kind, *found;
    guint32 n;
    guint64 since;

    g_assert_cmpuint(g_variant_n_children(channels), ==, 6);
    g_variant_get_child(channels, number, "(u&s&st)", &n, &kind, &found, &since);
    g_assert_cmpuint(n, ==, number);
    g_assert_cmpstr(kind, ==, number == 0 ? "control" : "data");
    g_assert_cmpstr(found, ==, state);
    return since;
}

static void
test_channels(void)
{
    guint64 started, control, before, open;
    g_autoptr(GVariant) since = NULL;
    struct session session;
    struct test t;

    begin_test(&t, (struct setup){ 0 });
    since = get_property(&t, HVS_DBUS_PATH, MANAGER, "Started");
    started = g_variant_get_uint64(since);
    control = channel_since(&t, 0, "open");
    before = channel_since(&t, 1, "not-offered");
    g_assert_cmpuint(control, >=, started - 1);
    g_assert_cmpuint(control, <=, (guint64)g_get_real_time() / 1000 + 1);
    listen_for(20);
    start_session(&session, &t.f, 1);
    wait_told(&t, HVS_DBUS_PATH, "SessionCount", "1");
    open = channel_since(&t, 1, "open");
    g_assert_cmpuint(open, >=, before + 20);
    g_assert_cmpuint(channel_since(&t, 0, "open"), ==, control);
    check_session(&session);
    g_assert_cmpuint(channel_since(&t, 1, "open"), ==, open);
    hvhost_rescind(t.f.host, 1);
    end_session(&session, "host-rescinded");
    end_test(&t);
}

/* ---- signals ---- */

/* How often all threads of the daemon were switched to. */
static gint64
daemon_switches(const struct test *t)
{
    g_autofree char *tasks = g_strdup_printf("/proc/%d/task", t->f.daemon.pid);
    g_autoptr(GDir) directory = g_dir_open(tasks, 0, NULL);
    gint64 sum = 0;
    const char *task;

    while ((task = g_dir_read_name(directory)) != NULL) {
        g_autofree char *path = g_build_filename(tasks, task, "status", NULL);
        g_autofree char *status = NULL;

        if (g_file_get_contents(path, &status, NULL, NULL))
            sum += g_ascii_strtoll(strstr(status, "\nvoluntary_ctxt_switches:") + 26, NULL, 10);
    }
    return sum;
}

/* At most two signals a second however much moves, and none, nor any work, when nothing does. */
static void
test_pace(void)
{
    struct session session;
    struct stream stream;
    struct test t;
    g_autofree char *path = session_path(1);
    g_autoptr(GVariant) rate = NULL;
    gint64 began, lasted, switches;
    unsigned signals;

    begin_test(&t, (struct setup){ 0 });
    start_session(&session, &t.f, 1);
    wait_session_told(&t, 1, "BytesToServer", "11");
    forget_signals(&t);
    began = g_get_monotonic_time();
    for (unsigned i = 0; i < 3; i++) {
        check_session(&session);
        for (gint64 until = began + (i + 1) * 700 * 1000; g_get_monotonic_time() < until;)
            check_session(&session);
    }
    stream = (struct stream){
        .session = &session, .to_server = true, .length = 1000, .piece_max = 1000, .seed = 7
    };
    lasted = (g_get_monotonic_time() - began) / 1000;
    while (g_main_context_iteration(NULL, FALSE))
        ;
    signals = count_signals(&t, path, "PropertiesChanged");
    g_assert_cmpuint(signals, >=, 2);
    g_assert_cmpuint(signals, <=, (guint)(lasted / HVS_DBUS_UPDATE_INTERVAL) + 1);
    rate = told_property(&t, path, "RateToHost");
    g_assert_nonnull(rate);
    g_assert_cmpuint(g_variant_get_uint64(rate), >, 0);

    wait_session_told(&t, 1, "RateToHost", "0");
    wait_session_told(&t, 1, "RateToServer", "0");
    listen_for(HVS_DBUS_UPDATE_INTERVAL + 100);
    forget_signals(&t);
    switches = daemon_switches(&t);
    listen_for(QUIET);
    g_assert_cmpuint(t.signals->len, ==, 0);
    if (!SANITIZED)
        g_assert_cmpint(daemon_switches(&t), ==, switches);
    start_stream(&stream);
    wait_session_told(&t, 1, "State", "'closing'");
    finish_stream(&stream);
    hvhost_rescind(t.f.host, 1);
    end_session(&session, "host-rescinded");
    end_test(&t);
}

/* ---- who may act ---- */

static void
test_polkit_allows(void)
{
    struct test t;
    g_autofree char *question = NULL, *expected = NULL;

    begin_test(&t, (struct setup){ 0 });
    t.polkit = fake_polkit_new(t.bus.address, FAKE_POLKIT_ALLOW);
    call_manager(&t, "Rescan", NULL);
    question = fake_polkit_wait_asked(t.polkit, 1);
    expected = g_strdup_printf("io.github.hvsession1.rescan %s 0",
                               g_dbus_connection_get_unique_name(t.bus.connection));
    g_assert_cmpstr(question, ==, expected);

    /* A caller who allows it is asked for the password. */
    g_variant_unref(g_dbus_connection_call_sync(t.bus.connection, HVS_DBUS_NAME, HVS_DBUS_PATH,
                                                MANAGER, "Reload", NULL, NULL,
                                                G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION,
                                                WAIT, NULL, NULL));
    g_free(question);
    g_free(expected);
    question = fake_polkit_wait_asked(t.polkit, 2);
    expected = g_strdup_printf("io.github.hvsession1.reload %s 1",
                               g_dbus_connection_get_unique_name(t.bus.connection));
    g_assert_cmpstr(question, ==, expected);
    end_test(&t);
}

static void
test_polkit_refuses(void)
{
    static const struct {
        enum fake_polkit_answer answer;
        const char *error, *words;
    } cases[] = {
        { FAKE_POLKIT_DENY, "org.freedesktop.DBus.Error.AccessDenied", "administrators" },
        { FAKE_POLKIT_CHALLENGE, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
          "password" },
    };
    struct session session;
    struct test t;

    begin_test(&t, (struct setup){ 0 });
    t.polkit = fake_polkit_new(t.bus.address, FAKE_POLKIT_DENY);
    start_session(&session, &t.f, 1);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        fake_polkit_answer(t.polkit, cases[i].answer);
        expect_error(t.bus.connection, "Disconnect", g_variant_new("(u)", 1), cases[i].error,
                     cases[i].words);
        expect_error(t.bus.connection, "Rescan", NULL, cases[i].error, cases[i].words);
        expect_error(t.bus.connection, "Reload", NULL, cases[i].error, cases[i].words);
    }
    /* Reading asks nobody. */
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "State", "'active'");
    g_free(fake_polkit_wait_asked(t.polkit, 6));
    check_session(&session);
    hvhost_rescind(t.f.host, 1);
    end_session(&session, "host-rescinded");
    end_test(&t);
}

/* Without an answer of polkit only root may; root is who runs the test, or nobody here is. */
static void
check_only_root(struct test *t)
{
    GDBusConnection *other = private_bus_connect_unprivileged(&t->bus);

    expect_error(other, "Rescan", NULL, "org.freedesktop.DBus.Error.AccessDenied", "only root");
    g_object_unref(other);
    if (geteuid() == 0)
        call_manager(t, "Rescan", NULL);
}

static void
test_without_polkit(void)
{
    struct test t;

    begin_test(&t, (struct setup){ 0 });
    check_only_root(&t);
    end_test(&t);
}

static void
test_polkit_fails(void)
{
    struct test t;

    begin_test(&t, (struct setup){ 0 });
    t.polkit = fake_polkit_new(t.bus.address, FAKE_POLKIT_FAIL);
    check_only_root(&t);
    end_test(&t);
}

/* Somebody takes his time to type a password: everything else goes on, the others included, and so
 * does the end of the service. */
static void
test_polkit_waits(void)
{
    GError *errors[HVS_STATUS_ENDED_MAX + 30] = { NULL };
    GDBusConnection *other;
    struct session session;
    struct test t;

    begin_test(&t, (struct setup){ 0 });
    t.polkit = fake_polkit_new(t.bus.address, FAKE_POLKIT_HOLD);
    other = private_bus_connect_unprivileged(&t.bus);
    start_session(&session, &t.f, 1);
    for (gsize i = 0; i < G_N_ELEMENTS(errors); i++)
        g_dbus_connection_call(other, HVS_DBUS_NAME, HVS_DBUS_PATH, MANAGER, "Rescan", NULL, NULL,
                               G_DBUS_CALL_FLAGS_NONE, G_MAXINT, NULL, on_called, &errors[i]);
    g_free(fake_polkit_wait_asked(t.polkit, 32));
    /* Those that are too many are told so at once. */
    wait_until(has_error, &errors[G_N_ELEMENTS(errors) - 1], "no limit was told");
    g_assert_true(g_error_matches(errors[G_N_ELEMENTS(errors) - 1], G_DBUS_ERROR,
                                  G_DBUS_ERROR_LIMITS_EXCEEDED));
    g_assert_null(errors[0]);
    /* Other than root. */
    if (geteuid() == 0)
        call_manager(&t, "Rescan", NULL);
    check_session(&session);
    expect_property(&t, HVS_DBUS_PATH, MANAGER, "SessionCount", "1");
    fake_polkit_answer(t.polkit, FAKE_POLKIT_ALLOW);
    for (gsize i = 0; i < G_N_ELEMENTS(errors); i++) {
        wait_until(has_error, &errors[i], "no answer came");
        g_assert_cmpint(strcmp(errors[i]->message, "it was allowed") == 0, ==, i < 32);
        g_clear_error(&errors[i]);
    }

    /* One more that is held when the service stops. */
    fake_polkit_answer(t.polkit, FAKE_POLKIT_HOLD);
    g_dbus_connection_call(t.bus.connection, HVS_DBUS_NAME, HVS_DBUS_PATH, MANAGER, "Rescan", NULL,
                           NULL, G_DBUS_CALL_FLAGS_NONE, G_MAXINT, NULL, on_called, &errors[0]);
    g_free(fake_polkit_wait_asked(t.polkit, 33));
    signal_daemon(&t.f, SIGTERM);
    g_assert_cmpint(wait_daemon(&t.f), ==, 0);
    wait_until(has_error, &errors[0], "no answer came");
    g_assert_cmpstr(errors[0]->message, !=, "it was allowed");
    g_clear_error(&errors[0]);
    hvhost_channel_unref(session.channel);
    close(session.server);
    g_object_unref(other);
    end_test(&t);
}

static void
test_reload(void)
{
    struct test t;

    begin_test(&t, (struct setup){ 0 });
    t.polkit = fake_polkit_new(t.bus.address, FAKE_POLKIT_ALLOW);
    write_config(&t.f, "tcp:127.0.0.1:99999", NULL);
    expect_error(t.bus.connection, "Reload", NULL, "io.github.hvsession1.Error.Configuration",
                 "the port must be 1 to 65535");
    write_config(&t.f, "tcp:127.0.0.1:4711", NULL);
    call_manager(&t, "Reload", NULL);
    wait_told(&t, HVS_DBUS_PATH, "Server", "'tcp:127.0.0.1:4711'");
    end_test(&t);
}

/* ---- without a bus ---- */

static void
test_bus_comes_late(void)
{
    struct test t = { .signals = g_ptr_array_new_with_free_func(free_signal) };
    struct session session;

    private_bus_init(&t.bus);
    set_up(&t.f, &(struct setup){ .bus = t.bus.address });
    log_wait(&t.f, NULL, "no system bus");
    start_session(&session, &t.f, 1);
    check_session(&session);
    private_bus_start(&t.bus);
    meet_daemon(&t);
    expect_sessions(&t, "1 active");
    check_session(&session);
    hvhost_rescind(t.f.host, 1);
    end_session(&session, "host-rescinded");
    end_test(&t);
}

/* Killed under the service, and started again. */
static void
test_bus_killed(void)
{
    struct session session;
    struct test t;

    begin_test(&t, (struct setup){ 0 });
    start_session(&session, &t.f, 1);
    check_session(&session);
    private_bus_stop(&t.bus);
    log_wait(&t.f, NULL, "the connection to the bus has ended");
    check_session(&session);
    expect_working(&t.f, 2);

    private_bus_start(&t.bus);
    meet_daemon(&t);
    expect_sessions(&t, "1 active, 2 ended");
    forget_signals(&t);
    check_session(&session);
    wait_session_told(&t, 1, "BytesToHost", "1812");
    hvhost_rescind(t.f.host, 1);
    end_session(&session, "host-rescinded");
    end_test(&t);
}

/* Somebody else has the name, and lets it go. */
static void
test_name_taken(void)
{
    struct test t = { .signals = g_ptr_array_new_with_free_func(free_signal) };
    size_t position = 0;
    guint owner;

    private_bus_init(&t.bus);
    private_bus_start(&t.bus);
    owner = g_bus_own_name_on_connection(t.bus.connection, HVS_DBUS_NAME,
                                         G_BUS_NAME_OWNER_FLAGS_NONE, NULL, NULL, NULL, NULL);
    private_bus_wait_name(&t.bus, HVS_DBUS_NAME, TRUE);
    set_up(&t.f, &(struct setup){ .bus = t.bus.address });
    log_wait(&t.f, &position, "the name io.github.hvsession1 is not ours: another process has it");
    expect_working(&t.f, 1);
    g_bus_unown_name(owner);
    log_wait(&t.f, &position, "published as io.github.hvsession1");
    meet_daemon(&t);
    expect_sessions(&t, "1 ended");
    end_test(&t);
}

/* The service is there before the bus knows its policy, as when a package is installed; and it is
 * asked for on the next bus, too. */
static void
test_name_refused(void)
{
    struct test t = { .signals = g_ptr_array_new_with_free_func(free_signal) };
    size_t position = 0;

    private_bus_init(&t.bus);
    private_bus_refuse_name(&t.bus, HVS_DBUS_NAME, TRUE);
    private_bus_start(&t.bus);
    set_up(&t.f, &(struct setup){ .bus = t.bus.address });
    log_wait(&t.f, &position, "is not ours: the bus refuses it \\(.*\\); hvsession status cannot");
    expect_working(&t.f, 1);
    private_bus_refuse_name(&t.bus, HVS_DBUS_NAME, FALSE);
    log_wait(&t.f, &position, "published as io.github.hvsession1");
    g_assert_false(log_has(&t.f, position, "is not ours"));

    private_bus_stop(&t.bus);
    log_wait(&t.f, &position, "the connection to the bus has ended");
    private_bus_refuse_name(&t.bus, HVS_DBUS_NAME, TRUE);
    private_bus_start(&t.bus);
    log_wait(&t.f, &position, "is not ours: the bus refuses it");
    private_bus_stop(&t.bus);
    log_wait(&t.f, &position, "the connection to the bus has ended");
    private_bus_refuse_name(&t.bus, HVS_DBUS_NAME, FALSE);
    private_bus_start(&t.bus);
    meet_daemon(&t);
    expect_sessions(&t, "1 ended");
    end_test(&t);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dbus/manager", test_manager);
    g_test_add_func("/dbus/introspection", test_introspection);
    g_test_add_func("/dbus/describe", test_describe);
    g_test_add_func("/dbus/sessions/three", test_three_sessions);
    g_test_add_func("/dbus/sessions/hvsocket", test_hvsocket_session);
    g_test_add_func("/dbus/sessions/client", test_client);
    g_test_add_func("/dbus/sessions/ended", test_ended_sessions);
    g_test_add_func("/dbus/channels", test_channels);
    g_test_add_func("/dbus/diagnosis/fine", test_fine_guest);
    g_test_add_func("/dbus/diagnosis/on-request", test_diagnose);
    g_test_add_func("/dbus/diagnosis/hvsocket-is-used", test_hvsocket_is_used);
    g_test_add_func("/dbus/diagnosis/refused-session", test_refused_session);
    g_test_add_func("/dbus/diagnosis/bad-configuration", test_bad_configuration);
    g_test_add_func("/dbus/diagnosis/slow", test_slow_diagnosis);
    g_test_add_func("/dbus/diagnosis/stuck", test_stuck_diagnosis);
    g_test_add_func("/dbus/pace", test_pace);
    g_test_add_func("/dbus/polkit/allows", test_polkit_allows);
    g_test_add_func("/dbus/polkit/refuses", test_polkit_refuses);
    g_test_add_func("/dbus/polkit/absent", test_without_polkit);
    g_test_add_func("/dbus/polkit/fails", test_polkit_fails);
    g_test_add_func("/dbus/polkit/waits", test_polkit_waits);
    g_test_add_func("/dbus/reload", test_reload);
    g_test_add_func("/dbus/bus/comes-late", test_bus_comes_late);
    g_test_add_func("/dbus/bus/killed", test_bus_killed);
    g_test_add_func("/dbus/name/taken", test_name_taken);
    g_test_add_func("/dbus/name/refused", test_name_refused);
    return g_test_run();
}
