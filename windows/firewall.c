#define COBJMACROS
#include "firewall.h"

#include "system.h"
#include "wide.h"

#include <initguid.h>
#include <netfw.h>
#include <objbase.h>
#include <oleauto.h>

/* Rules are removed by their names, at most so many of one. */
#define SAME_NAME_MAX 16u
#define RULE_TCP      L"hvsession: Remote Desktop is not for the network (TCP)"
#define RULE_UDP      L"hvsession: Remote Desktop is not for the network (UDP)"
#define RULE_TEXT                                                                                  \
    L"Made by hvsession setup: Enhanced Session needs Remote Desktop inside this machine only. "   \
    L"hvsession setup --undo removes it."

DEFINE_GUID(class_policy2, 0xe2b3c97f, 0x6ae1, 0x41ac, 0x81, 0x7a, 0xf6, 0xf9, 0x21, 0x66, 0xd7,
            0xdd);
DEFINE_GUID(class_rule, 0x2c5bc43e, 0x3369, 0x4c33, 0xab, 0x0c, 0xbe, 0x94, 0x69, 0x67, 0x7a, 0xf4);
DEFINE_GUID(class_manager, 0x304ce942, 0x6e39, 0x40d8, 0x94, 0x3a, 0xb9, 0x13, 0xc4, 0x0c, 0x9c,
            0xd4);

/* One of both. */
struct connection {
    bool initialized;
    INetFwPolicy2 *policy; /* Vista and later */
    INetFwPolicy *old;     /* before */
};

static DWORD
error_of(HRESULT result)
{
    if (SUCCEEDED(result))
        return ERROR_SUCCESS;
    /* RPC_S_SERVER_UNAVAILABLE, EPT_S_NOT_REGISTERED: what it talks to does not run. */
    if (HRESULT_FACILITY(result) == FACILITY_WIN32) {
        DWORD error = (DWORD)HRESULT_CODE(result);

        return error == RPC_S_SERVER_UNAVAILABLE || error == EPT_S_NOT_REGISTERED ||
                       error == ERROR_SERVICE_DISABLED
                   ? ERROR_SERVICE_NOT_ACTIVE
                   : error;
    }
    return result == REGDB_E_CLASSNOTREG ? ERROR_SERVICE_NOT_ACTIVE : (DWORD)result;
}

static void
disconnect(struct connection *connection)
{
    if (connection->policy != NULL)
        INetFwPolicy2_Release(connection->policy);
    if (connection->old != NULL)
        INetFwPolicy_Release(connection->old);
    if (connection->initialized)
        CoUninitialize();
}

static HRESULT
connect_old(struct connection *connection)
{
    INetFwMgr *manager;
    HRESULT result = CoCreateInstance(&class_manager, NULL, CLSCTX_INPROC_SERVER, &IID_INetFwMgr,
                                      (void **)&manager);

    if (FAILED(result))
        return result;
    result = INetFwMgr_get_LocalPolicy(manager, &connection->old);
    INetFwMgr_Release(manager);
    return result;
}

static DWORD
connect_to_firewall(struct connection *connection)
{
    HRESULT result;

    *connection = (struct connection){ .policy = NULL };
    connection->initialized = SUCCEEDED(CoInitializeEx(NULL, COINIT_APARTMENTTHREADED));
    result = CoCreateInstance(&class_policy2, NULL, CLSCTX_INPROC_SERVER, &IID_INetFwPolicy2,
                              (void **)&connection->policy);
    if (result == REGDB_E_CLASSNOTREG)
        result = connect_old(connection);
    if (FAILED(result))
        disconnect(connection);
    return error_of(result);
}

/* ---- Vista and later ---- */

struct rule {
    const WCHAR *name;
    LONG protocol;
};

static const struct rule rules[] = {
    { RULE_TCP, NET_FW_IP_PROTOCOL_TCP },
    { RULE_UDP, NET_FW_IP_PROTOCOL_UDP },
};

static HRESULT
put_string(INetFwRule *rule, HRESULT(STDMETHODCALLTYPE *put)(INetFwRule *, BSTR),
           const WCHAR *string)
{
    BSTR copy = SysAllocString(string);
    HRESULT result = copy != NULL ? put(rule, copy) : E_OUTOFMEMORY;

    SysFreeString(copy);
    return result;
}

