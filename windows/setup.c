#include "setup.h"

#include "firewall.h"
#include "os.h"
#include "service.h"
#include "system.h"
#include "termservice.h"
#include "wide.h"

#include <string.h>

struct run {
    bool dry_run;
    struct hvs_text *out;
    struct hvs_setup_result *result;
};

/* What setup wants of a setting of Windows, and how it is called. */
struct wish {
    enum hvs_system_setting_id setting;
    DWORD wanted;
    bool less_will_do;
    const char *name;
    const char *words[3]; /* for its values */
};

static const struct wish wishes[] = {
    { HVS_SYSTEM_REMOTE_DESKTOP, 0, false, "Remote Desktop", { "on", "off" } },
    { HVS_SYSTEM_USER_AUTHENTICATION,
      0,
      false,
      "Network Level Authentication",
      { "not required", "required" } },
    { HVS_SYSTEM_SECURITY_LAYER,
      1,
      true,
      "Remote Desktop's encryption",
      { "its own", "negotiated", "TLS only" } },
    { HVS_SYSTEM_BLANK_PASSWORD,
      0,
      false,
      "Accounts without a password",
      { "let in everywhere", "let in at the console only" } },
    { HVS_SYSTEM_OVERRIDE, 1, false, "Enhanced Session built into Windows", { "on", "off" } },
};

/* ---- lines ---- */

static void
begin_line(const struct run *run, const char *name)
{
    hvs_text_add(run->out, name);
    hvs_text_add(run->out, ": ");
}

static void
end_line(const struct run *run, const char *words)
{
    hvs_text_add(run->out, words);
    hvs_text_add_char(run->out, '\n');
}

/* The end of a line: did it work? */
static void
end_step(struct run *run, const char *words, DWORD error)
{
    if (error == ERROR_REVISION_MISMATCH) {
        run->result->left = true;
        words = "changed by somebody else since; left as it is";
        error = ERROR_SUCCESS;
    }
    if (error == ERROR_SUCCESS) {
        end_line(run, words);
        return;
    }
    if (run->result->error == ERROR_SUCCESS)
        run->result->error = error;
    hvs_text_add(run->out, "FAILED: ");
    hvs_wide_add_error(run->out, error);
    hvs_text_add_char(run->out, '\n');
}

static bool
is_over(const struct run *run)
{
    return run->result->error == ERROR_ACCESS_DENIED;
}

static const char *
word_for(const struct wish *wish, DWORD value)
{
    const char *word = value < ARRAYSIZE(wish->words) ? wish->words[value] : NULL;

    return word != NULL ? word : "unknown";
}

/* ---- one step after another ---- */

static bool
is_fulfilled(const struct wish *wish, DWORD value)
{
    return value == wish->wanted || (wish->less_will_do && value < wish->wanted);
}

/* Group policies win over what is stored, and only who made them can take them back. */
static void
complain_of_policy(struct run *run, const struct wish *wish, DWORD value)
{
    if (run->result->error == ERROR_SUCCESS)
        run->result->error = ERROR_ACCESS_DISABLED_BY_POLICY;
    hvs_text_add(run->out, word_for(wish, value));
    end_line(run, ", by a group policy: change that one (gpedit.msc, or the domain's)");
}

static void
fulfil(struct run *run, const struct wish *wish)
{
    const struct hvs_system_setting *setting = hvs_system_setting(wish->setting);
    DWORD stored, effective, error = hvs_system_get_stored(setting, &stored);
    bool policy = false;

    if (error == ERROR_SUCCESS)
        error = hvs_system_get(setting, &effective, &policy);
    begin_line(run, wish->name);
    if (error != ERROR_SUCCESS) {
        end_step(run, "", error);
        return;
    }
    if (!is_fulfilled(wish, stored)) {
        if (!run->dry_run)
            error = hvs_system_set(setting, wish->wanted);
        run->result->restart |= setting->needs_restart && !run->dry_run && error == ERROR_SUCCESS;
    }
    if (error == ERROR_SUCCESS && policy && !is_fulfilled(wish, effective)) {
        complain_of_policy(run, wish, effective);
    } else if (is_fulfilled(wish, stored)) {
        hvs_text_add(run->out, word_for(wish, stored));
        end_line(run, " already");
    } else if (error == ERROR_SUCCESS) {
        hvs_text_add(run->out, word_for(wish, stored));
        hvs_text_add(run->out, run->dry_run ? ", would be " : ", now ");
        end_line(run, word_for(wish, wish->wanted));
    } else {
        end_step(run, "", error);
    }
}

static void
start_termservice(struct run *run)
{
    struct hvs_termservice termservice;
    DWORD error = hvs_termservice_look(&termservice);

    if (error == ERROR_SUCCESS && termservice.running)
        return;
    begin_line(run, "Remote Desktop service (TermService)");
    if (error == ERROR_SUCCESS && run->dry_run)
        end_line(run, "stopped, would be started");
    else
        end_step(run, "stopped, now started",
                 error == ERROR_SUCCESS ? hvs_termservice_start() : error);
}

static void
add_port(const struct run *run, uint16_t port)
{
    hvs_text_add(run->out, "port ");
    hvs_text_add_u64(run->out, port);
    hvs_text_add_char(run->out, ' ');
}

