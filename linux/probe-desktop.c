/* The probe's last part: what awaits the user behind the login. */
#include "probe-parts.h"

#include <glob.h>
#include <string.h>

/* ---- files by pattern ---- */

/* The first file that a pattern below the root matches, NULL: none. Free with g_free(). */
static char *
find_file(struct hvs_probe *probe, const char *pattern)
{
    g_autofree char *whole = g_build_filename(probe->roots->root, pattern, NULL);
    char *found = NULL;
    glob_t matches;

    if (glob(whole, GLOB_BRACE | GLOB_NOSORT, NULL, &matches) == 0)
        found = g_strdup(matches.gl_pathv[0]);
    globfree(&matches);
    return found;
}

static gboolean
has_file(struct hvs_probe *probe, const char *pattern)
{
    g_autofree char *found = find_file(probe, pattern);

    return found != NULL;
}

/* ---- the X server of the session ---- */

#define XORG_DRIVERS "usr/{lib,lib64,lib/*-linux-*}/xorg/modules/drivers/"

/* Every module of Xorg has an XF86ModuleVersionInfo, which begins with two pointers and these two
 * numbers; abiversion (major in the upper half) comes behind another two words and a pointer (Xorg
 * hw/xfree86/common/xf86Module.h). */
#define MODINFOSTRING1 0xef23fdc5u
#define MODINFOSTRING2 0x10dc023au

/* 0: the file is no such module. */
static guint32
read_abi(const char *module)
{
    const guint32 magic[] = { MODINFOSTRING1, MODINFOSTRING2 };
    const gsize to_abi = sizeof magic + 2 * sizeof(guint32) + sizeof(void *);
    g_autofree char *bytes = NULL;
    gsize length;
    guint32 abi = 0;
    const char *found;

    if (!g_file_get_contents(module, &bytes, &length, NULL))
        return 0;
    found = memmem(bytes, length, magic, sizeof magic);
    if (found == NULL || length - (gsize)(found - bytes) < to_abi + sizeof abi)
        return 0;
    memcpy(&abi, found + to_abi, sizeof abi);
    return abi >> 16;
}

static void
probe_x_server(struct hvs_probe *probe)
{
    struct hvs_facts *facts = probe->facts;
    g_autofree char *xorgxrdp = find_file(probe, XORG_DRIVERS "xrdpdev_drv.so");
    /* A driver that comes with the X server itself. */
    g_autofree char *own = find_file(probe, XORG_DRIVERS "modesetting_drv.so");

    facts->xorgxrdp_installed = hvs_probe_answer(xorgxrdp != NULL);
    facts->xvnc_installed = hvs_probe_answer(has_file(probe, "usr/bin/X{vnc,tigervnc,tightvnc}"));
    facts->xorgxrdp_abi = xorgxrdp != NULL ? read_abi(xorgxrdp) : 0;
    facts->xorg_abi = own != NULL ? read_abi(own) : 0;
    if (facts->xorgxrdp_abi != 0 && facts->xorg_abi != 0)
        facts->xorgxrdp_matches = hvs_probe_answer(facts->xorgxrdp_abi == facts->xorg_abi);
}

/* ---- desktops and sound ---- */

static void
probe_desktops(struct hvs_probe *probe)
{
    struct hvs_facts *facts = probe->facts;

    facts->x_sessions = hvs_probe_answer(has_file(probe, "usr/{,local/}share/xsessions/*.desktop"));
    facts->wayland_sessions =
        hvs_probe_answer(has_file(probe, "usr/{,local/}share/wayland-sessions/*.desktop"));
}

static void
probe_sound(struct hvs_probe *probe)
{
    if (!has_file(probe, "usr/bin/{pipewire,pulseaudio}"))
        return; /* nothing would sound anyway */
    probe->facts->sound_module =
        hvs_probe_answer(has_file(probe, "usr/{,local/}{lib,lib64,lib/*-linux-*}/"
                                         "{pipewire-*/libpipewire-module-xrdp*.so,"
                                         "{pulse-*,pulseaudio}/modules/module-xrdp-sink.so}") ||
                         has_file(probe, "var/lib/xrdp-pulseaudio-installer/module-xrdp-sink.so"));
}

/* ---- who is there already ---- */

/* The value of a line KEY=VALUE; "" if there is none. Free with g_free(). */
static char *
get_value(char **lines, const char *key)
{
    gsize length = strlen(key);

    for (gsize i = 0; lines[i] != NULL; i++)
        if (g_str_has_prefix(lines[i], key) && lines[i][length] == '=')
            return g_strdup(lines[i] + length + 1);
    return g_strdup("");
}

static gboolean
is_one_of(const char *word, const char *one, const char *other)
{
    return strcmp(word, one) == 0 || strcmp(word, other) == 0;
}

