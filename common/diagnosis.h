/* Facts about a machine in, findings out: why Enhanced Session does not work here, and what mends
 * it. The same for both platforms, pure: no I/O, no heap, no clock.
 *
 * A platform's probe fills struct hvs_facts; what it cannot learn stays unknown, and nothing is
 * ever reported from what is unknown. A finding that another one explains is left out: on a machine
 * that is no Hyper-V guest nobody wants to hear of channels.
 *
 * The table of findings is in findings.c; every finding has a section of its own in hvsession(7).
 *
 * The JSON document, schema 1. Keys are never renamed or left out; new ones may come. X? is X or
 * null.
 *
 *     {
 *       "schema": 1,
 *       "version": string,               of hvsession
 *       "verdict": "fine" | "degraded" | "not-a-guest" | "not-offered" | "service-down",
 *       "exit_status": number,           of hvsession doctor: HVS_VERDICT_…
 *       "summary": string,               the verdict as a sentence
 *       "findings": [                    the most important first
 *         {
 *           "code": string,              "HVS-203", never given to another finding
 *           "name": string,              "kernel-too-old", likewise
 *           "severity": "error" | "warning" | "advice" | "info",
 *           "sentence": string,
 *           "why": string,               why it matters
 *           "fix": [ { "where": "guest" | "host", "note": string?, "command": string? } ],
 *           "manual": string             "man:hvsession(7)#kernel-too-old"
 *         }
 *       ],
 *       "facts": { NAME: "yes" | "no" | "unknown" | string? | number }
 *     }
 *
 * The keys of "facts" are the fields of struct hvs_facts.
 */
#ifndef HVS_COMMON_DIAGNOSIS_H
#define HVS_COMMON_DIAGNOSIS_H

#include "status.h"
#include "synthrdp.h"
#include "text.h"

/* ---- facts ---- */

/* Three-valued. What was not looked at or could not be seen is unknown. */
enum hvs_answer { HVS_UNKNOWN, HVS_NO, HVS_YES };

enum hvs_os { HVS_OS_LINUX, HVS_OS_WINDOWS };

enum hvs_hypervisor {
    HVS_HYPERVISOR_UNKNOWN,
    HVS_HYPERVISOR_NONE, /* a physical machine */
    HVS_HYPERVISOR_HYPER_V,
    HVS_HYPERVISOR_OTHER, /* .hypervisor_name says which */
};

/* Families that share a package manager and package names; they decide on the commands of a fix. */
enum hvs_distribution {
    HVS_DISTRIBUTION_OTHER,
    HVS_DISTRIBUTION_DEBIAN,
    HVS_DISTRIBUTION_UBUNTU,
    HVS_DISTRIBUTION_FEDORA, /* Red Hat's and its rebuilds, too: dnf */
    HVS_DISTRIBUTION_SUSE,
    HVS_DISTRIBUTION_ARCH,
    HVS_DISTRIBUTION_ALPINE,
};

#define HVS_FACT_WORD_MAX 64  /* bytes, with the zero */
#define HVS_FACT_NAME_MAX 512 /* of a virtual machine: 100 characters */

/* Zeroed, it says nothing: all answers unknown, all strings empty. Strings may hold anything from
 * the machine or its host; they are made safe when printed. */
struct hvs_facts {
    enum hvs_os os;

    /* The machine */
    enum hvs_hypervisor   hypervisor;
    char                  hypervisor_name[HVS_FACT_WORD_MAX]; /* "KVM" */
    enum hvs_answer       wsl;
    enum hvs_answer       azure; /* a virtual machine in Azure: Hyper-V without vmconnect */
    enum hvs_answer       container;
    char                  container_name[HVS_FACT_WORD_MAX]; /* "docker" */
    enum hvs_answer       confidential;               /* SEV-SNP or TDX isolation */
    char                  vm_name[HVS_FACT_NAME_MAX]; /* as the host calls it, from KVP */
    char                  host_name[HVS_FACT_NAME_MAX];
    char                  host_build[HVS_FACT_WORD_MAX]; /* of its hypervisor, "10.0.26100.1" */
    char                  os_name[HVS_FACT_NAME_MAX]; /* "Debian GNU/Linux 12 (bookworm)" */
    char                  kernel[HVS_FACT_WORD_MAX];  /* release; Linux only */
    enum hvs_distribution distribution;               /* Linux only */
    char                  distribution_version[HVS_FACT_WORD_MAX]; /* "12", "24.04" */

