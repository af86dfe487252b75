; The setup wizard: one program for 32- and 64-bit Windows, XP and later. Built by build.sh.
;
; Defined by build.sh:
;   VERSION   "0.1.0", of CMakeLists.txt
;   TOP       the source tree
;   STAGE     a folder with license.txt, and x86/ and x64/ with hvsession.exe and hvsession-tray.exe
;   OUT       the program to write
;   HOMEPAGE  the project's address, if it has one
;
; hvsession.exe does what is delicate: "install" makes the service, "setup" changes Remote Desktop
; settings and records their old values, "uninstall" puts these back and removes the service. The
; wizard copies files, asks, and tells hvsession.exe. Parts:
;   tool.nsh       the log, and running hvsession.exe
;   switches.nsh   the command line
;   machine.nsh    what the wizard has to know about this Windows
;   own-pages.nsh  the two pages of our own
;   text-english.nsh, text-simpchinese.nsh   all texts

Unicode true
SetCompressor /SOLID lzma
; Of the staged files, so that it does not depend on when this is built.
SetDateSave on

!define NAME "hvsession"
!define SERVICE_KEY "SYSTEM\CurrentControlSet\Services\HvSession"
!define RUN_KEY "Software\Microsoft\Windows\CurrentVersion\Run"
!define UNINSTALL_KEY "Software\Microsoft\Windows\CurrentVersion\Uninstall\${NAME}"
; Of all users; the names are the same in every language, so that whoever removes them finds them.
!define STATUS_LINK "$SMPROGRAMS\${NAME}\${NAME} status.lnk"
!define PROMPT_LINK "$SMPROGRAMS\${NAME}\${NAME} command prompt.lnk"

; Exit codes, as hvsession.exe has them.
!define EXIT_FAILED 1
!define EXIT_USAGE 2
!define EXIT_NO_SERVICE 3
!define EXIT_REBOOT 3010
!define ERROR_ALREADY_EXISTS 183

; The value of UNINSTALL_KEY that has the options which "hvsession setup" was called with, and those
; that make it do nothing at all.
!define OPTIONS_VALUE "SetupOptions"
!define NO_CHANGES " --no-rdp --keep-nla --no-firewall"

; Inherited from nowhere: the system and administrators do all, users read and run.
!define FOLDER_ACCESS "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)"

; How long a program that has been told to stop may keep its file, in steps of 100 ms.
!define FILE_BUSY_STEPS 50

Name "${NAME}"
Caption "${NAME} ${VERSION}"
BrandingText "${NAME} ${VERSION}"
OutFile "${OUT}"
RequestExecutionLevel admin
ManifestDPIAware true
ManifestSupportedOS all
AllowSkipFiles off
ShowInstDetails show
ShowUninstDetails show

VIProductVersion "${VERSION}.0"
VIFileVersion "${VERSION}.0"
VIAddVersionKey /LANG=0 "ProductName" "${NAME}"
VIAddVersionKey /LANG=0 "ProductVersion" "${VERSION}"
VIAddVersionKey /LANG=0 "FileDescription" "Setup of ${NAME}, Hyper-V Enhanced Session"
VIAddVersionKey /LANG=0 "FileVersion" "${VERSION}"
VIAddVersionKey /LANG=0 "CompanyName" "${NAME}"
VIAddVersionKey /LANG=0 "LegalCopyright" "MIT licence"
VIAddVersionKey /LANG=0 "OriginalFilename" "${NAME}-${VERSION}-setup.exe"

!include MUI2.nsh
!include nsDialogs.nsh
!include LogicLib.nsh
!include Sections.nsh
!include FileFunc.nsh
!include WinVer.nsh
!include WordFunc.nsh
!include x64.nsh
!include StrFunc.nsh
${StrStr}

!define MUI_ICON "${TOP}/windows/tray/icons/hvsession.ico"
!define MUI_UNICON "${TOP}/windows/tray/icons/hvsession.ico"
; The icon at 96 pixels on a plain ground, in the 164 x 314 pixels that Modern UI asks for.
!define MUI_WELCOMEFINISHPAGE_BITMAP "${__FILEDIR__}\welcome.bmp"
!define MUI_ABORTWARNING
!define MUI_COMPONENTSPAGE_SMALLDESC
!define MUI_FINISHPAGE_NOAUTOCLOSE
!define MUI_UNFINISHPAGE_NOAUTOCLOSE