/* All networks, all addresses, all programs: what a rule begins with. */
static HRESULT
fill_rule(INetFwRule *rule, const struct rule *kind, const WCHAR *port)
{
    HRESULT result = put_string(rule, rule->lpVtbl->put_Name, kind->name);

    if (SUCCEEDED(result))
        result = put_string(rule, rule->lpVtbl->put_Description, RULE_TEXT);
    if (SUCCEEDED(result))
        result = INetFwRule_put_Protocol(rule, kind->protocol);
    if (SUCCEEDED(result))
        result = put_string(rule, rule->lpVtbl->put_LocalPorts, port);
    if (SUCCEEDED(result))
        result = INetFwRule_put_Direction(rule, NET_FW_RULE_DIR_IN);
    if (SUCCEEDED(result))
        result = INetFwRule_put_Profiles(rule, NET_FW_PROFILE2_ALL);
    if (SUCCEEDED(result))
        result = INetFwRule_put_Action(rule, NET_FW_ACTION_BLOCK);
    if (SUCCEEDED(result))
        result = INetFwRule_put_Enabled(rule, VARIANT_TRUE);
    return result;
}

static HRESULT
add_rule(INetFwRules *all, const struct rule *kind, uint16_t port)
{
    INetFwRule *rule;
    WCHAR digits[8];
    HRESULT result =
        CoCreateInstance(&class_rule, NULL, CLSCTX_INPROC_SERVER, &IID_INetFwRule, (void **)&rule);

    if (FAILED(result))
        return result;
    hvs_wide_format(digits, ARRAYSIZE(digits), L"%u", port);
    result = fill_rule(rule, kind, digits);
    if (SUCCEEDED(result))
        result = INetFwRules_Add(all, rule);
    INetFwRule_Release(rule);
    return result;
}

/* *rule: the caller's to release. */
static HRESULT
find_rule(INetFwRules *all, const struct rule *kind, INetFwRule **rule)
{
    BSTR name = SysAllocString(kind->name);
    HRESULT result = name != NULL ? INetFwRules_Item(all, name, rule) : E_OUTOFMEMORY;

    SysFreeString(name);
    return result;
}

/* Is the rule there, on, and for that port? */
static bool
is_rule_in_force(INetFwRules *all, const struct rule *kind, uint16_t port)
{
    VARIANT_BOOL enabled = VARIANT_FALSE;
    BSTR ports = NULL;
    INetFwRule *rule;
    WCHAR digits[8];
    bool same;

    if (FAILED(find_rule(all, kind, &rule)))
        return false;
    hvs_wide_format(digits, ARRAYSIZE(digits), L"%u", port);
    same = SUCCEEDED(INetFwRule_get_LocalPorts(rule, &ports)) && ports != NULL &&
           wcscmp(ports, digits) == 0 && SUCCEEDED(INetFwRule_get_Enabled(rule, &enabled)) &&
           enabled != VARIANT_FALSE;
    SysFreeString(ports);
    INetFwRule_Release(rule);
    return same;
}

/* All of that name: there may be several. */
static HRESULT
remove_rule(INetFwRules *all, const struct rule *kind)
{
    BSTR name = SysAllocString(kind->name);
    HRESULT result = name != NULL ? S_OK : E_OUTOFMEMORY;
    INetFwRule *rule;

    for (unsigned i = 0;
         i < SAME_NAME_MAX && SUCCEEDED(result) && SUCCEEDED(find_rule(all, kind, &rule)); i++) {
        INetFwRule_Release(rule);
        result = INetFwRules_Remove(all, name);
    }
    SysFreeString(name);
    return result;
}

/* Removes the rules; port: and adds them anew, 0: does not. */
static HRESULT
replace_rules(INetFwPolicy2 *policy, uint16_t port)
{
    INetFwRules *all;
    HRESULT result = INetFwPolicy2_get_Rules(policy, &all);

    if (FAILED(result))
        return result;
    for (size_t i = 0; i < ARRAYSIZE(rules) && SUCCEEDED(result); i++) {
        result = remove_rule(all, &rules[i]);
        if (SUCCEEDED(result) && port != 0)
            result = add_rule(all, &rules[i], port);
    }
    INetFwRules_Release(all);
    return result;
}

