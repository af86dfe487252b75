/* Windows Firewall for tests: the COM classes NetFwMgr, NetFwPolicy2 and NetFwRule, as far as
 * windows/firewall.c uses them; everything else is missing from their tables, and crashes. */
#define COBJMACROS
#include "fake-firewall.h"

#include <windows.h>

#include <initguid.h>
#include <netfw.h>
#include <objbase.h>
#include <oleauto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <strsafe.h>

DEFINE_GUID(class_policy2, 0xe2b3c97f, 0x6ae1, 0x41ac, 0x81, 0x7a, 0xf6, 0xf9, 0x21, 0x66, 0xd7,
            0xdd);
DEFINE_GUID(class_rule, 0x2c5bc43e, 0x3369, 0x4c33, 0xab, 0x0c, 0xbe, 0x94, 0x69, 0x67, 0x7a, 0xf4);
DEFINE_GUID(class_manager, 0x304ce942, 0x6e39, 0x40d8, 0x94, 0x3a, 0xb9, 0x13, 0xc4, 0x0c, 0x9c,
            0xd4);

/* Every object is one of these: its table first, as COM has it. */
struct object {
    const void *table;
    LONG references;
    DWORD profile; /* XP: 0 domain, 1 standard */
    bool is_port;  /* of an exception of XP */
    WCHAR name[256], ports[64];
    DWORD protocol, direction, profiles, action, enabled;
};

/* ---- registry ---- */

static HKEY
open_key(const WCHAR *path)
{
    HKEY key = NULL;

    RegCreateKeyExW(HKEY_LOCAL_MACHINE, path, 0, NULL, 0, KEY_ALL_ACCESS | KEY_WOW64_64KEY, NULL,
                    &key, NULL);
    return key;
}

static bool
get_number(const WCHAR *path, const WCHAR *name, DWORD *number)
{
    DWORD size = sizeof *number, type;
    HKEY key;
    LONG error =
        RegOpenKeyExW(HKEY_LOCAL_MACHINE, path, 0, KEY_QUERY_VALUE | KEY_WOW64_64KEY, &key);

    if (error != ERROR_SUCCESS)
        return false;
    error = RegQueryValueExW(key, name, NULL, &type, (BYTE *)number, &size);
    RegCloseKey(key);
    return error == ERROR_SUCCESS;
}

static void
put_number(const WCHAR *path, const WCHAR *name, DWORD number)
{
    HKEY key = open_key(path);

    RegSetValueExW(key, name, 0, REG_DWORD, (const BYTE *)&number, sizeof number);
    RegCloseKey(key);
}

static DWORD
kind(void)
{
    DWORD number = 0;

    get_number(FAKE_FIREWALL, L"Kind", &number);
    return number;
}

static VARIANT_BOOL
is_on(void)
{
    DWORD off = 0;

    get_number(FAKE_FIREWALL, L"Off", &off);
    return off != 0 ? VARIANT_FALSE : VARIANT_TRUE;
}

/* ---- objects ---- */

static struct object *
make(const void *table)
{
    struct object *object = calloc(1, sizeof *object);

    object->table = table;
    object->references = 1;
    return object;
}

static HRESULT WINAPI
query_interface(void *object, REFIID id, void **result)
{
    (void)id;
    InterlockedIncrement(&((struct object *)object)->references);
    *result = object;
    return S_OK;
}

static ULONG WINAPI
add_reference(void *object)
{
    return (ULONG)InterlockedIncrement(&((struct object *)object)->references);
}

static ULONG WINAPI
release(void *object)
{
    LONG left = InterlockedDecrement(&((struct object *)object)->references);

    if (left == 0)
        free(object);
    return (ULONG)left;
}

/* The first three of every table. */
#define UNKNOWN(type)                                                                              \
    .QueryInterface = (HRESULT(WINAPI *)(type *, REFIID, void **))query_interface,                 \
    .AddRef = (ULONG(WINAPI *)(type *))add_reference, .Release = (ULONG(WINAPI *)(type *))release

/* ---- XP: exceptions ---- */

static void
exception_name(const struct object *object, WCHAR name[16])
{
    StringCchPrintfW(name, 16, L"%ls%lu", object->is_port ? L"Port" : L"Service", object->profile);
}

