; What the wizard has to know about this Windows. FindMachine fills these; nothing is changed.

Var Is64              ; 1: 64-bit Windows
Var HasNla            ; 1: Vista or later, which can ask for NLA
Var BuiltIn           ; 1: Windows 8.1, Server 2012 R2 or later: Enhanced Session is built in
Var Overridden        ; 1: and already turned off in favour of hvsession
Var IsHyperV          ; 1: this is a virtual machine of Hyper-V, or may be one
Var HasVmbuspipe      ; 1: the integration services are there
Var RemoteDesktopOn   ; 1: already
Var NlaOff            ; 1: already
Var RemoteSession     ; 1: whoever runs this does so through Remote Desktop
Var OldVersion        ; of the installation that this one replaces; "" if there is none
Var OldFolder
Var OldService        ; its command; also there if it was installed by hand; "" if there is none
Var OldOptions        ; of "hvsession setup", as it was called by that installation

!define GUEST_KEY "SOFTWARE\Microsoft\Virtual Machine\Guest"
!define TERMINAL_SERVER_KEY "SYSTEM\CurrentControlSet\Control\Terminal Server"
!define SM_REMOTESESSION 0x1000

Function FindMachine
    Push $0
    StrCpy $Is64 0
    ${If} ${RunningX64}
        StrCpy $Is64 1
        SetRegView 64
    ${EndIf}

    StrCpy $HasNla 0
    ${If} ${AtLeastWinVista}
        StrCpy $HasNla 1
    ${EndIf}
    StrCpy $BuiltIn 0
    ${If} ${AtLeastWin8.1}
        StrCpy $BuiltIn 1
    ${EndIf}
    ReadRegDWORD $0 HKLM "${GUEST_KEY}" "DisableEnhancedSessionConsoleConnection"
    IntOp $Overridden $0 & 1

    Call FindHyperV
    StrCpy $HasVmbuspipe 0
    ${DisableX64FSRedirection}
    ${If} ${FileExists} "$SYSDIR\vmbuspipe.dll"
        StrCpy $HasVmbuspipe 1
    ${EndIf}
    ${EnableX64FSRedirection}

    StrCpy $RemoteDesktopOn 0
    ClearErrors
    ReadRegDWORD $0 HKLM "${TERMINAL_SERVER_KEY}" "fDenyTSConnections"
    ${IfNot} ${Errors}
    ${AndIf} $0 = 0
        StrCpy $RemoteDesktopOn 1
    ${EndIf}
    StrCpy $NlaOff 0
    ClearErrors
    ReadRegDWORD $0 HKLM "${TERMINAL_SERVER_KEY}\WinStations\RDP-Tcp" "UserAuthentication"
    ${IfNot} ${Errors}
    ${AndIf} $0 = 0
        StrCpy $NlaOff 1
    ${EndIf}
    System::Call 'user32::GetSystemMetrics(i ${SM_REMOTESESSION}) i .r0'
    StrCpy $RemoteSession 0
    ${If} $0 <> 0
        StrCpy $RemoteSession 1
    ${EndIf}

    ReadRegStr $OldVersion HKLM "${UNINSTALL_KEY}" "DisplayVersion"
    ReadRegStr $OldFolder HKLM "${UNINSTALL_KEY}" "InstallLocation"
    ReadRegStr $OldService HKLM "${SERVICE_KEY}" "ImagePath"
    ReadRegStr $OldOptions HKLM "${UNINSTALL_KEY}" "${OPTIONS_VALUE}"
    Pop $0
FunctionEnd

; By what the firmware says of itself. Windows XP does not keep that apart: there, and wherever
; nothing is written down, nobody knows, and nothing is said.
Function FindHyperV
    Push $0
    Push $1
    ReadRegStr $0 HKLM "HARDWARE\DESCRIPTION\System\BIOS" "SystemManufacturer"
    ReadRegStr $1 HKLM "HARDWARE\DESCRIPTION\System\BIOS" "SystemProductName"
    StrCpy $IsHyperV 0
    ${If} "$0|$1" == "Microsoft Corporation|Virtual Machine"
    ${OrIf} "$0|$1" == "|"
        StrCpy $IsHyperV 1
    ${EndIf}
    Pop $1
    Pop $0
FunctionEnd