static HRESULT
look_at_rules(INetFwPolicy2 *policy, uint16_t port, struct hvs_firewall *firewall)
{
    VARIANT_BOOL enabled;
    INetFwRules *all;
    LONG profiles = 0;
    HRESULT result = INetFwPolicy2_get_CurrentProfileTypes(policy, &profiles);

    firewall->on = SUCCEEDED(result);
    for (LONG profile = 1; profile <= NET_FW_PROFILE2_PUBLIC && SUCCEEDED(result); profile <<= 1) {
        if ((profiles & profile) == 0)
            continue;
        result = INetFwPolicy2_get_FirewallEnabled(policy, (NET_FW_PROFILE_TYPE2)profile, &enabled);
        firewall->on &= SUCCEEDED(result) && enabled != VARIANT_FALSE;
    }
    if (SUCCEEDED(result))
        result = INetFwPolicy2_get_Rules(policy, &all);
    if (FAILED(result))
        return result;
    firewall->closed = true;
    for (size_t i = 0; i < ARRAYSIZE(rules); i++)
        firewall->closed &= is_rule_in_force(all, &rules[i], port);
    INetFwRules_Release(all);
    return S_OK;
}

/* ---- XP and Server 2003 ---- */

/* An exception is the system's own for Remote Desktop, or one for the port. */
enum { EXCEPTIONS = 4 };

static const NET_FW_PROFILE_TYPE profiles_of_xp[] = { NET_FW_PROFILE_DOMAIN,
                                                      NET_FW_PROFILE_STANDARD };

struct exception {
    INetFwService *service; /* one of both, or none */
    INetFwOpenPort *port;
};

static HRESULT
find_service(INetFwProfile *profile, struct exception *exception)
{
    INetFwServices *services;
    HRESULT result = INetFwProfile_get_Services(profile, &services);

    if (FAILED(result))
        return result;
    result = INetFwServices_Item(services, NET_FW_SERVICE_REMOTE_DESKTOP, &exception->service);
    INetFwServices_Release(services);
    return result;
}

static HRESULT
find_port(INetFwProfile *profile, uint16_t port, struct exception *exception)
{
    INetFwOpenPorts *ports;
    HRESULT result = INetFwProfile_get_GloballyOpenPorts(profile, &ports);

    if (FAILED(result))
        return result;
    result = INetFwOpenPorts_Item(ports, port, NET_FW_IP_PROTOCOL_TCP, &exception->port);
    INetFwOpenPorts_Release(ports);
    /* None is as good as none that is on. */
    return FAILED(result) ? S_OK : result;
}

/* which: 0 to EXCEPTIONS - 1. The caller releases it. */
static HRESULT
find_exception(INetFwPolicy *policy, unsigned which, uint16_t port, struct exception *exception)
{
    INetFwProfile *profile;
    HRESULT result = INetFwPolicy_GetProfileByType(policy, profiles_of_xp[which / 2], &profile);

    *exception = (struct exception){ .service = NULL };
    if (FAILED(result))
        return result;
    result =
        which % 2 == 0 ? find_service(profile, exception) : find_port(profile, port, exception);
    INetFwProfile_Release(profile);
    return result;
}

static void
release_exception(struct exception *exception)
{
    if (exception->service != NULL)
        INetFwService_Release(exception->service);
    if (exception->port != NULL)
        INetFwOpenPort_Release(exception->port);
}

static bool
is_exception_on(const struct exception *exception)
{
    VARIANT_BOOL on = VARIANT_FALSE;

    if (exception->service != NULL && FAILED(INetFwService_get_Enabled(exception->service, &on)))
        return false;
    if (exception->port != NULL && FAILED(INetFwOpenPort_get_Enabled(exception->port, &on)))
        return false;
    return on != VARIANT_FALSE;
}

/* One bit for each exception that is on. */
static HRESULT
list_exceptions(INetFwPolicy *policy, uint16_t port, DWORD *on)
{
    HRESULT result = S_OK;

    *on = 0;
    for (unsigned i = 0; i < EXCEPTIONS && SUCCEEDED(result); i++) {
        struct exception exception;

        result = find_exception(policy, i, port, &exception);
        if (SUCCEEDED(result) && is_exception_on(&exception))
            *on |= 1u << i;
        release_exception(&exception);
    }
    return result;
}