    /* VMBus */
    enum hvs_answer kernel_modules;     /* the running kernel's modules are installed */
    enum hvs_answer vmbus;              /* the bus is there */
    enum hvs_answer control_offered;    /* the control channel is among its devices */
    uint32_t        data_channels;      /* how many data channels are */
    enum hvs_answer channels_monitored; /* signalled through a page: kernels of any age do that */
    enum hvs_answer uio_available;      /* uio_hv_generic: loaded, a module or built in */
    enum hvs_answer uio_loaded;
    enum hvs_answer kernel_recent;      /* Linux 6.10 or later */
    enum hvs_answer kernel_refuses;     /* it has refused to bind a channel as not supported */
    enum hvs_answer out_of_memory;      /* it has refused to bind a channel for want of memory */
    enum hvs_answer control_bound;      /* uio_hv_generic has the control channel */
    char            node[HVS_FACT_WORD_MAX]; /* "uio0": of the control channel, once bound */
    enum hvs_answer node_accessible;    /* the service may open it */
    enum hvs_answer channel_held;       /* by a process that is not our service */
    char            holder_name[HVS_FACT_WORD_MAX]; /* of that process, empty if not known */
    uint32_t        holder_pid;

    /* Our service; what only it knows comes from hvs_facts_add_status() */
    enum hvs_answer          service_running;
    char                     config_error[HVS_FACT_NAME_MAX]; /* what is wrong in its files */
    enum hvs_control_problem control_problem; /* of the last attempt to agree on a version */
    enum hvs_answer          hvsocket_listening; /* somebody in the guest serves HvSocket 3389 */
    enum hvs_answer          hvsocket_used;      /* the host has come that way */
    enum hvs_answer          hvsocket_taken;     /* it is not our service that serves it */

    /* The RDP server */
    char            server[HVS_FACT_NAME_MAX]; /* as configured, "tcp:127.0.0.1:3389" */
    enum hvs_answer server_listening;
    uint32_t        failure_code;     /* RDP_NEG_FAILURE of the last session, 0: none */
    enum hvs_answer server_encrypts;  /* the last session ended by that */
    enum hvs_answer server_untrusted; /* so did it by the server's certificate */
    enum hvs_answer relay_speaks_tls; /* to servers that insist on it: ServerSecurity */
    enum hvs_answer reply_mirrored;   /* NegotiationReply: then the server must not encrypt */
    enum hvs_answer own_xrdp_tried;   /* that of hvsession-xrdp.service: Server has it or auto */
    enum hvs_answer xrdp_installed;
    enum hvs_answer xrdp_is_server;   /* some xrdp is what the service connects to */
    enum hvs_answer xrdp_ini_used;    /* the one that /etc/xrdp/xrdp.ini sets up */
    char            xrdp_port[HVS_FACT_NAME_MAX]; /* of xrdp.ini, as the next two */
    char            xrdp_security_layer[HVS_FACT_WORD_MAX];
    char            xrdp_crypt_level[HVS_FACT_WORD_MAX];
    enum hvs_answer xrdp_vsock_wrong; /* use_vsock=true with a port that is not vsock://… */
    enum hvs_answer xrdp_vsock;       /* xrdp takes HvSocket port 3389 for itself */
    enum hvs_answer xorgxrdp_installed;
    enum hvs_answer xvnc_installed;   /* the other X server that xrdp can start */
    enum hvs_answer xorgxrdp_matches; /* made for the X server that is installed */
    uint32_t        xorgxrdp_abi, xorg_abi; /* video driver ABI, major; 0: not known */

    /* The session */
    enum hvs_answer console_login; /* somebody has a graphical session on the console */
    char            console_user[HVS_FACT_WORD_MAX];
    char            console_session[HVS_FACT_WORD_MAX]; /* its id with logind */
    enum hvs_answer x_sessions;       /* desktops that run on X are installed */
    enum hvs_answer wayland_sessions; /* desktops that run on Wayland are */
    enum hvs_answer sound_module;     /* xrdp's for PipeWire or PulseAudio */
    enum hvs_answer colord_prompts;   /* colord asks remote sessions for a password */

    /* Windows */
    uint32_t        windows_version; /* 501 XP, 600 Vista, 603 8.1, 1000 10; 0: not known */
    enum hvs_answer vmbuspipe;       /* vmbuspipe.dll is there and loads */
    enum hvs_answer vmbuspipe_64;    /* it is there for 64-bit programs, of which we are none */
    enum hvs_answer home_edition;    /* has no Remote Desktop server */
    enum hvs_answer remote_desktop;  /* fDenyTSConnections is 0 */
    enum hvs_answer termservice_running;
    enum hvs_answer nla_required;    /* UserAuthentication is 1 */
    uint32_t        rdp_port;        /* PortNumber, 0: not known */
    uint32_t        configured_port; /* that our Server setting names, 0: not known */
    enum hvs_answer firewall_blocks; /* the server listens, but is not reached from here */
    enum hvs_answer blank_password;  /* an account without password is refused */
    enum hvs_answer builtin_active;  /* Windows' own Enhanced Session, 8.1 and later */

    enum hvs_answer limited; /* some facts are for root's eyes only, and we were not root */
};

/* What the hypervisor is called that signs with those twelve characters in CPUID, NULL: not known.
 * Hyper-V's own is not among them. */
const char *hvs_hypervisor_name(const char *vendor);

/* ---- findings ---- */

