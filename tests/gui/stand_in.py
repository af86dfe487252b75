"""Stand-ins on the buses: the service, for what the real one cannot be brought to say on a
simulated host; polkit; and the desktop's notifications. The service's interface is read from
linux/io.github.hvsession1.xml, so that nothing is published here that it does not have."""

import re

from gi.repository import Gio, GLib

import desk

NAME = "io.github.hvsession1"
PATH = "/io/github/hvsession1"
MANAGER = NAME + ".Manager"
SESSION = NAME + ".Session"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
XML = desk.SOURCE.parents[1] / "linux/io.github.hvsession1.xml"


def interface_info(name):
    """From the XML that the service uses, its comments removed."""
    node = Gio.DBusNodeInfo.new_for_xml(re.sub(r"<!--.*?-->", "", XML.read_text("utf-8"),
                                               flags=re.S))
    info = node.lookup_interface(name)
    return info if info is not None else node.nodes[0].lookup_interface(name)


def connect(bus_type):
    return Gio.DBusConnection.new_for_address_sync(
        Gio.dbus_address_get_for_bus_sync(bus_type, None),
        Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
        | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION, None, None)


# org.freedesktop.DBus.RequestName
ALLOW_REPLACEMENT, REPLACE_EXISTING, DO_NOT_QUEUE = 1, 2, 4


def own_name(connection, name):
    """Or takes it over from somebody who is a stand-in, too."""
    result = connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus",
                                  "org.freedesktop.DBus", "RequestName",
                                  GLib.Variant("(su)", (name, ALLOW_REPLACEMENT | REPLACE_EXISTING
                                                        | DO_NOT_QUEUE)), None, 0, -1, None)
    assert result.unpack() == (1,), f"{name} is taken"


class Object:
    """One interface at one path, with properties of its types."""

    def __init__(self, connection, path, interface, values, on_call=None):
        self.connection, self.path, self.interface = connection, path, interface
        self.info = interface_info(interface)
        self.values, self.on_call = {}, on_call
        for name, value in values.items():
            self._set(name, value)
        self.registration = connection.register_object(path, self.info, self._call, self._get,
                                                       None)

    def _set(self, name, value):
        info = self.info.lookup_property(name)
        if info is None:
            raise KeyError(f"{self.interface} has no property {name}")
        self.values[name] = GLib.Variant(info.signature, value)

    def _get(self, connection, sender, path, interface, name):
        return self.values.get(name)

    def _call(self, connection, sender, path, interface, method, parameters, invocation):
        self.on_call(method, parameters.unpack(), invocation)

    def change(self, **values):
        """Sets properties, and tells of it in one signal."""
        for name, value in values.items():
            self._set(name, value)
        self.connection.emit_signal(
            None, self.path, PROPERTIES, "PropertiesChanged",
            GLib.Variant("(sa{sv}as)", (self.interface, {name: self.values[name]
                                                         for name in values}, [])))

    def describe(self):
        return {self.interface: self.values}

    def close(self):
        self.connection.unregister_object(self.registration)