static HRESULT
switch_exceptions(INetFwPolicy *policy, uint16_t port, DWORD which, VARIANT_BOOL on)
{
    HRESULT result = S_OK;

    for (unsigned i = 0; i < EXCEPTIONS && SUCCEEDED(result); i++) {
        struct exception exception;

        if ((which >> i & 1) == 0)
            continue;
        result = find_exception(policy, i, port, &exception);
        if (SUCCEEDED(result) && exception.service != NULL)
            result = INetFwService_put_Enabled(exception.service, on);
        if (SUCCEEDED(result) && exception.port != NULL)
            result = INetFwOpenPort_put_Enabled(exception.port, on);
        release_exception(&exception);
    }
    return result;
}

static HRESULT
look_at_exceptions(INetFwPolicy *policy, uint16_t port, struct hvs_firewall *firewall)
{
    VARIANT_BOOL on = VARIANT_FALSE;
    INetFwProfile *profile;
    DWORD exceptions = 0;
    HRESULT result = INetFwPolicy_get_CurrentProfile(policy, &profile);

    if (FAILED(result))
        return result;
    result = INetFwProfile_get_FirewallEnabled(profile, &on);
    INetFwProfile_Release(profile);
    if (SUCCEEDED(result))
        result = list_exceptions(policy, port, &exceptions);
    firewall->on = on != VARIANT_FALSE;
    firewall->closed = SUCCEEDED(result) && exceptions == 0;
    return result;
}

/* ---- both ---- */

DWORD
hvs_firewall_look(uint16_t port, struct hvs_firewall *firewall)
{
    struct connection connection;
    DWORD error = connect_to_firewall(&connection);

    *firewall = (struct hvs_firewall){ .on = false };
    if (error != ERROR_SUCCESS)
        return error;
    error =
        error_of(connection.policy != NULL ? look_at_rules(connection.policy, port, firewall)
                                           : look_at_exceptions(connection.old, port, firewall));
    disconnect(&connection);
    return error;
}

static DWORD
close_by_rules(const struct connection *connection, uint16_t port)
{
    DWORD error = hvs_undo_put_number(HVS_UNDO_FIREWALL_PORT, port);

    return error == ERROR_SUCCESS ? error_of(replace_rules(connection->policy, port)) : error;
}

/* Nothing is recorded if all are off already. */
static DWORD
close_by_exceptions(const struct connection *connection, uint16_t port)
{
    DWORD on, before = 0, error = error_of(list_exceptions(connection->old, port, &on));

    if (error != ERROR_SUCCESS || on == 0)
        return error;
    hvs_undo_get_number(HVS_UNDO_FIREWALL_EXCEPTIONS, &before);
    error = hvs_undo_put_number(HVS_UNDO_FIREWALL_PORT, port);
    if (error == ERROR_SUCCESS)
        error = hvs_undo_put_number(HVS_UNDO_FIREWALL_EXCEPTIONS, before | on);
    return error == ERROR_SUCCESS
               ? error_of(switch_exceptions(connection->old, port, on, VARIANT_FALSE))
               : error;
}

DWORD
hvs_firewall_close(uint16_t port)
{
    struct connection connection;
    DWORD closed = port, error;

    hvs_undo_get_number(HVS_UNDO_FIREWALL_PORT, &closed);
    if (closed != port) {
        error = hvs_firewall_restore();
        if (error != ERROR_SUCCESS)
            return error;
    }
    error = connect_to_firewall(&connection);
    if (error != ERROR_SUCCESS)
        return error;
    error = connection.policy != NULL ? close_by_rules(&connection, port)
                                      : close_by_exceptions(&connection, port);
    disconnect(&connection);
    return error;
}

DWORD
hvs_firewall_restore(void)
{
    struct connection connection;
    DWORD port, exceptions = 0, error = hvs_undo_get_number(HVS_UNDO_FIREWALL_PORT, &port);

    if (error != ERROR_SUCCESS)
        return error;
    hvs_undo_get_number(HVS_UNDO_FIREWALL_EXCEPTIONS, &exceptions);
    error = connect_to_firewall(&connection);
    if (error != ERROR_SUCCESS)
        return error;
    error = error_of(connection.policy != NULL ? replace_rules(connection.policy, 0)
                                               : switch_exceptions(connection.old, (uint16_t)port,
                                                                   exceptions, VARIANT_TRUE));
    disconnect(&connection);
    if (error == ERROR_SUCCESS)
        error = hvs_undo_forget(HVS_UNDO_FIREWALL_EXCEPTIONS);
    return error == ERROR_SUCCESS ? hvs_undo_forget(HVS_UNDO_FIREWALL_PORT) : error;
}
