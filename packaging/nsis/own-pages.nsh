; The two pages of our own: what the wizard found out about this machine, and what it may change.
; Sizes are in dialog units; a page has 300 x 140.

Var Dialog
Var Top ; of the next control

Var OverrideBox
Var RemoteDesktopBox
Var NlaBox
Var FirewallBox
Var BlankPasswordBox

!define LINE_HEIGHT 8 ; of text
!define BOX_HEIGHT 10
!define GAP 6
!define INDENT 11 ; of a text below its box: where the box's own text begins

; Adds a text of that many lines below what is there.
!macro AddText X LINES TEXT
    IntOp $1 ${LINES} * ${LINE_HEIGHT}
    IntOp $2 300 - ${X}
    ${NSD_CreateLabel} ${X}u $Topu $2u $1u `${TEXT}`
    Pop $0
    IntOp $Top $Top + $1
!macroend
!define AddText "!insertmacro AddText"

; Adds a box, ticked if VALUE is 1; CONTROL gets its handle.
!macro AddBox CONTROL VALUE TEXT
    ${NSD_CreateCheckBox} 0 $Topu 100% ${BOX_HEIGHT}u `${TEXT}`
    Pop ${CONTROL}
    ${If} ${VALUE} = 1
        ${NSD_Check} ${CONTROL}
    ${EndIf}
    IntOp $Top $Top + ${BOX_HEIGHT}
!macroend
!define AddBox "!insertmacro AddBox"

!macro BeginPage TITLE SUBTITLE
    !insertmacro MUI_HEADER_TEXT `${TITLE}` `${SUBTITLE}`
    nsDialogs::Create 1018
    Pop $Dialog
    StrCpy $Top 0
!macroend
!define BeginPage "!insertmacro BeginPage"

; ---- what was found ----

; Not shown if there is nothing to say.
Function ShowFindings
    ${If} $BuiltIn = 0
    ${AndIf} $IsHyperV = 1
    ${AndIf} $HasVmbuspipe = 1
    ${AndIf} $OldVersion == ""
        Abort
    ${EndIf}
    ${BeginPage} "$(FindingsTitle)" "$(FindingsSubtitle)"
    StrCpy $OverrideBox 0
    ${If} $OldVersion != ""
        ${AddText} 0 3 "$(OldVersionText)"
        IntOp $Top $Top + ${GAP}
    ${EndIf}
    ${If} $IsHyperV = 0
        ${AddText} 0 3 "$(NotHyperVText)"
        IntOp $Top $Top + ${GAP}
    ${ElseIf} $HasVmbuspipe = 0
        ${AddText} 0 5 "$(NoIntegrationText)"
        IntOp $Top $Top + ${GAP}
    ${EndIf}
    ${If} $BuiltIn = 1
        ${AddText} 0 3 "$(BuiltInText)"
        IntOp $Top $Top + ${GAP}
        ${AddBox} $OverrideBox $Override "$(OverrideBoxText)"
        ${AddText} ${INDENT} 2 "$(OverrideText)"
        ${NSD_OnClick} $OverrideBox OnOverride
        Push $OverrideBox
        Call OnOverride
    ${EndIf}
    nsDialogs::Show
FunctionEnd

; Where Windows does it itself, there is nothing to install without the override.
Function OnOverride
    Pop $0
    ${NSD_GetState} $OverrideBox $Override
    GetDlgItem $0 $HWNDPARENT 1
    EnableWindow $0 $Override
FunctionEnd

Function LeaveFindings
    ${If} $OverrideBox <> 0
        ${NSD_GetState} $OverrideBox $Override
    ${EndIf}
FunctionEnd

; ---- Remote Desktop settings ----

Function ShowSettings
    ${BeginPage} "$(SettingsTitle)" "$(SettingsSubtitle)"

    ${AddBox} $RemoteDesktopBox $EnableRemoteDesktop "$(RemoteDesktopBoxText)"
    ${If} $RemoteDesktopOn = 1
        ${AddText} ${INDENT} 1 "$(RemoteDesktopOnText)"
    ${Else}
        ${AddText} ${INDENT} 1 "$(RemoteDesktopText)"
    ${EndIf}
    IntOp $Top $Top + ${GAP}

    ${AddBox} $NlaBox $DropNla "$(NlaBoxText)"
    ${If} $HasNla = 0
        ${NSD_Uncheck} $NlaBox
        EnableWindow $NlaBox 0
        ${AddText} ${INDENT} 1 "$(NlaUnknownText)"
    ${ElseIf} $NlaOff = 1
        ${AddText} ${INDENT} 1 "$(NlaOffText)"
    ${Else}
        ${AddText} ${INDENT} 3 "$(NlaText)"
    ${EndIf}
    IntOp $Top $Top + ${GAP}

    ${AddBox} $FirewallBox $AddFirewallRule "$(FirewallBoxText)"
    ${If} $RemoteSession = 1
        ${AddText} ${INDENT} 2 "$(FirewallRemoteText)"
    ${Else}
        ${AddText} ${INDENT} 2 "$(FirewallText)"
    ${EndIf}
    IntOp $Top $Top + ${GAP}

    ${AddBox} $BlankPasswordBox $AllowBlankPassword "$(BlankPasswordBoxText)"
    ${AddText} ${INDENT} 2 "$(BlankPasswordText)"

    StrCpy $Top 132
    ${AddText} 0 1 "$(PutBackText)"

    ${NSD_OnClick} $RemoteDesktopBox OnSetting
    ${NSD_OnClick} $NlaBox OnSetting
    Call UpdateFirewallBox
    nsDialogs::Show
FunctionEnd

Function OnSetting
    Pop $0
    Call UpdateFirewallBox
FunctionEnd

; The rule goes with what makes it useful: it is ticked when the first of the two is, and there is
; nothing to tick without either.
Function UpdateFirewallBox
    ${NSD_GetState} $RemoteDesktopBox $0
    ${NSD_GetState} $NlaBox $1
    IntOp $0 $0 | $1
    System::Call 'user32::IsWindowEnabled(p $FirewallBox) i .r1'
    ${If} $0 = 0
        ${NSD_Uncheck} $FirewallBox
    ${ElseIf} $1 = 0
        ${NSD_Check} $FirewallBox
    ${EndIf}
    EnableWindow $FirewallBox $0
FunctionEnd

Function LeaveSettings
    ${NSD_GetState} $RemoteDesktopBox $EnableRemoteDesktop
    ${NSD_GetState} $NlaBox $DropNla
    ${NSD_GetState} $FirewallBox $AddFirewallRule
    ${NSD_GetState} $BlankPasswordBox $AllowBlankPassword
FunctionEnd