; What people choose: 1 or 0. The switches and an earlier installation set where the pages start.
Var EnableRemoteDesktop
Var DropNla
Var AddFirewallRule
Var AllowBlankPassword
Var Override

; What the installation did, for the finish page.
Var FinishText
Var TrayWasShown
!include tool.nsh
!include machine.nsh
!include switches.nsh
!include own-pages.nsh

!define MUI_WELCOMEPAGE_TEXT "$(WelcomeText)"
!insertmacro MUI_PAGE_WELCOME
!insertmacro MUI_PAGE_LICENSE "${STAGE}/license.txt"
Page custom ShowFindings LeaveFindings
!insertmacro MUI_PAGE_COMPONENTS
Page custom ShowSettings LeaveSettings
!insertmacro MUI_PAGE_INSTFILES
!define MUI_FINISHPAGE_TEXT "$FinishText"
!define MUI_FINISHPAGE_TEXT_LARGE
!define MUI_FINISHPAGE_RUN
!define MUI_FINISHPAGE_RUN_TEXT "$(ShowStatusText)"
!define MUI_FINISHPAGE_RUN_FUNCTION ShowStatus
!define MUI_FINISHPAGE_REBOOTLATER_DEFAULT
!define MUI_FINISHPAGE_TEXT_REBOOT "$(RebootText)"
!insertmacro MUI_PAGE_FINISH

!define MUI_UNCONFIRMPAGE_TEXT_TOP "$(RemoveText)"
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES

!insertmacro MUI_LANGUAGE "English"
!insertmacro MUI_LANGUAGE "SimpChinese"
!include text-english.nsh
!include text-simpchinese.nsh

; ---- files and registry entries, both ways ----

!macro DEFINE_REMOVE UN
; Waits until nothing uses the file in $0 any more. The error flag says: something still does.
Function ${UN}WaitUnused
    Push $1
    Push $2
    StrCpy $1 0
    ${Do}
        ClearErrors
        ${IfNot} ${FileExists} $0
            ${Break}
        ${EndIf}
        FileOpen $2 $0 a
        ${IfNot} ${Errors}
            FileClose $2
            ${Break}
        ${EndIf}
        Sleep 100
        IntOp $1 $1 + 1
        SetErrors
    ${LoopUntil} $1 >= ${FILE_BUSY_STEPS}
    Pop $2
    Pop $1
FunctionEnd

; A file that is still in use goes with the next restart.
Function ${UN}RemoveFile ; in $0
    Call ${UN}WaitUnused
    Delete /REBOOTOK $0
FunctionEnd

Function ${UN}RemoveStartMenu
    SetShellVarContext all
    Delete "${STATUS_LINK}"
    Delete "${PROMPT_LINK}"
    RMDir "$SMPROGRAMS\${NAME}"
FunctionEnd

; Ends the notification-area app so that its file is free: this user's asks to be, those of other
; users can only be told by ending them.
Function ${UN}EndTray
    Push $0
    StrCpy $0 "$INSTDIR\${NAME}-tray.exe"
    ${If} ${FileExists} $0
        ExecWait '"$0" --quit'
        Call ${UN}WaitUnused
        ${If} ${Errors}
            nsExec::Exec '"$SYSDIR\taskkill.exe" /F /IM ${NAME}-tray.exe'
            Pop $0
        ${EndIf}
    ${EndIf}
    Pop $0
FunctionEnd

Function ${UN}RemoveTray
    Push $0
    Call ${UN}EndTray
    DeleteRegValue HKLM "${RUN_KEY}" "${NAME}-tray"
    StrCpy $0 "$INSTDIR\${NAME}-tray.exe"
    Call ${UN}RemoveFile
    Pop $0
FunctionEnd

