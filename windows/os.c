#include "os.h"

#include <string.h>

/* Of the system's definitions for Vista and later, GetProductInfo. */
#define PRODUCT_HOME_BASIC_           0x02u
#define PRODUCT_HOME_PREMIUM_         0x03u
#define PRODUCT_HOME_BASIC_N_         0x05u
#define PRODUCT_STARTER_              0x0bu
#define PRODUCT_HOME_PREMIUM_N_       0x1au
#define PRODUCT_STARTER_N_            0x2fu
#define PRODUCT_STARTER_E_            0x42u
#define PRODUCT_HOME_BASIC_E_         0x43u
#define PRODUCT_HOME_PREMIUM_E_       0x44u
#define PRODUCT_CORE_N_               0x62u
#define PRODUCT_CORE_COUNTRYSPECIFIC_ 0x63u
#define PRODUCT_CORE_SINGLELANGUAGE_  0x64u
#define PRODUCT_CORE_                 0x65u

/* Windows XP Starter Edition and Media Center are not told apart: the second has a server. */
static bool
is_home_of_xp(const OSVERSIONINFOEXW *info)
{
    return (info->wSuiteMask & VER_SUITE_PERSONAL) != 0;
}

/* The function came with Vista. */
static bool
is_home_product(const OSVERSIONINFOEXW *info)
{
    static const DWORD products[] = {
        PRODUCT_HOME_BASIC_, PRODUCT_HOME_PREMIUM_,         PRODUCT_HOME_BASIC_N_,
        PRODUCT_STARTER_,    PRODUCT_HOME_PREMIUM_N_,       PRODUCT_STARTER_N_,
        PRODUCT_STARTER_E_,  PRODUCT_HOME_BASIC_E_,         PRODUCT_HOME_PREMIUM_E_,
        PRODUCT_CORE_N_,     PRODUCT_CORE_COUNTRYSPECIFIC_, PRODUCT_CORE_SINGLELANGUAGE_,
        PRODUCT_CORE_,
    };
    BOOL(WINAPI * get_product_info)(DWORD, DWORD, DWORD, DWORD, DWORD *);
    FARPROC function = GetProcAddress(GetModuleHandleW(L"kernel32.dll"), "GetProductInfo");
    DWORD product = 0;

    if (function == NULL)
        return is_home_of_xp(info);
    memcpy(&get_product_info, &function, sizeof function);
    if (!get_product_info(info->dwMajorVersion, info->dwMinorVersion, info->wServicePackMajor,
                          info->wServicePackMinor, &product))
        return false;
    for (size_t i = 0; i < ARRAYSIZE(products); i++)
        if (product == products[i])
            return true;
    return false;
}

void
hvs_os_get_version(struct hvs_os_version *version)
{
    OSVERSIONINFOEXW info = { .dwOSVersionInfoSize = sizeof info };
    LONG(WINAPI * rtl_get_version)(OSVERSIONINFOEXW *);
    FARPROC function = GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "RtlGetVersion");

    memset(version, 0, sizeof *version);
    if (function == NULL)
        return;
    memcpy(&rtl_get_version, &function, sizeof function);
    if (rtl_get_version(&info) != 0)
        return;
    version->number = info.dwMajorVersion * 100 + info.dwMinorVersion;
    version->build = info.dwBuildNumber;
    version->service_pack = info.wServicePackMajor;
    version->server = info.wProductType != VER_NT_WORKSTATION;
    version->home = !version->server && is_home_product(&info);
}

static const char *
name_of(const struct hvs_os_version *version)
{
    switch (version->number) {
    case 501:
        return version->home ? "Windows XP Home Edition" : "Windows XP";
    case 502:
        return version->server ? "Windows Server 2003" : "Windows XP x64 Edition";
    case 600:
        return version->server ? "Windows Server 2008" : "Windows Vista";
    case 601:
        return version->server ? "Windows Server 2008 R2" : "Windows 7";
    case 602:
        return version->server ? "Windows Server 2012" : "Windows 8";
    case 603:
        return version->server ? "Windows Server 2012 R2" : "Windows 8.1";
    case 1000:
        if (version->server)
            return "Windows Server 2016 or later";
        return version->build >= 22000 ? "Windows 11" : "Windows 10";
    default:
        return "Windows";
    }
}

void
hvs_os_print(const struct hvs_os_version *version, struct hvs_text *out)
{
    hvs_text_add(out, name_of(version));
    if (version->home && version->number != 501)
        hvs_text_add(out, " Home");
    hvs_text_add(out, " (");
    hvs_text_add_u64(out, version->number / 100);
    hvs_text_add_char(out, '.');
    hvs_text_add_u64(out, version->number % 100);
    hvs_text_add_char(out, '.');
    hvs_text_add_u64(out, version->build);
    if (version->service_pack != 0) {
        hvs_text_add(out, ", Service Pack ");
        hvs_text_add_u64(out, version->service_pack);
    }
    hvs_text_add_char(out, ')');
}

bool
hvs_os_is_administrator(void)
{
    SID_IDENTIFIER_AUTHORITY authority = SECURITY_NT_AUTHORITY;
    PSID administrators = NULL;
    BOOL member = FALSE;

    if (!AllocateAndInitializeSid(&authority, 2, SECURITY_BUILTIN_DOMAIN_RID,
                                  DOMAIN_ALIAS_RID_ADMINS, 0, 0, 0, 0, 0, 0, &administrators))
        return false;
    /* NULL: the token that this thread acts with just now. */
    if (!CheckTokenMembership(NULL, administrators, &member))
        member = FALSE;
    FreeSid(administrators);
    return member != FALSE;
}
