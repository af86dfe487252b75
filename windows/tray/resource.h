/* Numbers of the resources, commands and controls of hvsession-tray.exe. Read by windres, too. */
#ifndef HVS_WINDOWS_TRAY_RESOURCE_H
#define HVS_WINDOWS_TRAY_RESOURCE_H

#define IDI_HVSESSION 1
#define IDD_STATUS    1
#define IDD_PAGE      2

/* ---- commands: of the menu and of buttons ---- */

#define IDM_OPEN          100
#define IDM_DIAGNOSE      101
#define IDM_LOG           102
#define IDM_RESTART       103
#define IDM_START         104
#define IDM_NOTIFY        105
#define IDM_AUTOSTART     106
#define IDM_ABOUT         107
#define IDM_EXIT          108
#define IDM_NEXT_PAGE     109
#define IDM_PREVIOUS_PAGE 110
#define IDM_NO_SESSION    111
/* and the place of the session in the menu: ends it */
#define IDM_DISCONNECT 120

/* ---- controls of the status window ---- */

#define IDC_LIGHT           200
#define IDC_STATE          201
#define IDC_SENTENCE       202
#define IDC_ACTION         203
#define IDC_TABS           204
#define IDC_NOTIFY         205
#define IDC_LOG            206
#define IDC_CLOSE          2 /* IDCANCEL: Esc, too */

#define IDC_HOST           220 /* the headings of the first page */
#define IDC_CHANNELS       221
#define IDC_SERVER         222
#define IDC_HYPERV         230 /* values; their labels have 10 more */
#define IDC_SUPPORT        231
#define IDC_MACHINE        232
#define IDC_SERVICE        233
#define IDC_WHICH          234
#define IDC_REACHABLE      235
#define IDC_CHANNEL_LIST   250

#define IDC_SESSION_LABEL  300
#define IDC_SESSION_LIST   301
#define IDC_DISCONNECT     302
#define IDC_ENDED_LABEL    303
#define IDC_ENDED_LIST     304
#define IDC_SESSION_NONE   305 /* in the place of an empty list */
#define IDC_ENDED_NONE     306

#define IDC_SUMMARY        400
#define IDC_FINDING_LABEL  401
#define IDC_FINDING_LIST   402
#define IDC_DETAIL         403
#define IDC_COPY           404
#define IDC_CHECK          405
#define IDC_DETAIL_LABEL   406
#define IDC_COPIED         407

/* ---- strings ---- */

/* In the order of enum hvs_light. The last one is for more than one session. */
#define IDS_LIGHT           1000
#define IDS_LIGHT_WORKING_N 1004
#define IDS_TIP             1005
/* In the order of enum hvs_service; none for one that is up. */
#define IDS_SERVICE         1010

/* In the order of the enumerations of common/. */
#define IDS_CHANNEL_STATE   1070
#define IDS_SESSION_STATE   1080
#define IDS_SEVERITY        1090

#define IDS_UNIT_MS         1110
#define IDS_UNIT_S          1111
#define IDS_UNIT_MIN        1112
#define IDS_UNIT_MIN_S      1113
#define IDS_UNIT_H_MIN      1114
#define IDS_UNIT_D_H        1115
#define IDS_PER_SECOND      1116
#define IDS_AGO             1117
#define IDS_BYTES           1118

#define IDS_TITLE           1130
#define IDS_PAGE_OVERVIEW   1131
#define IDS_PAGE_SESSIONS   1132
#define IDS_PAGE_DIAGNOSIS  1133
#define IDS_COUNTED         1134

#define IDS_HOST            1140
#define IDS_CHANNELS        1141
#define IDS_SERVER          1142
#define IDS_HYPERV          1143
#define IDS_SUPPORT         1144
#define IDS_MACHINE         1145
#define IDS_SERVICE_LABEL   1146
#define IDS_WHICH           1147
#define IDS_REACHABLE       1148
#define IDS_YES             1149
#define IDS_NO              1150
#define IDS_UNKNOWN         1151
#define IDS_CHECKING        1152
#define IDS_HYPERV_YES      1153
#define IDS_HYPERV_NO       1154
#define IDS_HYPERV_BUILD    1155
#define IDS_PROTOCOL        1156
#define IDS_OFFERED         1157
#define IDS_NOT_OFFERED     1158
#define IDS_NEGOTIATING     1159
#define IDS_NEXT_ATTEMPT    1160
#define IDS_MACHINE_ON      1161
#define IDS_RUNS            1162
#define IDS_CHANNEL         1163
#define IDS_STATE           1164
#define IDS_USED_BY         1165
#define IDS_CHANNEL_CONTROL 1166
#define IDS_CHANNEL_DATA    1167
#define IDS_USED_BY_HOST    1168
#define IDS_SESSION_OF      1169

#define IDS_CONNECTED       1180
#define IDS_NOBODY          1181
#define IDS_NOBODY_NOW      1182
#define IDS_ENDED           1183
#define IDS_NONE_ENDED      1184
#define IDS_CLIENT          1185
#define IDS_SIZE            1186
#define IDS_COLOURS         1187
#define IDS_CLIPBOARD       1188
#define IDS_DRIVES          1189
#define IDS_SOUND           1190
#define IDS_DURATION        1191
#define IDS_TO_HOST         1192
#define IDS_TO_SERVER       1193
#define IDS_WHEN            1194
#define IDS_LASTED          1195
#define IDS_WHY             1196
#define IDS_DISCONNECT      1197
#define IDS_SIZE_VALUE      1198
#define IDS_COLOURS_VALUE   1199
#define IDS_CLIENT_UNKNOWN  1200
#define IDS_END_DETAIL      1201

#define IDS_FINDINGS        1210
#define IDS_SEVERITY_LABEL  1211
#define IDS_FINDING         1212
#define IDS_DETAIL          1213
#define IDS_COPY            1214
#define IDS_CHECK           1215
#define IDS_NO_FINDINGS     1216
#define IDS_ON_HOST         1217
#define IDS_IN_GUEST        1218
#define IDS_MORE            1219
#define IDS_CANNOT_CHECK    1220
#define IDS_COPIED          1221
#define IDS_FIX             1222

#define IDS_NOTIFY          1230
#define IDS_LOG             1231
#define IDS_CLOSE           1232
#define IDS_START           1233
#define IDS_DIAGNOSE        1234

#define IDS_MENU_OPEN       1240
#define IDS_MENU_DIAGNOSE   1241
#define IDS_MENU_LOG        1242
#define IDS_MENU_RESTART    1243
#define IDS_MENU_START      1244
#define IDS_MENU_NOTIFY     1245
#define IDS_MENU_AUTOSTART  1246
#define IDS_MENU_ABOUT      1247
#define IDS_MENU_EXIT       1248
#define IDS_MENU_SESSION    1249
#define IDS_MENU_DISCONNECT 1250
#define IDS_MENU_NO_SESSION 1251

#define IDS_NEWS_CONNECTED  1260
#define IDS_NEWS_CLIENT     1261
#define IDS_NEWS_SOMEBODY   1262
#define IDS_NEWS_ENDED      1263
#define IDS_NEWS_TROUBLE    1264
#define IDS_NEWS_PROBLEM    1265

#define IDS_ABOUT           1270
#define IDS_ABOUT_TITLE     1271
#define IDS_FAILED          1272
#define IDS_FAILED_START    1273
#define IDS_FAILED_RESTART  1274
#define IDS_FAILED_END      1275
#define IDS_FAILED_LOG      1276
#define IDS_NEEDS_ADMIN     1277
#define IDS_NOT_INSTALLED   1278
#define IDS_ASK_DISCONNECT  1279

#endif