; Everything that the wizard itself put there, and nothing else: a folder goes only if it is empty.
Function ${UN}RemoveInstalled
    Push $0
    SetOutPath $TEMP
    Call ${UN}RemoveStartMenu
    Call ${UN}RemoveTray
    StrCpy $0 "$INSTDIR\${NAME}.exe"
    Call ${UN}RemoveFile
    Delete "$INSTDIR\license.txt"
    Delete "$INSTDIR\uninstall.exe"
    ${If} ${RebootFlag}
        RMDir /REBOOTOK "$INSTDIR"
    ${Else}
        RMDir "$INSTDIR"
    ${EndIf}
    DeleteRegKey HKLM "${UNINSTALL_KEY}"
    Pop $0
FunctionEnd
!macroend
!insertmacro DEFINE_REMOVE ""
!insertmacro DEFINE_REMOVE "un."

; ---- installing ----

; Ends the installation with exit code 1: says why in the log and, unless silent, in a box, and
; takes out again what was not there before.
!macro Fail TEXT
    Push `${TEXT}`
    Call Fail
    Abort "$(FailedText)"
!macroend
!define Fail "!insertmacro Fail"

Function Fail ; why
    Exch $0
    ${Say} "$0"
    ${If} $OldService == ""
        ${Say} "$(TakingOutText)"
        ${RunTool} "uninstall"
        Call RemoveInstalled
    ${Else}
        ${RunTool} "start"
    ${EndIf}
    SetErrorLevel ${EXIT_FAILED}
    MessageBox MB_OK|MB_ICONSTOP "$0" /SD IDOK
    Pop $0
FunctionEnd

; $0 is the file that is going to be written.
!macro WaitToReplace FILE
    StrCpy $0 "${FILE}"
    Call WaitUnused
    ${If} ${Errors}
        ${Fail} "$(FileBusyText)"
    ${EndIf}
!macroend
!define WaitToReplace "!insertmacro WaitToReplace"

; The program for this Windows, as NAME in the current output folder.
!macro InstallProgram FILE
    ClearErrors
    ${If} $Is64 = 1
        File "${STAGE}/x64/${FILE}"
    ${Else}
        File "${STAGE}/x86/${FILE}"
    ${EndIf}
    ${If} ${Errors}
        ${Fail} "$(CopyFailedText)"
    ${EndIf}
!macroend
!define InstallProgram "!insertmacro InstallProgram"

; The folder, if it is not there yet. In most places anybody may write into a new one, and the service
; runs as the system: so only administrators may write into this one, wherever /D= puts it.
Function MakeFolder
    System::Store S
    ${GetParent} $INSTDIR $0
    CreateDirectory $0
    System::Call 'advapi32::ConvertStringSecurityDescriptorToSecurityDescriptorW( \
        w "${FOLDER_ACCESS}", i 1, *p .r0, p 0)'
    System::Call '*(i 12, p r0, i 0) p .r1' ; SECURITY_ATTRIBUTES
    System::Call 'kernel32::CreateDirectoryW(w "$INSTDIR", p r1)'
    System::Free $1
    System::Call 'kernel32::LocalFree(p r0)'
    System::Store L
FunctionEnd

; The options of "hvsession setup" that make it do what was chosen.
Function ChosenOptions ; → options
    Push $0
    StrCpy $0 ""
    ${If} $EnableRemoteDesktop = 0
        StrCpy $0 "$0 --no-rdp"
    ${EndIf}
    ${If} $DropNla = 0
        StrCpy $0 "$0 --keep-nla"
    ${EndIf}
    ${If} $AddFirewallRule = 0
        StrCpy $0 "$0 --no-firewall"
    ${EndIf}
    ${If} $AllowBlankPassword = 1
        StrCpy $0 "$0 --blank-password"
    ${EndIf}
    ${If} $Override = 1
        StrCpy $0 "$0 --override"
    ${EndIf}
    Exch $0
FunctionEnd

