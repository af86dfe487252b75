#include "chinese.h"

#include <string.h>

/* {…} stands for the same words in both. Those of common/ are the same as in gui/po/zh_CN.po. */
static const struct {
    const char *english, *chinese;
} sentences[] = {
    { "The host does not offer Enhanced Session to this guest",
      "主机未向此虚拟机提供增强会话" },
    { "Something keeps Enhanced Session from working",
      "有问题导致增强会话无法工作" },
    { "Agreeing on Enhanced Session with the host",
      "正在与主机协商增强会话" },
    { "Ready for Enhanced Session, nobody is connected",
      "增强会话已就绪，没有人连接" },
    { "Enhanced Session is in use",
      "增强会话正在使用中" },
    { "the host closed the connection",
      "主机关闭了连接" },
    { "the user closed the window",
      "用户关闭了窗口" },
    { "the RDP server closed the connection, as after a log-off",
      "RDP 服务器关闭了连接，例如用户注销后" },
    { "hvsession was stopped",
      "hvsession 已停止" },
    { "an administrator ended the session",
      "管理员结束了会话" },
    { "the host took Enhanced Session back",
      "主机收回了增强会话" },
    { "using the channel failed",
      "使用通道失败" },
    { "the ring buffer holds an index or length that cannot be right",
      "环形缓冲区中的索引或长度无效" },
    { "the host sent a packet that a pipe does not carry",
      "主机发送了管道中不应有的数据包" },
    { "the client's Connection Request stayed incomplete for 10 s",
      "客户端的连接请求在 10 秒内未完成" },
    { "the client sent a malformed PDU",
      "客户端发送了格式错误的 PDU" },
    { "the RDP server sent a malformed PDU",
      "RDP 服务器发送了格式错误的 PDU" },
    { "no RDP server took the connection in time; check that it runs and that Server names it",
      "没有 RDP 服务器及时接受连接；请检查它是否运行，以及 Server 设置是否指向它" },
    { "the RDP server took the connection but does not answer; restart it",
      "RDP 服务器接受了连接但没有回应；请重新启动它" },
    { "the RDP server refused the connection",
      "RDP 服务器拒绝了连接" },
    { "the RDP server insists on RDP encryption; set crypt_level=none in xrdp, or "
      "NegotiationReply=passthrough",
      "RDP 服务器坚持使用 RDP 加密；请在 xrdp 中设置 crypt_level=none，或设置 "
      "NegotiationReply=passthrough" },
    { "TLS with the RDP server failed",
      "与 RDP 服务器的 TLS 连接失败" },
    { "the connection to the RDP server broke",
      "与 RDP 服务器的连接中断" },
    { "the system is out of memory, threads or descriptors",
      "系统的内存、线程或文件描述符已用尽" },
    { "the host did not answer the version request",
      "主机没有回应版本请求" },
    { "the host refused version 1.0 of the protocol",
      "主机拒绝了协议版本 1.0" },
    { "the host answered the version request with an error",
      "主机以错误回应了版本请求" },
    { "the host sent a message that is not a version response",
      "主机发送的消息不是版本回应" },
    { "the control channel could not be opened or broke",
      "控制通道无法打开或已中断" },
    { "the control channel cannot be opened; the log says why",
      "控制通道无法打开，日志会说明原因" },
    { "a data channel cannot be opened; the log says why",
      "某个数据通道无法打开，日志会说明原因" },
    { "Enhanced Session does not work yet.",
      "增强会话尚不可用。" },
    { "Enhanced Session works, but not in every case.",
      "增强会话可用，但并非在所有情况下。" },
    { "Enhanced Session is not for this machine.",
      "增强会话不适用于这台机器。" },
    { "The host does not offer Enhanced Session.",
      "主机未提供增强会话。" },
    { "Enhanced Session does not work while its service is down.",
      "服务停止时，增强会话不可用。" },
    { "All is in place for Enhanced Session.",
      "增强会话所需的一切都已就绪。" },
    { "No problem found.",
      "未发现问题。" },
    { "This is not a Hyper-V virtual machine: {hypervisor}.",
      "这不是 Hyper-V 虚拟机：{hypervisor}。" },
    { "Enhanced Session is a way of Hyper-V to reach into its guests; there is nothing for "
      "hvsession to do here.",
      "增强会话是 Hyper-V 进入其虚拟机的一种方式，hvsession 在这里没有用处。" },
    { "Nothing to mend: connect to this machine over the network, or with the console of its own "
      "hypervisor.",
      "无需修复：请通过网络或其虚拟化平台自带的控制台连接这台机器。" },
    { "Nothing to mend: connect to this machine over the network.",
      "无需修复：请通过网络连接这台机器。" },
    { "Let hvsession change that; hvsession setup --undo puts it back:",
      "让 hvsession 更改此设置；hvsession setup --undo 可以恢复：" },
    { "This is a virtual machine in Azure, which has no Enhanced Session.",
      "这是 Azure 中的虚拟机，没有增强会话。" },
    { "Azure runs on Hyper-V, but gives nobody its hosts, and vmconnect works through the host.",
      "Azure 运行在 Hyper-V 上，但不开放其主机，而 vmconnect 需要经过主机。" },
    { "Nothing to mend: connect over the network with an RDP client.",
      "无需修复：请使用 RDP 客户端通过网络连接。" },
    { "The host does not offer Enhanced Session to this virtual machine.",
      "主机未向此虚拟机提供增强会话。" },
    { "The guest only answers an offer. It comes from the host, and three things there hold it "
      "back: the server's policy, the user's setting and the machine's transport.",
      "虚拟机只能响应主机的提供。主机上有三项因素会阻止它：服务器策略、用户设置和虚拟机的传输方式"
      "。" },
    { "Allow it on the server:",
      "在服务器上允许增强会话：" },
    { "If this machine was set to HvSocket, go back to VMBus:",
      "如果此虚拟机曾设置为 HvSocket，请改回 VMBus：" },
    { "In Hyper-V Manager, under Hyper-V Settings, User, Enhanced Session Mode, tick \"Use "
      "enhanced session mode\". Then close the machine's window and connect again while it runs.",
      "在 Hyper-V 管理器的“Hyper-V "
      "设置”、“用户”、“增强会话模式”中，勾选“使用增强会话模式”。然后关闭虚拟机窗口，并在虚拟机运"
      "行时重新连接。" },
    { "Hyper-V's integration services are missing or too old: vmbuspipe.dll does not load.",
      "Hyper-V 集成服务缺失或版本太旧：无法加载 vmbuspipe.dll。" },
    { "hvsession reaches the channels of Enhanced Session through this library.",
      "hvsession 通过这个库访问增强会话的通道。" },
    { "Install the integration services and restart: in the machine's window Action, Insert "
      "Integration Services Setup Disk (hosts up to Windows Server 2012 R2), on later hosts "
      "through Windows Update.",
      "请安装集成服务并重新启动：在虚拟机窗口中选择“操作”、“插入集成服务安装盘”（Windows Server "
      "2012 R2 及更早的主机），在更新的主机上通过 Windows Update 安装。" },
    { "This is hvsession for 32-bit Windows, but Windows is a 64-bit one.",
      "这是用于 32 位 Windows 的 hvsession，而此 Windows 是 64 位的。" },
    { "vmbuspipe.dll, of the integration services, is there, but only for 64-bit programs.",
      "集成服务的 vmbuspipe.dll 已存在，但只供 64 位程序使用。" },
    { "Remove this hvsession, and install the one for 64-bit Windows (x64):",
      "请卸载此 hvsession，然后安装用于 64 位 Windows (x64) 的版本：" },
    { "This edition of Windows has no Remote Desktop server.",
      "此版本的 Windows 没有远程桌面服务器。" },
    { "Enhanced Session is a Remote Desktop session; Home editions can only be the client of one.",
      "增强会话是一种远程桌面会话，家庭版只能作为其客户端。" },
    { "Use a Professional, Ultimate, Enterprise or Server edition.",
      "请使用专业版、旗舰版、企业版或服务器版。" },
    { "Remote Desktop is turned off.",
      "远程桌面已关闭。" },
    { "Enhanced Session is a Remote Desktop session that comes through the host instead of the "
      "network.",
      "增强会话是一种经过主机而不是网络的远程桌面会话。" },
    { "The Remote Desktop service (TermService) does not run.",
      "远程桌面服务 (TermService) 没有运行。" },
    { "It is the server that hvsession connects to.",
      "hvsession 连接的服务器就是它。" },
    { "Remote Desktop accepts clients with Network Level Authentication only.",
      "远程桌面只接受使用网络级别身份验证的客户端。" },
    { "The host has dealt with the logon of an Enhanced Session already and sends plain RDP. "
      "Mind that turning this off is for connections over the network, too.",
      "主机已处理增强会话的登录，发送的是普通 RDP。请注意，关闭此项也会影响通过网络的连接。" },
    { "Remote Desktop listens on port {rdp_port}, but hvsession connects to port "
      "{configured_port}.",
      "远程桌面监听端口 {rdp_port}，但 hvsession 连接的是端口 {configured_port}。" },
    { "The port was changed on one side only.",
      "只有一方更改了端口。" },
    { "Remote Desktop runs, but a firewall keeps hvsession from it.",
      "远程桌面正在运行，但防火墙阻止 hvsession 连接它。" },
    { "hvsession connects to the Remote Desktop service of this machine, on {server}.",
      "hvsession 连接此虚拟机的远程桌面服务：{server}。" },
    { "With another maker's firewall, allow connections from this machine to itself.",
      "如果使用其他厂商的防火墙，请允许此虚拟机连接自身。" },
    { "The configuration has a mistake ({config_error}).",
      "配置有错误（{config_error}）。" },
    { "The service does not start with a setting that it does not understand.",
      "服务不会以无法理解的设置启动。" },
    { "Mend that setting; then:",
      "修正该设置，然后：" },
    { "The hvsession service does not run.",
      "hvsession 服务未运行。" },
    { "It answers the host and carries the sessions.",
      "它响应主机并承载会话。" },
    { "Should it stop again, the event log says why:",
      "如果它再次停止，事件日志会说明原因：" },
    { "The host offers Enhanced Session, but refuses the protocol version 1.0.",
      "主机提供了增强会话，但拒绝协议版本 1.0。" },
    { "No host is known that does; this one may be newer than hvsession.",
      "目前没有已知的主机会这样；此主机可能比 hvsession 新。" },
    { "Bring the host up to date. Its version:",
      "请更新主机。查看其版本：" },
    { "The host offers Enhanced Session, but the guest cannot agree with it: {problem}.",
      "主机提供了增强会话，但虚拟机无法与其达成一致：{problem}。" },
    { "Until both have agreed on a version, vmconnect does not offer Enhanced Session. hvsession "
      "goes on trying.",
      "在双方就版本达成一致之前，vmconnect 不提供增强会话。hvsession 会继续尝试。" },
    { "Close the machine's window and connect again. If that does not help, restart the machine:",
      "关闭虚拟机窗口并重新连接。如果没有帮助，请重新启动虚拟机：" },
    { "No RDP server listens on {server}.",
      "没有 RDP 服务器监听 {server}。" },
    { "hvsession carries the session to an RDP server in this machine; the desktop comes from "
      "that server.",
      "hvsession 将会话转送到此虚拟机中的 RDP 服务器，桌面由该服务器提供。" },
    { "The RDP server accepts TLS only (SSL_REQUIRED_BY_SERVER).",
      "RDP 服务器只接受 TLS（SSL_REQUIRED_BY_SERVER）。" },
    { "The host has dealt with encryption already, and what hvsession passes on is plain RDP.",
      "主机已处理加密，hvsession 传送的是普通 RDP。" },
    { "The RDP server accepts Network Level Authentication only (HYBRID_REQUIRED_BY_SERVER).",
      "RDP 服务器只接受网络级别身份验证（HYBRID_REQUIRED_BY_SERVER）。" },
    { "The host has dealt with the logon already and sends plain RDP, which servers such as "
      "gnome-remote-desktop do not take.",
      "主机已处理登录，发送的是普通 RDP，而 gnome-remote-desktop 等服务器不接受。" },
    { "The RDP server has refused the last session: {failure}.",
      "RDP 服务器拒绝了上一次会话：{failure}。" },
    { "hvsession asks for plain RDP, since the host has dealt with security already, and for TLS "
      "where the server wants that or ServerSecurity says so.",
      "由于主机已处理安全问题，hvsession 请求普通 RDP；在服务器要求或 ServerSecurity 设置时请求 "
      "TLS。" },
    { "Look for Remote Desktop in the event log:",
      "在事件日志中查找“远程桌面”：" },
    { "The RDP server encrypts by itself{crypt_level}, which clients of Enhanced Session do not "
      "expect.",
      "RDP 服务器自行加密{crypt_level}，而增强会话的客户端不支持这样。" },
    { "To the client the session is secure already, through the host; one that is encrypted once "
      "more ends at once.",
      "对客户端而言，会话已通过主机得到保护；再次加密的会话会立即结束。" },
    { "Or answer the client as the server does:",
      "或者按服务器的方式回应客户端：" },
    { "Accounts without a password cannot log in through Enhanced Session.",
      "没有密码的帐户无法通过增强会话登录。" },
    { "Windows lets them in at the console only, for good reason.",
      "出于安全原因，Windows 只允许它们在控制台登录。" },
    { "Give the account a password (put its name for USER):",
      "请为该帐户设置密码（用其名称代替 USER）：" },
    { "Or let all of them in, over the network, too:",
      "或者允许所有这类帐户登录，也包括通过网络：" },
    { "This Windows has Enhanced Session built in, and uses it.",
      "此 Windows 内置了增强会话，并正在使用它。" },
    { "hvsession is not needed here, and gets no sessions as long as that is so.",
      "这里不需要 hvsession；只要如此，它就不会收到会话。" },
    { "To use hvsession all the same, turn the built-in one off and restart:",
      "如果仍要使用 hvsession，请关闭内置的增强会话并重新启动：" },
    { "vmbuspipe.dll is not in the system directory: install the Hyper-V integration services in "
      "this guest and restart it",
      "系统目录中没有 vmbuspipe.dll：请在此虚拟机中安装 Hyper-V 集成服务并重新启动" },
    { "vmbuspipe.dll is there for 64-bit programs only, and this is hvsession for 32-bit Windows: "
      "remove it, and install the one for 64-bit Windows (x64)",
      "vmbuspipe.dll 只供 64 位程序使用，而这是用于 32 位 Windows 的 hvsession：请卸载它，然后安装用于 "
      "64 位 Windows (x64) 的版本" },
    { "the Hyper-V integration services do not answer: {error}",
      "Hyper-V 集成服务没有回应：{error}" },
    { "the VMBus driver does not give back what was cancelled; restart this machine",
      "VMBus 驱动程序没有归还已取消的操作；请重新启动此虚拟机" },
    { "the host does not read what we send",
      "主机没有读取发送的内容" },
    { "opening the channel: {error}",
      "打开通道：{error}" },
    { "reading the channel: {error}",
      "读取通道：{error}" },
    { "writing to the channel: {error}",
      "写入通道：{error}" },
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What stood for a {…}, in the English that was matched. */
struct filling {
    const char *name, *words;
    size_t      name_length, length;
};
#define FILLINGS_MAX 4

static const char *
find(const char *words, const char *piece, size_t length)
{
    for (; strlen(words) >= length; words++)
        if (strncmp(words, piece, length) == 0)
            return words;
    return NULL;
}

/* Does the template say that? What it leaves open goes to fillings, in their order. Each is as
 * short as the piece of the template behind it allows, the last one takes all. */
static bool
match(const char *template, const char *english, struct filling fillings[FILLINGS_MAX],
      unsigned *count)
{
    *count = 0;
    for (;;) {
        size_t length = strcspn(template, "{");
        const char *close, *rest, *found;

        if (strncmp(template, english, length) != 0)
            return false;
        template += length;
        english += length;
        close = strchr(template, '}');
        if (*template == '\0' || close == NULL || *count == FILLINGS_MAX)
            return *template == *english;
        rest = close + 1;
        length = strcspn(rest, "{");
        /* The last piece ends the sentence. */
        found = rest[length] == '\0' ? english + strlen(english) - length
                                     : find(english, rest, length);
        if (found == NULL || strlen(english) < length || found < english)
            return false;
        fillings[(*count)++] = (struct filling) {
            .name = template,
            .words = english,
            .name_length = (size_t)(rest - template),
            .length = (size_t)(found - english),
        };
        template = rest;
        english = found;
    }
}

/* Words of common/ again, perhaps: what is wrong with the control channel. */
static void
add_filling(struct hvs_text *out, const struct filling *filling)
{
    char words[256];
    struct hvs_text text;

    hvs_text_init(&text, words, sizeof words);
    hvs_text_add_bytes(&text, filling->words, filling->length);
    for (size_t i = 0; i < COUNT(sentences); i++)
        if (strcmp(sentences[i].english, words) == 0) {
            hvs_text_add(out, sentences[i].chinese);
            return;
        }
    hvs_text_add_bytes(out, filling->words, filling->length);
}

static void
fill(const char *template, const struct filling *fillings, unsigned count, struct hvs_text *out)
{
    while (*template != '\0') {
        size_t length = strcspn(template, "{");

        hvs_text_add_bytes(out, template, length);
        template += length;
        for (unsigned i = 0; i < count; i++)
            if (strncmp(template, fillings[i].name, fillings[i].name_length) == 0) {
                add_filling(out, &fillings[i]);
                template += fillings[i].name_length;
                break;
            }
        if (*template == '{')
            hvs_text_add_char(out, *template++);
    }
}

bool
hvs_chinese_add(struct hvs_text *out, const char *english)
{
    struct filling fillings[FILLINGS_MAX];
    unsigned count;

    for (size_t i = 0; i < COUNT(sentences); i++)
        if (match(sentences[i].english, english, fillings, &count)) {
            fill(sentences[i].chinese, fillings, count, out);
            return true;
        }
    return false;
}