static void
close_port(struct run *run, bool even_connected)
{
    uint16_t port = hvs_system_rdp_port();
    struct hvs_firewall firewall;
    DWORD error = hvs_firewall_look(port, &firewall);

    begin_line(run, "Firewall");
    if (error == ERROR_SERVICE_NOT_ACTIVE) {
        end_line(run, "Windows Firewall does not run; what the network reaches stays as it is");
        return;
    }
    if (error == ERROR_SUCCESS && !firewall.closed && GetSystemMetrics(SM_REMOTESESSION) != 0 &&
        !even_connected) {
        end_line(run, "left as it is, for you may be connected through Remote Desktop just now; "
                      "to close its port all the same: hvsession setup --firewall");
        return;
    }
    if (error == ERROR_SUCCESS && !firewall.closed && !run->dry_run)
        error = hvs_firewall_close(port);
    if (error == ERROR_SUCCESS)
        add_port(run, port);
    end_step(run,
             firewall.closed ? "closed to the network already"
             : run->dry_run  ? "would be closed to the network"
                             : "now closed to the network",
             error);
    if (error == ERROR_SUCCESS && !firewall.on)
        end_line(run, "Mind that Windows Firewall is off: its rules hold once it is on.");
}

void
hvs_setup(const struct hvs_setup_options *options, struct hvs_text *out,
          struct hvs_setup_result *result)
{
    struct run run = { .dry_run = options->dry_run, .out = out, .result = result };
    bool wanted[HVS_SYSTEM_SETTINGS] = {
        [HVS_SYSTEM_REMOTE_DESKTOP] = !options->no_rdp,
        [HVS_SYSTEM_USER_AUTHENTICATION] = !options->keep_nla,
        [HVS_SYSTEM_SECURITY_LAYER] = !options->keep_nla,
        [HVS_SYSTEM_BLANK_PASSWORD] = options->blank_password,
        [HVS_SYSTEM_OVERRIDE] = options->override,
    };
    struct hvs_os_version version;
    DWORD state;

    *result = (struct hvs_setup_result){ .error = hvs_service_state(&state) };
    if (result->error != ERROR_SUCCESS)
        return;
    hvs_os_get_version(&version);
    /* Network Level Authentication and TLS by default came with Vista. */
    if (version.number < 600)
        wanted[HVS_SYSTEM_USER_AUTHENTICATION] = wanted[HVS_SYSTEM_SECURITY_LAYER] = false;
    /* The port is closed before it is opened. */
    if (!options->no_firewall)
        close_port(&run, options->firewall);
    for (size_t i = 0; i < ARRAYSIZE(wishes) && !is_over(&run); i++)
        if (wanted[wishes[i].setting])
            fulfil(&run, &wishes[i]);
    if (!options->no_rdp && !is_over(&run))
        start_termservice(&run);
}

/* ---- undo ---- */

/* In the dry run: what a record says of it. */
static DWORD
recorded(const struct wish *wish, DWORD *value)
{
    const struct hvs_system_setting *setting = hvs_system_setting(wish->setting);
    struct hvs_undo_record record;
    WCHAR name[64];
    DWORD error;

    hvs_wide_from_utf8(setting->key, name, ARRAYSIZE(name));
    error = hvs_undo_get(name, &record);
    *value = setting->default_value;
    if (error == ERROR_SUCCESS && record.type == REG_DWORD && record.size == sizeof *value)
        memcpy(value, record.data, sizeof *value);
    return error;
}

static void
take_back(struct run *run, const struct wish *wish)
{
    const struct hvs_system_setting *setting = hvs_system_setting(wish->setting);
    DWORD before, error = recorded(wish, &before);

    if (error == ERROR_FILE_NOT_FOUND)
        return;
    if (error == ERROR_SUCCESS && !run->dry_run)
        error = hvs_system_restore(setting);
    begin_line(run, wish->name);
    run->result->restart |= setting->needs_restart && !run->dry_run && error == ERROR_SUCCESS;
    if (error == ERROR_SUCCESS)
        hvs_text_add(run->out, run->dry_run ? "would be " : "again ");
    end_step(run, word_for(wish, before), error);
}

static void
take_back_firewall(struct run *run)
{
    DWORD port, error = hvs_undo_get_number(HVS_UNDO_FIREWALL_PORT, &port);

    if (error == ERROR_FILE_NOT_FOUND)
        return;
    if (error == ERROR_SUCCESS && !run->dry_run)
        error = hvs_firewall_restore();
    begin_line(run, "Firewall");
    if (error == ERROR_SUCCESS)
        add_port(run, (uint16_t)port);
    end_step(run, run->dry_run ? "would be as it was before" : "as it was before", error);
}

static void
take_back_termservice(struct run *run)
{
    DWORD type, error = hvs_undo_get_number(HVS_UNDO_TERMSERVICE, &type);

    if (error == ERROR_FILE_NOT_FOUND)
        return;
    if (error == ERROR_SUCCESS && !run->dry_run)
        error = hvs_termservice_restore();
    begin_line(run, "Remote Desktop service (TermService)");
    end_step(run, run->dry_run ? "would be disabled" : "disabled again", error);
}

void
hvs_setup_undo(bool dry_run, struct hvs_text *out, struct hvs_setup_result *result)
{
    struct run run = { .dry_run = dry_run, .out = out, .result = result };
    DWORD state;

    *result = (struct hvs_setup_result){ .error = hvs_service_state(&state) };
    if (result->error != ERROR_SUCCESS)
        return;
    for (size_t i = ARRAYSIZE(wishes); i-- > 0 && !is_over(&run);)
        take_back(&run, &wishes[i]);
    if (!is_over(&run))
        take_back_termservice(&run);
    /* The port is opened last. */
    if (!is_over(&run))
        take_back_firewall(&run);
}
