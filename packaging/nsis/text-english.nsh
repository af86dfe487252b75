; All texts of the wizard, in English.
!define TEXT "!insertmacro EnglishText"
!macro EnglishText NAME STRING
    LangString ${NAME} ${LANG_ENGLISH} `${STRING}`
!macroend

; ---- pages ----
${TEXT} WelcomeText "${NAME} gives this virtual machine Enhanced Session: clipboard, drives, \
sound and any screen size in the Virtual Machine Connection window of Hyper-V, without a \
network.$\r$\n$\r$\nSetup installs a small service and, if you agree, changes Remote Desktop \
settings. Removing ${NAME} puts every setting back that it has changed.$\r$\n$\r$\nClick Next to \
continue."

${TEXT} FindingsTitle "Before you go on"
${TEXT} FindingsSubtitle "What Setup has found on this machine."
${TEXT} OldVersionText "${NAME} $OldVersion is installed. Setup stops it, which ends the Enhanced \
Sessions that are open, replaces it and starts it again. Its settings stay. If you work in an \
Enhanced Session now, connect again after a minute."
${TEXT} NotHyperVText "This does not seem to be a virtual machine of Hyper-V. ${NAME} can be \
installed all the same, to prepare an image for instance, but it works in Hyper-V only."
${TEXT} NoIntegrationText "The Hyper-V integration services are missing (vmbuspipe.dll), and \
without them no host can be reached. In the Virtual Machine Connection window choose Action, \
Insert Integration Services Setup Disk, install them, and restart Windows. ${NAME} can be \
installed before; it starts when they are there."
${TEXT} BuiltInText "This Windows has Enhanced Session built in and does not need ${NAME}. If it \
does not work, turn on Remote Desktop and, on the host, Enhanced Session Mode; that is all."
${TEXT} OverrideBoxText "&Use ${NAME} instead of what is built in"
${TEXT} OverrideText "Takes effect after a restart, and ends when ${NAME} is removed. Without \
this there is nothing to install here."

${TEXT} SettingsTitle "Remote Desktop settings"
${TEXT} SettingsSubtitle "Choose what Setup may change, so that Enhanced Session works."
${TEXT} RemoteDesktopBoxText "Turn on &Remote Desktop"
${TEXT} RemoteDesktopText "Enhanced Session is Remote Desktop that comes through the Hyper-V \
host."
${TEXT} RemoteDesktopOnText "It is on already: nothing will change."
${TEXT} NlaBoxText "Allow connections without Network &Level Authentication (NLA)"
${TEXT} NlaText "The host has already checked who connects, and NLA cannot be done a second time: \
with NLA required, Enhanced Session does not work. Users still log on with their password."
${TEXT} NlaOffText "They are allowed already: nothing will change."
${TEXT} NlaUnknownText "This Windows does not know NLA: there is nothing to change."
${TEXT} FirewallBoxText "&Block the Remote Desktop port (3389) from the network"
${TEXT} FirewallText "With a rule of Windows Firewall. Enhanced Session needs no network. Untick \
this if people also connect through the network."
${TEXT} FirewallRemoteText "You are connected through Remote Desktop now: ticking this may lock \
you out. Enhanced Session needs no network."
${TEXT} BlankPasswordBoxText "Let accounts &without a password log on"
${TEXT} BlankPasswordText "Windows lets them log on at the console only. Leave this as it is \
unless you need it."
${TEXT} PutBackText "Setup records what it changes; removing ${NAME} puts it back."

${TEXT} ServiceName "Service"
${TEXT} ServiceDescription "The service that offers Enhanced Session to the host, and its \
command, ${NAME}."
${TEXT} TrayName "Notification-area app"
${TEXT} TrayDescription "An icon beside the clock that shows how Enhanced Session does."
${TEXT} StartMenuName "Start menu shortcuts"
${TEXT} StartMenuDescription "Shortcuts in the start menu, for all users."