class Service:
    """hvsessiond, as far as the bus sees it."""

    def __init__(self, **values):
        self.connection = connect(Gio.BusType.SYSTEM)
        self.calls = []  # names of methods, in their order
        self.sessions = {}
        self.on_diagnose = None
        self.held = []  # invocations that are not answered yet
        self.manager = Object(self.connection, PATH, MANAGER, values, self._call)
        self.objects = self.connection.register_object(
            PATH, interface_info(OBJECT_MANAGER), self._get_objects, None, None)
        self.connection.add_filter(self._count)
        self.reads = []  # what the window has asked for: interface.method
        own_name(self.connection, NAME)

    def _count(self, connection, message, incoming):
        if incoming and message.get_message_type() == Gio.DBusMessageType.METHOD_CALL:
            self.reads.append(f"{message.get_interface()}.{message.get_member()}")
        return message

    def _get_objects(self, connection, sender, path, interface, method, parameters, invocation):
        invocation.return_value(GLib.Variant(
            "(a{oa{sa{sv}}})", ({item.path: item.describe() for item in self.sessions.values()},)))

    def _call(self, method, parameters, invocation):
        self.calls.append((method, *parameters))
        if method == "Diagnose" and self.on_diagnose is not None:
            self.on_diagnose(invocation)
            return
        if method == "Disconnect":
            self.end(parameters[0], "disconnected", "an administrator ended the session")
        invocation.return_value(None)

    def change(self, **values):
        self.manager.change(**values)

    def add(self, number, **values):
        """A session."""
        item = Object(self.connection, f"{PATH}/session/{number}", SESSION,
                      {"Id": number, **values})
        self.sessions[number] = item
        self.connection.emit_signal(None, PATH, OBJECT_MANAGER, "InterfacesAdded",
                                    GLib.Variant("(oa{sa{sv}})", (item.path, item.describe())))
        return item

    def end(self, number, reason, sentence, trouble=False):
        now = GLib.get_real_time() // 1000
        self.sessions[number].change(State="ended", Ended=now, EndReason=reason, EndText=sentence,
                                     Trouble=trouble, RateToHost=0, RateToServer=0)

    def remove(self, number):
        item = self.sessions.pop(number)
        self.connection.emit_signal(None, PATH, OBJECT_MANAGER, "InterfacesRemoved",
                                    GLib.Variant("(oas)", (item.path, [SESSION])))
        item.close()

    def close(self):
        """As if it were killed."""
        self.connection.close_sync(None)


class Polkit:
    """Allows everything, or nothing."""

    INTERFACE = """<node><interface name='org.freedesktop.PolicyKit1.Authority'>
        <method name='CheckAuthorization'>
        <arg type='(sa{sv})' direction='in'/><arg type='s' direction='in'/>
        <arg type='a{ss}' direction='in'/><arg type='u' direction='in'/>
        <arg type='s' direction='in'/><arg type='(bba{ss})' direction='out'/>
        </method></interface></node>"""

    def __init__(self):
        self.allows = True
        self.asked = []  # actions
        self.connection = connect(Gio.BusType.SYSTEM)
        self.connection.register_object(
            "/org/freedesktop/PolicyKit1/Authority",
            Gio.DBusNodeInfo.new_for_xml(self.INTERFACE).interfaces[0], self._check, None, None)
        own_name(self.connection, "org.freedesktop.PolicyKit1")

    def _check(self, connection, sender, path, interface, method, parameters, invocation):
        self.asked.append(parameters.unpack()[1])
        invocation.return_value(GLib.Variant("((bba{ss}))", ((self.allows, False, {}),)))


