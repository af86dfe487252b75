; All texts of the wizard, in simplified Chinese. In the order of text-english.nsh.
!define TEXT "!insertmacro ChineseText"
!macro ChineseText NAME STRING
    LangString ${NAME} ${LANG_SIMPCHINESE} `${STRING}`
!macroend

; ---- pages ----
${TEXT} WelcomeText "${NAME} 为这台虚拟机提供 Hyper-V 增强会话：在“虚拟机连接”窗口中使用剪贴板、驱动器、声音和任意\
屏幕尺寸，不需要网络。$\r$\n$\r$\n安装程序会安装一个小型服务，并在您同意后更改远程桌面设置。卸载 ${NAME} 时，它更改过的\
每一项设置都会恢复原状。$\r$\n$\r$\n单击“下一步”继续。"

${TEXT} FindingsTitle "继续之前"
${TEXT} FindingsSubtitle "安装程序在这台计算机上发现的情况。"
${TEXT} OldVersionText "已安装 ${NAME} $OldVersion。安装程序会停止它（已打开的增强会话随之结束）、替换它并重新启动，\
设置保持不变。如果您正在增强会话中操作，请一分钟后重新连接。"
${TEXT} NotHyperVText "这台计算机似乎不是 Hyper-V 虚拟机。仍可安装 ${NAME}（例如用于准备映像），但它只在 Hyper-V 中\
起作用。"
${TEXT} NoIntegrationText "缺少 Hyper-V 集成服务（vmbuspipe.dll），因此无法与主机通信。请在“虚拟机连接”窗口中选择\
“操作”、“插入集成服务安装盘”，安装后重新启动 Windows。可以先安装 ${NAME}，集成服务就绪后它会启动。"
${TEXT} BuiltInText "这个版本的 Windows 自带增强会话，不需要 ${NAME}。如果增强会话不可用，请启用远程桌面，并在主机上\
启用增强会话模式。"
${TEXT} OverrideBoxText "使用 ${NAME} 代替自带的增强会话(&U)"
${TEXT} OverrideText "重新启动后生效，卸载 ${NAME} 后还原。不勾选则无需安装任何内容。"

${TEXT} SettingsTitle "远程桌面设置"
${TEXT} SettingsSubtitle "选择安装程序可以更改的内容，使增强会话能够工作。"
${TEXT} RemoteDesktopBoxText "启用远程桌面(&R)"
${TEXT} RemoteDesktopText "增强会话就是经由 Hyper-V 主机的远程桌面。"
${TEXT} RemoteDesktopOnText "已经启用：不会更改。"
${TEXT} NlaBoxText "允许不使用网络级别身份验证 (NLA) 的连接(&L)"
${TEXT} NlaText "主机已经验证过连接者的身份，而 NLA 无法再进行一次：要求 NLA 时增强会话不能工作。用户登录时仍需输入密码。"
${TEXT} NlaOffText "已经允许：不会更改。"
${TEXT} NlaUnknownText "这个版本的 Windows 没有 NLA：无需更改。"
${TEXT} FirewallBoxText "阻止从网络访问远程桌面端口 (3389)(&B)"
${TEXT} FirewallText "使用 Windows 防火墙规则。增强会话不需要网络。如果还有人通过网络连接，请取消勾选。"
${TEXT} FirewallRemoteText "您正在通过远程桌面操作：勾选此项可能使您无法再连接。增强会话不需要网络。"
${TEXT} BlankPasswordBoxText "允许没有密码的帐户登录(&W)"
${TEXT} BlankPasswordText "Windows 只允许它们在控制台登录。除非确有需要，请保持原样。"
${TEXT} PutBackText "安装程序会记录所做的更改；卸载 ${NAME} 时恢复原状。"

${TEXT} ServiceName "服务"
${TEXT} ServiceDescription "向主机提供增强会话的服务，及其命令 ${NAME}。"
${TEXT} TrayName "通知区域图标"
${TEXT} TrayDescription "时钟旁的图标，显示增强会话的状态。"
${TEXT} StartMenuName "开始菜单快捷方式"
${TEXT} StartMenuDescription "为所有用户在开始菜单中添加快捷方式。"