/* A user's graphical session on the machine's own screen; login screens are of another class. */
static gboolean
is_console_session(char **lines)
{
    g_autofree char *seat = get_value(lines, "SEAT");
    g_autofree char *class = get_value(lines, "CLASS");
    g_autofree char *type = get_value(lines, "TYPE");
    g_autofree char *state = get_value(lines, "STATE");

    return strcmp(seat, "seat0") == 0 && is_one_of(class, "user", "user-early") &&
           is_one_of(type, "x11", "wayland") && is_one_of(state, "active", "online");
}

static void
probe_console(struct hvs_probe *probe)
{
    struct hvs_facts *facts = probe->facts;
    g_autofree char *path = g_build_filename(probe->roots->run, "systemd/sessions", NULL);
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    if (directory == NULL)
        return;
    facts->console_login = HVS_NO;
    while (facts->console_login == HVS_NO && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *text = NULL;
        g_auto(GStrv) lines = NULL;
        g_autofree char *user = NULL;

        if (strchr(name, '.') != NULL) /* ID.ref, a pipe */
            continue;
        text = hvs_probe_read(probe, path, name);
        lines = g_strsplit(text != NULL ? text : "", "\n", -1);
        if (!is_console_session(lines))
            continue;
        user = get_value(lines, "USER");
        hvs_probe_set(facts->console_user, user);
        hvs_probe_set(facts->console_session, name);
        facts->console_login = HVS_YES;
    }
}

/* ---- colord's questions ---- */

#define COLORD_ACTIONS "org.freedesktop.color-manager."

/* What polkit does for sessions that are not local, as xrdp's are. */
static gboolean
is_allowed_by_policy(const char *policy)
{
    const char *action = strstr(policy, "\"" COLORD_ACTIONS "create-device\"");
    const char *any = action != NULL ? strstr(action, "<allow_any>") : NULL;

    return any != NULL && g_str_has_prefix(any, "<allow_any>yes<");
}

static gboolean
mentions_colord(struct hvs_probe *probe, const char *directory, const char *name)
{
    g_autofree char *text = hvs_probe_read(probe, directory, name);

    return text != NULL && strstr(text, "color-manager") != NULL;
}

/* Any rule on colord counts: somebody has thought of it. HVS_UNKNOWN: not ours to read. */
static enum hvs_answer
has_colord_rule(struct hvs_probe *probe, const char *root, const char *path)
{
    g_autofree char *whole = g_build_filename(root, path, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) directory = g_dir_open(whole, 0, &error);
    gboolean denied_before = probe->denied;
    gboolean unreadable, found = FALSE;
    const char *name;

    if (directory == NULL && g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        return HVS_NO;
    if (directory == NULL) {
        probe->denied = TRUE;
        return HVS_UNKNOWN;
    }
    probe->denied = FALSE;
    while (!found && (name = g_dir_read_name(directory)) != NULL)
        found = mentions_colord(probe, whole, name);
    unreadable = probe->denied;
    probe->denied |= denied_before;
    if (found)
        return HVS_YES;
    return unreadable ? HVS_UNKNOWN : HVS_NO;
}

static void
probe_colord(struct hvs_probe *probe)
{
    const struct hvs_roots *roots = probe->roots;
    const struct {
        const char *root;
        const char *path;
    } places[] = {
        { roots->etc, "polkit-1/rules.d" },
        { roots->root, "usr/share/polkit-1/rules.d" },
        { roots->root, "usr/local/share/polkit-1/rules.d" },
        { roots->run, "polkit-1/rules.d" },
        /* polkit before 121 on Debian and Ubuntu */
        { roots->etc, "polkit-1/localauthority/50-local.d" },
        { roots->root, "var/lib/polkit-1/localauthority/50-local.d" },
    };
    g_autofree char *policy =
        hvs_probe_read(probe, roots->root,
                       "usr/share/polkit-1/actions/org.freedesktop.color.policy");
    enum hvs_answer answer = HVS_YES;

    if (policy == NULL || is_allowed_by_policy(policy)) {
        probe->facts->colord_prompts = HVS_NO;
        return;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
        enum hvs_answer rule = has_colord_rule(probe, places[i].root, places[i].path);

        if (rule == HVS_YES) {
            probe->facts->colord_prompts = HVS_NO;
            return;
        }
        if (rule == HVS_UNKNOWN)
            answer = HVS_UNKNOWN;
    }
    probe->facts->colord_prompts = answer;
}

void
hvs_probe_desktop(struct hvs_probe *probe)
{
    probe_x_server(probe);
    probe_desktops(probe);
    probe_sound(probe);
    probe_console(probe);
    probe_colord(probe);
}