Section "$(ServiceName)" ServiceSection
    SectionIn RO
    ${Log} "installing ${NAME} ${VERSION} in $INSTDIR"
    FindWindow $0 "${NAME}-tray" ; the class of its hidden window
    StrCpy $TrayWasShown 0
    ${If} $0 <> 0
        StrCpy $TrayWasShown 1
    ${EndIf}
    ${If} $OldService != ""
        ${Say} "$(ReplacingText)"
        StrCpy $ToolPath "$PLUGINSDIR\${NAME}.exe"
        SetOutPath $PLUGINSDIR
        ${InstallProgram} ${NAME}.exe
        ${RunTool} "stop"
    ${EndIf}
    ; A moved installation leaves nothing at its old place.
    ${If} $OldFolder != ""
    ${AndIf} $OldFolder != $INSTDIR
        Push $INSTDIR
        StrCpy $INSTDIR $OldFolder
        Call RemoveInstalled
        Pop $INSTDIR
    ${EndIf}

    StrCpy $ToolPath "$INSTDIR\${NAME}.exe"
    Call MakeFolder
    SetOutPath $INSTDIR
    ${WaitToReplace} "$INSTDIR\${NAME}.exe"
    ${InstallProgram} ${NAME}.exe
    File "${STAGE}/license.txt"
    ${Say} "$(InstallingServiceText)"
    ${RunTool} "install"
    ${If} $ToolStatus != 0
        ${Fail} "$(InstallFailedText)"
    ${EndIf}
SectionEnd

Section "$(TrayName)" TraySection
    SetOutPath $INSTDIR
    Call EndTray
    ${WaitToReplace} "$INSTDIR\${NAME}-tray.exe"
    ${InstallProgram} ${NAME}-tray.exe
    WriteRegStr HKLM "${RUN_KEY}" "${NAME}-tray" '"$INSTDIR\${NAME}-tray.exe" --background'
    ; Where it was shown, it is shown again.
    ${If} $TrayWasShown = 1
        Exec '"$WINDIR\explorer.exe" "$INSTDIR\${NAME}-tray.exe"'
    ${EndIf}
SectionEnd

Section "$(StartMenuName)" StartMenuSection
    SetShellVarContext all
    ; A shortcut starts in the current output folder: there the prompt finds hvsession.
    SetOutPath $INSTDIR
    CreateDirectory "$SMPROGRAMS\${NAME}"
    CreateShortCut "${PROMPT_LINK}" "$SYSDIR\cmd.exe" \
        '/k ${NAME} status' "$INSTDIR\${NAME}.exe"
    ${If} ${SectionIsSelected} ${TraySection}
        CreateShortCut "${STATUS_LINK}" "$INSTDIR\${NAME}-tray.exe" "--open"
    ${EndIf}
SectionEnd

; What "Programs and Features" shows; and the choices, for the setup of the next version.
Function WriteUninstallKey
    Push $0
    Push $1
    Push $2
    WriteRegStr HKLM "${UNINSTALL_KEY}" "DisplayName" "${NAME} (Hyper-V Enhanced Session)"
    WriteRegStr HKLM "${UNINSTALL_KEY}" "DisplayVersion" "${VERSION}"
    WriteRegStr HKLM "${UNINSTALL_KEY}" "DisplayIcon" '"$INSTDIR\uninstall.exe"'
    WriteRegStr HKLM "${UNINSTALL_KEY}" "Publisher" "${NAME}"
!ifdef HOMEPAGE
    WriteRegStr HKLM "${UNINSTALL_KEY}" "URLInfoAbout" "${HOMEPAGE}"
!endif
    WriteRegStr HKLM "${UNINSTALL_KEY}" "InstallLocation" "$INSTDIR"
    WriteRegStr HKLM "${UNINSTALL_KEY}" "UninstallString" '"$INSTDIR\uninstall.exe"'
    WriteRegStr HKLM "${UNINSTALL_KEY}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
    WriteRegDWORD HKLM "${UNINSTALL_KEY}" "NoModify" 1
    WriteRegDWORD HKLM "${UNINSTALL_KEY}" "NoRepair" 1
    ${GetSize} "$INSTDIR" "/S=0K /G=0" $0 $1 $2
    WriteRegDWORD HKLM "${UNINSTALL_KEY}" "EstimatedSize" $0
    Call ChosenOptions
    Pop $0
    WriteRegStr HKLM "${UNINSTALL_KEY}" "${OPTIONS_VALUE}" $0
    Pop $2
    Pop $1
    Pop $0