class Notifications:
    """What the desktop would show."""

    INTERFACE = """<node><interface name='org.freedesktop.Notifications'>
        <method name='Notify'>
        <arg type='s' direction='in'/><arg type='u' direction='in'/><arg type='s' direction='in'/>
        <arg type='s' direction='in'/><arg type='s' direction='in'/><arg type='as' direction='in'/>
        <arg type='a{sv}' direction='in'/><arg type='i' direction='in'/>
        <arg type='u' direction='out'/></method>
        <method name='CloseNotification'><arg type='u' direction='in'/></method>
        <method name='GetCapabilities'><arg type='as' direction='out'/></method>
        <method name='GetServerInformation'>
        <arg type='s' direction='out'/><arg type='s' direction='out'/>
        <arg type='s' direction='out'/><arg type='s' direction='out'/></method>
        <signal name='NotificationClosed'><arg type='u'/><arg type='u'/></signal>
        <signal name='ActionInvoked'><arg type='u'/><arg type='s'/></signal>
        </interface></node>"""

    def __init__(self):
        self.shown = []  # (title, body)
        self.clicks = False  # somebody clicks on each
        self.connection = connect(Gio.BusType.SESSION)
        self.connection.register_object(
            "/org/freedesktop/Notifications",
            Gio.DBusNodeInfo.new_for_xml(self.INTERFACE).interfaces[0], self._call, None, None)
        own_name(self.connection, "org.freedesktop.Notifications")

    def _call(self, connection, sender, path, interface, method, parameters, invocation):
        if method == "Notify":
            arguments = parameters.unpack()
            self.shown.append((arguments[3], arguments[4]))
            number = arguments[1] or len(self.shown)
            invocation.return_value(GLib.Variant("(u)", (number,)))
            if self.clicks:
                connection.emit_signal(sender, path, interface, "ActionInvoked",
                                       GLib.Variant("(us)", (number, "default")))
            # It goes again by itself: 1 stands for that.
            connection.emit_signal(sender, path, interface, "NotificationClosed",
                                   GLib.Variant("(uu)", (number, 1)))
        elif method == "GetCapabilities":
            invocation.return_value(GLib.Variant("(as)", (["actions", "body"],)))
        elif method == "GetServerInformation":
            invocation.return_value(GLib.Variant("(ssss)", ("test", "test", "1", "1.2")))
        else:
            invocation.return_value(None)


class TrayIcon:
    """The icon as the panel knows it (org.kde.StatusNotifierItem), and its menu."""

    WATCHER = "org.kde.StatusNotifierWatcher"

    def __init__(self):
        self.bus = connect(Gio.BusType.SESSION)

    def _call(self, name, path, interface, method, parameters, reply):
        return self.bus.call_sync(name, path, interface, method, parameters,
                                  GLib.VariantType(reply), 0, -1, None).unpack()

    def _property(self, name, path, interface, property_name):
        return self._call(name, path, PROPERTIES, "Get",
                          GLib.Variant("(ss)", (interface, property_name)), "(v)")[0]

    def items(self):
        """What stands in the tray; nothing if there is no tray."""
        try:
            return self._property(self.WATCHER, "/StatusNotifierWatcher", self.WATCHER,
                                  "RegisteredStatusNotifierItems")
        except GLib.Error:
            return []

    def has_tray(self):
        return self.bus.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus",
                                  "org.freedesktop.DBus", "NameHasOwner",
                                  GLib.Variant("(s)", (self.WATCHER,)), None, 0, -1,
                                  None).unpack()[0]

    def _item(self):
        name, _, path = self.items()[0].partition("/")
        return name, "/" + path

    def get(self, name):
        """"IconName", "Title", ..."""
        return self._property(*self._item(), "org.kde.StatusNotifierItem", name)

    def menu(self):
        """(id, label, properties, children) for each entry."""
        name, _ = self._item()
        layout = self._call(name, self.get("Menu"), "com.canonical.dbusmenu", "GetLayout",
                            GLib.Variant("(iias)", (0, -1, [])), "(u(ia{sv}av))")[1]
        return [self._entry(child) for child in layout[2]]

    def _entry(self, layout):
        number, properties, children = layout
        # "_" marks a mnemonic, "__" is an underscore.
        label = re.sub("_(.)", r"\1", properties.get("label", ""))
        return number, label, properties, [self._entry(child) for child in children]

    def labels(self):
        """Of what is to be seen; "-": a separator."""
        return ["-" if properties.get("type") == "separator" else label
                for _, label, properties, _ in self.menu() if properties.get("visible", True)]

    def choose(self, *labels):
        """Clicks an entry, by the labels on the way there."""
        entries = self.menu()
        for label in labels:
            number, _, _, entries = next(entry for entry in entries if entry[1].startswith(label))
        name, _ = self._item()
        self.bus.call_sync(name, self.get("Menu"), "com.canonical.dbusmenu", "Event",
                           GLib.Variant("(isvu)", (number, "clicked", GLib.Variant("i", 0), 0)),
                           None, 0, -1, None)
