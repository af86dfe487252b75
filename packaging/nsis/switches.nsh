; The command line. "/S", "/D=" and "/NCRC" are NSIS's own; "/D=" gets here only in quotes, which
; NSIS does not expect and people write all the same. ReadSwitches fills what a switch stands for,
; and opens the log; with a switch that it does not know, it ends the program with exit code 2. In
; the installer and in the uninstaller.

; Languages; the log of a silent run is English, for whoever helps. A choice takes effect after
; .onInit: what is said before is in the user's language.
!define ENGLISH 1033
!define CHINESE 2052

Var ShowHelp ; 1: /? is there
Var BadSwitch ; the first unknown one, or ""
Var LogFile ; "" without /LOG=

; The choices that switches make: 1 if the switch is there
Var SwitchNoRdp
Var SwitchKeepNla
Var SwitchNoFirewall
Var SwitchBlankPassword
Var SwitchOverride
Var SwitchNoTray
Var SwitchNoStartMenu

; Sets VARIABLE if $0, as it was typed, is SWITCH. "==" takes upper and lower case for the same.
!macro Switch SWITCH VARIABLE
    ${If} $0 == "${SWITCH}"
        StrCpy ${VARIABLE} 1
        Return
    ${EndIf}
!macroend

; The functions that look at one argument, in $0, return when they know it, or fall through.
Function ReadChoice
    !insertmacro Switch "/NORDP" $SwitchNoRdp
    !insertmacro Switch "/KEEPNLA" $SwitchKeepNla
    !insertmacro Switch "/NOFIREWALL" $SwitchNoFirewall
    !insertmacro Switch "/BLANKPASSWORD" $SwitchBlankPassword
    !insertmacro Switch "/OVERRIDE" $SwitchOverride
    !insertmacro Switch "/NOTRAY" $SwitchNoTray
    !insertmacro Switch "/NOSTARTMENU" $SwitchNoStartMenu
    StrCpy $1 $0 3
    ${If} $1 == "/D="
        StrCpy $INSTDIR $0 "" 3
    ${ElseIf} $BadSwitch == ""
        StrCpy $BadSwitch $0
    ${EndIf}
FunctionEnd

; The uninstaller has no choices.
Function un.ReadChoice
    ${If} $BadSwitch == ""
        StrCpy $BadSwitch $0
    ${EndIf}
FunctionEnd

!macro DEFINE_SWITCHES UN
Function ${UN}ReadSwitch
    Push $1
    StrCpy $1 $0 5
    ${If} $1 == "/LOG="
        ${If} $0 == $1
            StrCpy $BadSwitch $0
        ${Else}
            StrCpy $LogFile $0 "" 5
        ${EndIf}
    ${ElseIf} $0 == "/LANG=en"
        StrCpy $LANGUAGE ${ENGLISH}
    ${ElseIf} $0 == "/LANG=zh-CN"
        StrCpy $LANGUAGE ${CHINESE}
    ${ElseIf} $0 == "/S"
        SetSilent silent
    ${ElseIf} $0 == "/?"
    ${OrIf} $0 == "/HELP"
        StrCpy $ShowHelp 1
    ${ElseIf} $0 != "/NCRC"
        Call ${UN}ReadChoice
    ${EndIf}
    Pop $1
FunctionEnd

; What CommandLineToArgvW makes of the command line, without the program's name: quotes work as
; everywhere in Windows.
Function ${UN}ReadSwitches
    System::Store S
    StrCpy $0 $CMDLINE ; in a register: it has quotes of its own
    System::Call 'shell32::CommandLineToArgvW(w r0, *i .r1) p .r2'
    StrCpy $3 1
    ${DoWhile} $3 < $1
        IntOp $4 $3 * ${NSIS_PTR_SIZE}
        IntOp $4 $2 + $4
        System::Call '*$4(w .r0)'
        Call ${UN}ReadSwitch
        IntOp $3 $3 + 1
    ${Loop}
    System::Call 'kernel32::LocalFree(p r2)'
    ; A folder is "C:\…" or "\\server\…". NSIS takes no other, and says nothing.
    StrCpy $0 $INSTDIR 2 1
    StrCpy $1 $INSTDIR 2
    ${If} $INSTDIR == ""
        System::Call 'kernel32::GetCommandLineW() p .r0'
        System::Call 'shlwapi::StrStrW(p r0, w " /D=") p .r2'
        StrCpy $1 ""
        ${If} $2 <> 0
            StrCpy $1 "/D="
        ${EndIf}
    ${ElseIf} $0 == ":\"
    ${OrIf} $1 == "\\"
        StrCpy $1 ""
    ${Else}
        StrCpy $1 "/D=$INSTDIR"
    ${EndIf}
    ${If} $BadSwitch == ""
        StrCpy $BadSwitch $1
    ${EndIf}
    System::Store L

    ${If} ${Silent}
        StrCpy $LANGUAGE ${ENGLISH}
    ${EndIf}
    ${If} $LogFile != ""
        Push $LogFile
        Call ${UN}OpenLog
        Pop $LogFile
        ${If} $LogFile = 0
            StrCpy $BadSwitch "/LOG="
        ${EndIf}
    ${EndIf}
    ${If} $BadSwitch != ""
        ${Log} "$(BadSwitchText)"
        ${Log} "$(${UN}HelpText)"
        MessageBox MB_OK|MB_ICONEXCLAMATION "$(BadSwitchText)$\r$\n$\r$\n$(${UN}HelpText)" \
            /SD IDOK
        SetErrorLevel ${EXIT_USAGE}
        Quit
    ${EndIf}
    ${If} $ShowHelp = 1
        ${Log} "$(${UN}HelpText)"
        MessageBox MB_OK|MB_ICONINFORMATION "$(${UN}HelpText)" /SD IDOK
        ; Silent, /? asks for nothing that could be done.
        ${If} ${Silent}
            SetErrorLevel ${EXIT_USAGE}
        ${Else}
            SetErrorLevel 0
        ${EndIf}
        Quit
    ${EndIf}
FunctionEnd
!macroend
!insertmacro DEFINE_SWITCHES ""
!insertmacro DEFINE_SWITCHES "un."