FunctionEnd

; What was chosen for the replaced installation, and is not now, goes back to what it was before.
Function ChangeSettings
    Push $0
    Call ChosenOptions
    Pop $0
    ${If} $OldVersion != ""
    ${AndIf} $0 != $OldOptions
        ${Say} "$(UndoingText)"
        ${RunTool} "setup --undo"
        Call NoteSetupStatus
    ${EndIf}
    ${If} $0 != "${NO_CHANGES}"
        ${Say} "$(ChangingSettingsText)"
        ; Left to itself it closes no port that somebody is connected through. Here somebody has
        ; read that and ticked it all the same.
        ${IfNot} ${Silent}
        ${AndIf} $AddFirewallRule = 1
            StrCpy $0 "$0 --firewall"
        ${EndIf}
        ${RunTool} "setup$0"
        Call NoteSetupStatus
    ${EndIf}
    Pop $0
FunctionEnd

Function NoteSetupStatus
    ${If} $ToolStatus = ${EXIT_REBOOT}
        SetRebootFlag true
    ${ElseIf} $ToolStatus != 0
        StrCpy $FinishText "$(SetupFailedText)"
        SetErrorLevel ${EXIT_FAILED}
    ${EndIf}
FunctionEnd

; Always: what is left when the files are there.
Section
    ${IfNot} ${SectionIsSelected} ${TraySection}
        Call RemoveTray
    ${EndIf}
    ${IfNot} ${SectionIsSelected} ${StartMenuSection}
        Call RemoveStartMenu
    ${EndIf}
    WriteUninstaller "$INSTDIR\uninstall.exe"
    Call WriteUninstallKey
    StrCpy $FinishText "$(FinishedText)"

    Call ChangeSettings

    ${If} $HasVmbuspipe = 0
        ${Say} "$(NotStartedText)"
        StrCpy $FinishText "$(NotStartedText)"
    ${Else}
        ${Say} "$(StartingText)"
        ${RunTool} "start"
        ${If} $ToolStatus != 0
            ${Say} "$(StartFailedText)"
            StrCpy $FinishText "$(StartFailedText)"
            SetErrorLevel ${EXIT_FAILED}
        ${EndIf}
    ${EndIf}
SectionEnd

; ---- before the pages ----

; Ends the program with exit code 1.
!macro Refuse TEXT
    ${Log} `${TEXT}`
    MessageBox MB_OK|MB_ICONSTOP `${TEXT}` /SD IDOK
    SetErrorLevel ${EXIT_FAILED}
    Quit
!macroend
!define Refuse "!insertmacro Refuse"

!macro DEFINE_START UN
; What the installer and the uninstaller need before anything else.
Function ${UN}Start
    Push $0
    InitPluginsDir
    ${If} ${RunningX64}
        SetRegView 64
    ${EndIf}
    Call ${UN}ReadSwitches
    UserInfo::GetAccountType
    Pop $0
    ${If} $0 != "Admin"
        ${Refuse} "$(NeedAdminText)"
    ${EndIf}
    ; One at a time; Windows closes the mutex with the process.
    System::Call 'kernel32::CreateMutexW(p 0, i 0, w "Global\${NAME}-setup") p .r0 ? e'
    Pop $0
    ${If} $0 = ${ERROR_ALREADY_EXISTS}
        ${Refuse} "$(AlreadyRunsText)"
    ${EndIf}
    Pop $0
FunctionEnd
!macroend
!insertmacro DEFINE_START ""
!insertmacro DEFINE_START "un."

; OPTION of the replaced installation → VARIABLE, 1 if it was there.
!macro HadOption VARIABLE OPTION
    ${StrStr} ${VARIABLE} $OldOptions "${OPTION}"
    ${If} ${VARIABLE} == ""
        StrCpy ${VARIABLE} 0
    ${Else}
        StrCpy ${VARIABLE} 1
    ${EndIf}
!macroend