${TEXT} FinishedText "${NAME} 已安装，其服务正在运行。$\r$\n$\r$\n请关闭“虚拟机连接”窗口并重新打开：它会询问屏幕尺寸，\
随后会话开始。"
${TEXT} RebootText "${NAME} 已安装。重新启动 Windows 后，它将代替自带的增强会话。"
${TEXT} NotStartedText "${NAME} 已安装。有了 Hyper-V 集成服务后，其服务随 Windows 启动：请安装集成服务并重新启动。"
${TEXT} StartFailedText "${NAME} 已安装，但其服务未能启动。原因见应用程序事件日志（来源 HvSession）。"
${TEXT} SetupFailedText "${NAME} 已安装，但并非所有远程桌面设置都能更改。要查看是哪些，请以管理员身份打开命令提示符，在 \
$INSTDIR 中运行：${NAME} setup --dry-run"
${TEXT} ShowStatusText "显示状态(&S)"

; ---- progress ----
${TEXT} ReplacingText "正在停止已有的服务"
${TEXT} InstallingServiceText "正在安装服务"
${TEXT} UndoingText "正在恢复不再需要更改的设置"
${TEXT} ChangingSettingsText "正在更改远程桌面设置"
${TEXT} StartingText "正在启动服务"
${TEXT} ToolStatusText "    退出状态 $ToolStatus"
${TEXT} RemovingServiceText "正在恢复设置并移除服务"
${TEXT} RemovedText "${NAME} 已移除"

; ---- refusals and failures ----
${TEXT} NeedAdminText "需要管理员权限：请以管理员身份登录，或右键单击程序并选择“以管理员身份运行”。"
${TEXT} AlreadyRunsText "${NAME} 的安装或卸载程序已在运行。"
${TEXT} TooOldText "${NAME} 需要 Windows XP 或更高版本。"
${TEXT} ArmText "ARM64 版 Windows 自带增强会话；${NAME} 不适用于它。未安装任何内容。"
${TEXT} NewerText "已安装的 ${NAME} $OldVersion 比 ${VERSION} 更新。仍要替换吗？"
${TEXT} SilentOverrideText "未安装任何内容；/OVERRIDE 可安装它以代替自带的增强会话。"
${TEXT} FileBusyText "$0 正在使用。请关闭使用它的程序，然后重新运行安装程序。"
${TEXT} CopyFailedText "无法写入 $OUTDIR。磁盘已满，或被防病毒软件阻止？"
${TEXT} InstallFailedText "无法安装服务；原因见上文。"
${TEXT} TakingOutText "正在移除已安装的内容"
${TEXT} FailedText "安装失败"
${TEXT} RemoveFailedText "无法移除服务。${NAME} 保持安装状态，以便仍可恢复设置。如果缺少 ${NAME}.exe，请先重新安装 ${NAME}。"

; ---- the command line ----
${TEXT} BadSwitchText "未知开关：$BadSwitch"
${TEXT} HelpText "hvsession-${VERSION}-setup.exe [开关]$\r$\n$\r$\n\
/S：静默安装$\r$\n\
/NORDP：不更改远程桌面的启用状态$\r$\n\
/KEEPNLA：不更改网络级别身份验证$\r$\n\
/NOFIREWALL：不阻止从网络访问远程桌面端口$\r$\n\
/BLANKPASSWORD：允许没有密码的帐户登录$\r$\n\
/OVERRIDE：Windows 8.1 及更高版本：代替自带的增强会话$\r$\n\
/NOTRAY：不安装通知区域图标$\r$\n\
/NOSTARTMENU：不添加开始菜单快捷方式$\r$\n\
/LOG=文件：写日志$\r$\n\
/LANG=en 或 /LANG=zh-CN：使用英文或中文$\r$\n\
/D=文件夹：安装到此处；必须是最后一个开关$\r$\n$\r$\n\
退出代码：0 完成，1 失败，2 开关错误，3010 完成，请重新启动 Windows。$\r$\n\
替换旧版本时沿用其选择；可用开关更改。"
${TEXT} un.HelpText "uninstall.exe [/S] [/LOG=文件]$\r$\n$\r$\n\
/S：静默卸载$\r$\n\
/LOG=文件：写日志$\r$\n$\r$\n\
退出代码：0 完成，1 失败，2 开关错误，3010 完成，请重新启动 Windows。"
${TEXT} RemoveText "移除服务、程序和快捷方式，并恢复 ${NAME} 更改过的每一项 Windows 设置。已打开的增强会话随之结束。"
!undef TEXT