static HRESULT
get_exception(const struct object *object, VARIANT_BOOL *enabled)
{
    DWORD number = 0;
    WCHAR name[16];

    exception_name(object, name);
    get_number(FAKE_FIREWALL, name, &number);
    *enabled = number != 0 ? VARIANT_TRUE : VARIANT_FALSE;
    return S_OK;
}

static HRESULT
put_exception(const struct object *object, VARIANT_BOOL enabled)
{
    WCHAR name[16];

    exception_name(object, name);
    put_number(FAKE_FIREWALL, name, enabled != VARIANT_FALSE);
    return S_OK;
}

static HRESULT WINAPI
service_get_enabled(INetFwService *service, VARIANT_BOOL *enabled)
{
    return get_exception((struct object *)service, enabled);
}

static HRESULT WINAPI
service_put_enabled(INetFwService *service, VARIANT_BOOL enabled)
{
    return put_exception((struct object *)service, enabled);
}

static const INetFwServiceVtbl service_table = {
    UNKNOWN(INetFwService),
    .get_Enabled = service_get_enabled,
    .put_Enabled = service_put_enabled,
};

static HRESULT WINAPI
port_get_enabled(INetFwOpenPort *port, VARIANT_BOOL *enabled)
{
    return get_exception((struct object *)port, enabled);
}

static HRESULT WINAPI
port_put_enabled(INetFwOpenPort *port, VARIANT_BOOL enabled)
{
    return put_exception((struct object *)port, enabled);
}

static const INetFwOpenPortVtbl port_table = {
    UNKNOWN(INetFwOpenPort),
    .get_Enabled = port_get_enabled,
    .put_Enabled = port_put_enabled,
};

static HRESULT WINAPI
services_item(INetFwServices *services, NET_FW_SERVICE_TYPE type, INetFwService **service)
{
    struct object *object = make(&service_table);

    if (type != NET_FW_SERVICE_REMOTE_DESKTOP)
        return E_INVALIDARG;
    object->profile = ((struct object *)services)->profile;
    *service = (INetFwService *)object;
    return S_OK;
}

static const INetFwServicesVtbl services_table = {
    UNKNOWN(INetFwServices),
    .Item = services_item,
};

static HRESULT WINAPI
ports_item(INetFwOpenPorts *ports, LONG number, NET_FW_IP_PROTOCOL protocol, INetFwOpenPort **port)
{
    struct object *object = make(&port_table);
    WCHAR name[16];
    DWORD there;

    object->profile = ((struct object *)ports)->profile;
    object->is_port = true;
    exception_name(object, name);
    if (number != FAKE_FIREWALL_PORT || protocol != NET_FW_IP_PROTOCOL_TCP ||
        !get_number(FAKE_FIREWALL, name, &there)) {
        free(object);
        return HRESULT_FROM_WIN32(ERROR_FILE_NOT_FOUND);
    }
    *port = (INetFwOpenPort *)object;
    return S_OK;
}

static const INetFwOpenPortsVtbl ports_table = {
    UNKNOWN(INetFwOpenPorts),
    .Item = ports_item,
};

static HRESULT WINAPI
profile_get_services(INetFwProfile *profile, INetFwServices **services)
{
    struct object *object = make(&services_table);

    object->profile = ((struct object *)profile)->profile;
    *services = (INetFwServices *)object;
    return S_OK;
}

static HRESULT WINAPI
profile_get_ports(INetFwProfile *profile, INetFwOpenPorts **ports)
{
    struct object *object = make(&ports_table);

    object->profile = ((struct object *)profile)->profile;
    *ports = (INetFwOpenPorts *)object;
    return S_OK;
}

static HRESULT WINAPI
profile_get_on(INetFwProfile *profile, VARIANT_BOOL *on)
{
    (void)profile;
    *on = is_on();
    return S_OK;
}

static const INetFwProfileVtbl profile_table = {
    UNKNOWN(INetFwProfile),
    .get_FirewallEnabled = profile_get_on,
    .get_GloballyOpenPorts = profile_get_ports,
    .get_Services = profile_get_services,
};

static HRESULT WINAPI
old_policy_get_profile(INetFwPolicy *policy, NET_FW_PROFILE_TYPE type, INetFwProfile **profile)
{
    struct object *object = make(&profile_table);

    (void)policy;
    object->profile = type == NET_FW_PROFILE_DOMAIN ? 0 : 1;
    *profile = (INetFwProfile *)object;
    return S_OK;
}