enum hvs_severity {
    HVS_SEVERITY_ERROR,   /* Enhanced Session cannot work */
    HVS_SEVERITY_WARNING, /* it may fail for some, or in part */
    HVS_SEVERITY_ADVICE,  /* it works; this would make it better */
    HVS_SEVERITY_INFO,    /* good to know */
};

/* What it all comes to; the values are the exit statuses of hvsession doctor. */
enum hvs_verdict {
    HVS_VERDICT_FINE = 0,
    HVS_VERDICT_DEGRADED = 1,     /* errors or warnings */
    HVS_VERDICT_NOT_A_GUEST = 3,  /* of Hyper-V */
    HVS_VERDICT_NOT_OFFERED = 4,  /* by the host */
    HVS_VERDICT_SERVICE_DOWN = 5, /* else all is well */
};

enum hvs_place { HVS_PLACE_GUEST, HVS_PLACE_HOST };

/* One step of a fix. Commands of the host are for PowerShell, those of the guest for its shell,
 * both as administrator (with sudo where that is needed). */
struct hvs_fix {
    enum hvs_place where;
    const char    *note;    /* what to do, or what the command is for; NULL: the command says it */
    const char    *command; /* lines to type; NULL: nothing to type */
    bool (*when)(const struct hvs_facts *facts); /* NULL: always */
};

/* A finding has no more steps. */
#define HVS_FIX_MAX 8

/* One kind of finding. The texts are templates: {…} stands for a fact, print them with
 * hvs_finding_print(). */
struct hvs_finding {
    const char           *code;
    const char           *name; /* and anchor in hvsession(7) */
    enum hvs_severity     severity;
    enum hvs_verdict      verdict; /* what this one makes of the whole */
    bool (*applies)(const struct hvs_facts *facts);
    uint64_t              hidden_by; /* one bit for each finding that explains this one; private */
    const char           *sentence;
    const char           *why;
    const struct hvs_fix *fix; /* ends with one that has neither note nor command */
};

/* All there are, by severity, and within that causes before what they cause; *count entries, at
 * most 64. Those that this build does not know are all zero. */
const struct hvs_finding *hvs_findings_table(size_t *count);

#define HVS_FINDINGS_MAX 64

struct hvs_diagnosis {
    const struct hvs_finding *findings[HVS_FINDINGS_MAX]; /* the most important first */
    unsigned                  count;
    enum hvs_verdict          verdict;
};

/* The step of the finding's fix that is wanted behind previous, the first if that is NULL; NULL:
 * there are no more. */
const struct hvs_fix *hvs_finding_next_fix(const struct hvs_facts *facts,
                                           const struct hvs_finding *finding,
                                           const struct hvs_fix *previous);

/* Adds what only the running service knows: that it runs, how the host answered, and what became of
 * the last session. */
void hvs_facts_add_status(struct hvs_facts *facts, const struct hvs_status *status);

/* Judges. What applies and is not explained by another finding, in the order of the table. */
void hvs_diagnose(const struct hvs_facts *facts, struct hvs_diagnosis *diagnosis);

/* A sentence, a note or a command with its facts filled in: the longest command names the machine
 * three times, each of its characters a quote. */
#define HVS_FINDING_TEXT_MAX (6 * HVS_FACT_NAME_MAX + 1024)

/* One of a finding's texts with the facts filled in: .sentence, .why, a note. Facts are printed as
 * in hvs_text_add_visible(). {vm} is the machine's name as a PowerShell string, '<VM name>' if it
 * is not known or cannot be typed. */
void hvs_finding_print(const struct hvs_facts *facts, const char *template, struct hvs_text *out);

/* Identifiers ("error", "not-offered", "host") and a sentence with its full stop. Never NULL. */
const char *hvs_severity_to_string(enum hvs_severity severity);
const char *hvs_verdict_to_string(enum hvs_verdict verdict);
const char *hvs_place_to_string(enum hvs_place place);
const char *hvs_answer_to_string(enum hvs_answer answer);
/* The whole in one sentence: what the first finding amounts to. */
const char *hvs_diagnosis_summary(const struct hvs_facts *facts,
                                  const struct hvs_diagnosis *diagnosis);

/* Sizes in bytes that hold either form. */
#define HVS_DIAGNOSIS_TEXT_MAX 65536
#define HVS_DIAGNOSIS_JSON_MAX 65536

struct hvs_diagnosis_style {
    bool colour;  /* for a terminal; colour only repeats what the words say */
    bool verbose; /* why it matters for every finding, not for the first only */
};

/* At most 80 columns a line but for commands, which are never broken. */
void hvs_diagnosis_print_text(const struct hvs_facts *facts, const struct hvs_diagnosis *diagnosis,
                              struct hvs_diagnosis_style style, struct hvs_text *out);
/* One object as above, two spaces a level. version: of hvsession. */
void hvs_diagnosis_print_json(const struct hvs_facts *facts, const struct hvs_diagnosis *diagnosis,
                              const char *version, struct hvs_text *out);

#endif