; Where the pages start: as it was in the replaced installation, or everything that Enhanced Session
; needs; with the switches on top.
Function SetChoices
    !insertmacro HadOption $EnableRemoteDesktop "--no-rdp"
    IntOp $EnableRemoteDesktop $EnableRemoteDesktop !
    !insertmacro HadOption $DropNla "--keep-nla"
    IntOp $DropNla $DropNla !
    !insertmacro HadOption $AddFirewallRule "--no-firewall"
    IntOp $AddFirewallRule $AddFirewallRule !
    !insertmacro HadOption $AllowBlankPassword "--blank-password"
    !insertmacro HadOption $Override "--override"

    ; What hvsession itself has turned on goes back with the tick.
    ${If} $OldVersion != ""
        ${If} $EnableRemoteDesktop = 1
            StrCpy $RemoteDesktopOn 0
        ${EndIf}
        ${If} $DropNla = 1
            StrCpy $NlaOff 0
        ${EndIf}
    ${ElseIf} $RemoteSession = 1
    ${AndIfNot} ${Silent}
        StrCpy $AddFirewallRule 0
    ${EndIf}

    ${If} $SwitchNoRdp = 1
        StrCpy $EnableRemoteDesktop 0
    ${EndIf}
    ${If} $SwitchKeepNla = 1
    ${OrIf} $HasNla = 0
        StrCpy $DropNla 0
    ${EndIf}
    ${If} $SwitchNoFirewall = 1
        StrCpy $AddFirewallRule 0
    ${EndIf}
    ; The rule goes with what makes it useful.
    IntOp $0 $EnableRemoteDesktop | $DropNla
    IntOp $AddFirewallRule $AddFirewallRule & $0
    ${If} $SwitchBlankPassword = 1
        StrCpy $AllowBlankPassword 1
    ${EndIf}
    ${If} $SwitchOverride = 1
    ${OrIf} $Overridden = 1
        StrCpy $Override 1
    ${EndIf}
    IntOp $Override $Override & $BuiltIn
FunctionEnd

; What the pages show of a section's size counts the programs of both kinds of Windows.
!macro ShareSize SECTION COPIES
    SectionGetSize ${SECTION} $0
    IntOp $0 $0 / ${COPIES}
    SectionSetSize ${SECTION} $0
!macroend

; The parts likewise: of the replaced installation those that are there.
Function SetParts
    SetShellVarContext all
    !insertmacro ShareSize ${ServiceSection} 4 ; it has a copy to stop the old one with
    !insertmacro ShareSize ${TraySection} 2
    ${If} $SwitchNoStartMenu = 1
        !insertmacro UnselectSection ${StartMenuSection}
    ${ElseIf} $OldVersion != ""
    ${AndIfNot} ${FileExists} "$SMPROGRAMS\${NAME}\*.*"
        !insertmacro UnselectSection ${StartMenuSection}
    ${EndIf}
    ${If} $SwitchNoTray = 1
        !insertmacro UnselectSection ${TraySection}
    ${ElseIf} $OldVersion != ""
    ${AndIfNot} ${FileExists} "$OldFolder\${NAME}-tray.exe"
        !insertmacro UnselectSection ${TraySection}
    ${EndIf}
FunctionEnd

Function SetFolder
    ; /D= has been dealt with: there is no InstallDir.
    ${If} $INSTDIR == ""
        ${If} $OldFolder != ""
            StrCpy $INSTDIR $OldFolder
        ${ElseIf} $Is64 = 1
            StrCpy $INSTDIR "$PROGRAMFILES64\${NAME}"
        ${Else}
            StrCpy $INSTDIR "$PROGRAMFILES32\${NAME}"
        ${EndIf}
    ${EndIf}
FunctionEnd