static HRESULT WINAPI
old_policy_get_current(INetFwPolicy *policy, INetFwProfile **profile)
{
    return old_policy_get_profile(policy, NET_FW_PROFILE_STANDARD, profile);
}

static const INetFwPolicyVtbl old_policy_table = {
    UNKNOWN(INetFwPolicy),
    .get_CurrentProfile = old_policy_get_current,
    .GetProfileByType = old_policy_get_profile,
};

static HRESULT WINAPI
manager_get_policy(INetFwMgr *manager, INetFwPolicy **policy)
{
    (void)manager;
    if (kind() != FAKE_FIREWALL_XP)
        return HRESULT_FROM_WIN32(EPT_S_NOT_REGISTERED);
    *policy = (INetFwPolicy *)make(&old_policy_table);
    return S_OK;
}

static const INetFwMgrVtbl manager_table = {
    UNKNOWN(INetFwMgr),
    .get_LocalPolicy = manager_get_policy,
};

/* ---- Vista: rules ---- */

static HRESULT WINAPI
rule_put_name(INetFwRule *rule, BSTR name)
{
    return StringCchCopyW(((struct object *)rule)->name, 256, name);
}

static HRESULT WINAPI
rule_put_description(INetFwRule *rule, BSTR text)
{
    (void)rule;
    return text[0] != L'\0' ? S_OK : E_INVALIDARG;
}

static HRESULT WINAPI
rule_put_ports(INetFwRule *rule, BSTR ports)
{
    /* As the real one: ports are for a protocol that has some. */
    if (((struct object *)rule)->protocol == 0)
        return E_INVALIDARG;
    return StringCchCopyW(((struct object *)rule)->ports, 64, ports);
}

static HRESULT WINAPI
rule_get_ports(INetFwRule *rule, BSTR *ports)
{
    *ports = SysAllocString(((struct object *)rule)->ports);
    return S_OK;
}

static HRESULT WINAPI
rule_get_enabled(INetFwRule *rule, VARIANT_BOOL *enabled)
{
    *enabled = ((struct object *)rule)->enabled != 0 ? VARIANT_TRUE : VARIANT_FALSE;
    return S_OK;
}

static HRESULT WINAPI
rule_put_enabled(INetFwRule *rule, VARIANT_BOOL enabled)
{
    ((struct object *)rule)->enabled = enabled != VARIANT_FALSE;
    return S_OK;
}

#define PUT(field, type)                                                                           \
    static HRESULT WINAPI rule_put_##field(INetFwRule *rule, type value)                           \
    {                                                                                              \
        ((struct object *)rule)->field = (DWORD)value;                                             \
        return S_OK;                                                                               \
    }

PUT(protocol, LONG)
PUT(direction, NET_FW_RULE_DIRECTION)
PUT(profiles, LONG)
PUT(action, NET_FW_ACTION)

static const INetFwRuleVtbl rule_table = {
    UNKNOWN(INetFwRule),
    .put_Name = rule_put_name,
    .put_Description = rule_put_description,
    .put_Protocol = rule_put_protocol,
    .put_LocalPorts = rule_put_ports,
    .get_LocalPorts = rule_get_ports,
    .put_Direction = rule_put_direction,
    .put_Profiles = rule_put_profiles,
    .put_Action = rule_put_action,
    .put_Enabled = rule_put_enabled,
    .get_Enabled = rule_get_enabled,
};

static void
rule_path(const WCHAR *name, WCHAR path[400])
{
    StringCchPrintfW(path, 400, FAKE_FIREWALL_RULES L"\\%ls", name);
}

static HRESULT WINAPI
rules_add(INetFwRules *rules, INetFwRule *rule)
{
    struct object *object = (struct object *)rule;
    WCHAR path[400];
    HKEY key;

    (void)rules;
    rule_path(object->name, path);
    put_number(path, L"Protocol", object->protocol);
    put_number(path, L"Direction", object->direction);
    put_number(path, L"Profiles", object->profiles);
    put_number(path, L"Action", object->action);
    put_number(path, L"Enabled", object->enabled);
    key = open_key(path);
    RegSetValueExW(key, L"LocalPorts", 0, REG_SZ, (const BYTE *)object->ports,
                   (DWORD)((wcslen(object->ports) + 1) * sizeof(WCHAR)));
    RegCloseKey(key);
    return S_OK;
}