${TEXT} FinishedText "${NAME} is installed, and its service runs.$\r$\n$\r$\nClose the Virtual \
Machine Connection window and open it again: it asks for a screen size, and the session begins."
${TEXT} RebootText "${NAME} is installed. It takes the place of the built-in Enhanced Session \
when Windows has been restarted."
${TEXT} NotStartedText "${NAME} is installed. Its service starts with Windows, when the Hyper-V \
integration services are there: install them and restart."
${TEXT} StartFailedText "${NAME} is installed, but its service did not start. The Application \
event log says why (source HvSession)."
${TEXT} SetupFailedText "${NAME} is installed, but not every Remote Desktop setting could be \
changed. To see which, open a command prompt as administrator in $INSTDIR and run: ${NAME} setup \
--dry-run"
${TEXT} ShowStatusText "&Show status"

; ---- progress ----
${TEXT} ReplacingText "Stopping the service that is there"
${TEXT} InstallingServiceText "Installing the service"
${TEXT} UndoingText "Putting settings back that are not wanted any more"
${TEXT} ChangingSettingsText "Changing Remote Desktop settings"
${TEXT} StartingText "Starting the service"
${TEXT} ToolStatusText "    exit status $ToolStatus"
${TEXT} RemovingServiceText "Putting settings back and removing the service"
${TEXT} RemovedText "${NAME} is removed"

; ---- refusals and failures ----
${TEXT} NeedAdminText "This needs administrator rights: log on as an administrator, or \
right-click the program and choose Run as administrator."
${TEXT} AlreadyRunsText "Setup or removal of ${NAME} is running already."
${TEXT} TooOldText "${NAME} needs Windows XP or later."
${TEXT} ArmText "Windows for ARM64 has Enhanced Session built in; ${NAME} is not made for it. \
Nothing was installed."
${TEXT} NewerText "${NAME} $OldVersion is installed, which is newer than ${VERSION}. Replace it \
all the same?"
${TEXT} SilentOverrideText "Nothing was installed; /OVERRIDE installs it in place of what is \
built in."
${TEXT} FileBusyText "$0 is in use. Close the programs that use it, and run Setup again."
${TEXT} CopyFailedText "Setup cannot write to $OUTDIR. Is the disk full, or does a virus scanner \
object?"
${TEXT} InstallFailedText "The service could not be installed; the lines above say why."
${TEXT} TakingOutText "Removing what was installed so far"
${TEXT} FailedText "Setup has failed"
${TEXT} RemoveFailedText "The service could not be removed. ${NAME} stays installed, so that \
settings can still be put back. If ${NAME}.exe is missing, install ${NAME} again first."

; ---- the command line ----
${TEXT} BadSwitchText "Unknown switch: $BadSwitch"
${TEXT} HelpText "hvsession-${VERSION}-setup.exe [switches]$\r$\n$\r$\n\
/S: install silently$\r$\n\
/NORDP: leave Remote Desktop as it is, on or off$\r$\n\
/KEEPNLA: leave Network Level Authentication as it is$\r$\n\
/NOFIREWALL: do not close the Remote Desktop port to the network$\r$\n\
/BLANKPASSWORD: let accounts without a password log on$\r$\n\
/OVERRIDE: on Windows 8.1 and later, replace the built-in Enhanced Session$\r$\n\
/NOTRAY: no notification-area app$\r$\n\
/NOSTARTMENU: no start menu shortcuts$\r$\n\
/LOG=FILE: write a log$\r$\n\
/LANG=en or /LANG=zh-CN: speak English or Chinese$\r$\n\
/D=FOLDER: install there; has to be the last switch$\r$\n$\r$\n\
Exit codes: 0 done, 1 failed, 2 wrong switches, 3010 done, restart Windows.$\r$\n\
Replacing an older version keeps its choices; switches change them."
${TEXT} un.HelpText "uninstall.exe [/S] [/LOG=FILE]$\r$\n$\r$\n\
/S: remove silently$\r$\n\
/LOG=FILE: write a log$\r$\n$\r$\n\
Exit codes: 0 done, 1 failed, 2 wrong switches, 3010 done, restart Windows."
${TEXT} RemoveText "Removes the service, its programs and shortcuts, and puts back every setting \
of Windows that ${NAME} has changed. Open Enhanced Sessions end."
!undef TEXT