Function CheckMachine
    ${If} ${AtMostWin2000}
        ${Refuse} "$(TooOldText)"
    ${EndIf}
    ${If} ${IsNativeARM64}
        ${Refuse} "$(ArmText)"
    ${EndIf}
    ${VersionCompare} $OldVersion ${VERSION} $0
    ${If} $OldVersion != ""
    ${AndIf} $0 = 1
        ${Log} "$(NewerText)"
        MessageBox MB_YESNO|MB_ICONQUESTION|MB_DEFBUTTON2 "$(NewerText)" /SD IDNO IDYES older
        SetErrorLevel ${EXIT_FAILED}
        Quit
        older:
    ${EndIf}
    ; What the page on this says to people.
    ${If} ${Silent}
    ${AndIf} $BuiltIn = 1
    ${AndIf} $Override = 0
        ${Refuse} "$(BuiltInText) $(SilentOverrideText)"
    ${EndIf}
FunctionEnd

Function .onInit
    Call Start
    Call FindMachine
    Call SetChoices
    Call CheckMachine
    Call SetFolder
    Call SetParts
    ${If} $IsHyperV = 0
        ${Log} "$(NotHyperVText)"
    ${EndIf}
FunctionEnd

Function .onInstSuccess
    GetErrorLevel $0
    ${If} ${RebootFlag}
    ${AndIf} $0 <> ${EXIT_FAILED}
        SetErrorLevel ${EXIT_REBOOT}
    ${EndIf}
    ${Log} "$FinishText"
    GetErrorLevel $0
    ${If} $0 < 0
        StrCpy $0 0
    ${EndIf}
    ${Log} "exit code $0"
FunctionEnd

; Through Explorer where that is possible: it starts programs without the wizard's rights.
Function ShowStatus
    SetShellVarContext all
    ${If} ${SectionIsSelected} ${TraySection}
        ${If} ${FileExists} "${STATUS_LINK}"
            Exec '"$WINDIR\explorer.exe" "${STATUS_LINK}"'
        ${Else}
            Exec '"$INSTDIR\${NAME}-tray.exe" --open'
        ${EndIf}
        Return
    ${EndIf}
    SetOutPath $INSTDIR
    Exec '"$SYSDIR\cmd.exe" /k ${NAME} status'
FunctionEnd

!insertmacro MUI_FUNCTION_DESCRIPTION_BEGIN
!insertmacro MUI_DESCRIPTION_TEXT ${ServiceSection} "$(ServiceDescription)"
!insertmacro MUI_DESCRIPTION_TEXT ${TraySection} "$(TrayDescription)"
!insertmacro MUI_DESCRIPTION_TEXT ${StartMenuSection} "$(StartMenuDescription)"
!insertmacro MUI_FUNCTION_DESCRIPTION_END

; ---- removing ----

Function un.onInit
    Call un.Start
FunctionEnd

Section "un.${NAME}"
    ${Log} "removing ${NAME} ${VERSION} from $INSTDIR"
    StrCpy $ToolPath "$INSTDIR\${NAME}.exe"
    ${Say} "$(RemovingServiceText)"
    ${If} ${FileExists} $ToolPath
        ${RunTool} "uninstall"
    ${Else}
        ; Gone by other hands: that is all right if the service is, too.
        StrCpy $ToolStatus ${EXIT_FAILED}
        ReadRegStr $0 HKLM "${SERVICE_KEY}" "ImagePath"
        ${If} $0 == ""
            StrCpy $ToolStatus 0
        ${EndIf}
    ${EndIf}
    ${If} $ToolStatus = ${EXIT_REBOOT}
        SetRebootFlag true
    ${ElseIf} $ToolStatus != 0
    ${AndIf} $ToolStatus != ${EXIT_NO_SERVICE}
        ; The program stays: without it nobody could put the settings back.
        ${Say} "$(RemoveFailedText)"
        SetErrorLevel ${EXIT_FAILED}
        MessageBox MB_OK|MB_ICONSTOP "$(RemoveFailedText)" /SD IDOK
        Abort "$(FailedText)"
    ${EndIf}
    Call un.RemoveInstalled
    ; What the notification-area app keeps for this user.
    DeleteRegKey HKCU "Software\${NAME}"
    DeleteRegValue HKCU "${RUN_KEY}" "${NAME}-tray"
    ${If} ${RebootFlag}
        SetErrorLevel ${EXIT_REBOOT}
    ${EndIf}
    ${Say} "$(RemovedText)"
SectionEnd