static HRESULT WINAPI
rules_remove(INetFwRules *rules, BSTR name)
{
    HKEY key = open_key(FAKE_FIREWALL_RULES);

    (void)rules;
    RegDeleteKeyW(key, name);
    RegCloseKey(key);
    return S_OK;
}

static HRESULT WINAPI
rules_item(INetFwRules *rules, BSTR name, INetFwRule **rule)
{
    struct object *object;
    DWORD size, enabled;
    WCHAR path[400];
    HKEY key;

    (void)rules;
    rule_path(name, path);
    if (!get_number(path, L"Enabled", &enabled))
        return HRESULT_FROM_WIN32(ERROR_FILE_NOT_FOUND);
    object = make(&rule_table);
    object->enabled = enabled;
    size = sizeof object->ports;
    key = open_key(path);
    RegQueryValueExW(key, L"LocalPorts", NULL, NULL, (BYTE *)object->ports, &size);
    RegCloseKey(key);
    *rule = (INetFwRule *)object;
    return S_OK;
}

static const INetFwRulesVtbl rules_table = {
    UNKNOWN(INetFwRules),
    .Add = rules_add,
    .Remove = rules_remove,
    .Item = rules_item,
};

static HRESULT WINAPI
policy_get_rules(INetFwPolicy2 *policy, INetFwRules **rules)
{
    (void)policy;
    if (kind() == 0)
        return HRESULT_FROM_WIN32(EPT_S_NOT_REGISTERED);
    *rules = (INetFwRules *)make(&rules_table);
    return S_OK;
}

static HRESULT WINAPI
policy_get_profiles(INetFwPolicy2 *policy, LONG *profiles)
{
    (void)policy;
    *profiles = NET_FW_PROFILE2_PRIVATE;
    return S_OK;
}

static HRESULT WINAPI
policy_get_on(INetFwPolicy2 *policy, NET_FW_PROFILE_TYPE2 profile, VARIANT_BOOL *on)
{
    (void)policy;
    if (profile != NET_FW_PROFILE2_PRIVATE)
        return E_INVALIDARG;
    *on = is_on();
    return S_OK;
}

static const INetFwPolicy2Vtbl policy_table = {
    UNKNOWN(INetFwPolicy2),
    .get_CurrentProfileTypes = policy_get_profiles,
    .get_FirewallEnabled = policy_get_on,
    .get_Rules = policy_get_rules,
};

/* ---- the classes ---- */

struct factory {
    const IClassFactoryVtbl *table;
    const CLSID *class_id;
    const void *objects;
};

static HRESULT WINAPI
factory_query(IClassFactory *factory, REFIID id, void **result)
{
    (void)id;
    *result = factory;
    return S_OK;
}

static ULONG WINAPI
factory_reference(IClassFactory *factory)
{
    (void)factory;
    return 1;
}

static HRESULT WINAPI
factory_make(IClassFactory *factory, IUnknown *outer, REFIID id, void **result)
{
    (void)outer;
    (void)id;
    *result = make(((struct factory *)factory)->objects);
    return S_OK;
}

static const IClassFactoryVtbl factory_table = {
    .QueryInterface = factory_query,
    .AddRef = factory_reference,
    .Release = factory_reference,
    .CreateInstance = factory_make,
};

static struct factory factories[] = {
    { &factory_table, &class_manager, &manager_table },
    { &factory_table, &class_policy2, &policy_table },
    { &factory_table, &class_rule, &rule_table },
};

__declspec(dllexport) HRESULT WINAPI DllGetClassObject(REFCLSID class_id, REFIID id, void **result);

HRESULT WINAPI
DllGetClassObject(REFCLSID class_id, REFIID id, void **result)
{
    (void)id;
    if (!IsEqualGUID(class_id, &class_manager) && kind() == FAKE_FIREWALL_XP)
        return REGDB_E_CLASSNOTREG;
    for (size_t i = 0; i < ARRAYSIZE(factories); i++)
        if (IsEqualGUID(class_id, factories[i].class_id)) {
            *result = &factories[i];
            return S_OK;
        }
    return CLASS_E_CLASSNOTAVAILABLE;
}
