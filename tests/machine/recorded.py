"""A Mac that answers from a record. Formats as macOS prints them; owner's data is left out."""

from __future__ import annotations

import subprocess

PMSET_OLD = """System-wide power settings:
Currently in use:
 standby              1
 Sleep On Power Button 1
 hibernatefile        /var/vm/sleepimage
 powernap             1
 networkoversleep     0
 disksleep            10
 sleep                1 (sleep prevented by powerd, caffeinate)
 hibernatemode        3
 ttyskeepawake        1
 displaysleep         10
 tcpkeepalive         1
 lowpowermode         {mode}
 womp                 1
"""
PMSET_NEW = PMSET_OLD.replace(" lowpowermode         {mode}", " powermode            {mode}")

BATT_MAINS = """Now drawing from 'AC Power'
 -InternalBattery-0 (id=23199843)\t100%; charged; 0:00 remaining present: true
"""
BATT_BATTERY = """Now drawing from 'Battery Power'
 -InternalBattery-0 (id=23199843)\t71%; discharging; 5:12 remaining present: true
"""
BATT_DESKTOP = "Now drawing from 'AC Power'\n"

VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               20000.
Pages active:                           1100000.
Pages inactive:                         1000000.
Pages speculative:                         4000.
Pages throttled:                              0.
Pages wired down:                        350000.
Pages purgeable:                            500.
"Translation faults":                 812345678.
Pages copy-on-write:                   12345678.
"""

IOREG = """+-o AGXAcceleratorG14X  <class AGXAcceleratorG14X, id 0x1000004d3, registered, matched, active, busy 0>
    {
      "IOClass" = "AGXAcceleratorG14X"
      "gpu-core-count" = 38
      "model" = "Apple M2 Max"
    }
"""

SYSCTL = {
    "machdep.cpu.brand_string": "Apple M2 Max\n",
    "hw.physicalcpu": "12\n",
    "hw.logicalcpu": "12\n",
    "hw.perflevel0.physicalcpu": "8\n",
    "hw.memsize": "68719476736\n",
    "hw.pagesize": "16384\n",
    "iogpu.wired_limit_mb": "0\n",
    "kern.memorystatus_vm_pressure_level": "1\n",
    "sysctl.proc_translated": "0\n",
}


class RecordedMac:
    """Answers like a healthy M2 Max on the mains; what is missing from `commands` fails as it would there."""

    def __init__(self, **changes):
        self.commands = {("sysctl", "-n", name): value for name, value in SYSCTL.items()}
        self.commands |= {
            ("pmset", "-g"): PMSET_NEW.format(mode=0),
            ("pmset", "-g", "batt"): BATT_MAINS,
            ("vm_stat",): VM_STAT,
            ("ioreg", "-r", "-d", "1", "-c", "AGXAccelerator"): IOREG,
        }
        self.notified = 0
        self.process_thermal = 0
        self.__dict__.update(changes)

    def set_sysctl(self, name, value):
        self.commands["sysctl", "-n", name] = value

    def command(self, *argv):
        if argv not in self.commands:
            raise subprocess.CalledProcessError(1, argv)
        return self.commands[argv]

    def read(self, path):
        raise FileNotFoundError(path)

    def notify_state(self, key):
        assert key == "com.apple.system.thermalpressurelevel"
        return _answer(self.notified)

    def process_thermal_state(self):
        return _answer(self.process_thermal)


class RecordedLinux:
    """Answers with files of /proc and /sys."""

    def __init__(self, files):
        self.files = files

    def read(self, path):
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]


def _answer(value):
    if isinstance(value, Exception):
        raise value
    return value
