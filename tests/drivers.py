"""Stand-ins for the library of the NVIDIA driver."""

import subprocess

from d2lrnn._mxnet.gpus import CAPABILITY_MAJOR, CAPABILITY_MINOR

CARDS = {
    "5.2": "NVIDIA GeForce GTX 970",
    "7.5": "Tesla T4",
    "8.0": "NVIDIA A100-SXM4-40GB",
    "8.6": "NVIDIA GeForce RTX 3090",
    "8.9": "NVIDIA L4",
    "9.0": "NVIDIA H100 80GB HBM3",
    "10.0": "NVIDIA B200",
}


class StandIn:
    """A driver with cards of these compute capabilities, in Python; ``init`` is what cuInit answers."""

    def __init__(self, *capabilities, init=0):
        self.cards, self.init, self.begun = capabilities, init, False

    def cuDriverGetVersion(self, version):
        version._obj.value = 12040
        return 0

    def cuInit(self, flags):
        self.begun = self.init == 0
        return self.init

    def cuDeviceGetCount(self, count):
        count._obj.value = len(self.cards)
        return 0 if self.begun else 3

    def cuDeviceGet(self, device, number):
        device._obj.value = number + 40  # a handle, and not the number
        return 0 if self.begun and number < len(self.cards) else 101

    def cuDeviceGetName(self, name, size, device):
        name.value = CARDS[self.cards[device.value - 40]].encode()[: size - 1]
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):
        major, minor = self.cards[device.value - 40].split(".")
        value._obj.value = int({CAPABILITY_MAJOR: major, CAPABILITY_MINOR: minor}[attribute])
        return 0


SOURCE = """
#include <string.h>
typedef struct {{ const char *name; int major, minor; }} Card;
static Card cards[] = {{ {cards} }};
static const int count = sizeof cards / sizeof cards[0] - 1;
static int begun;
int cuDriverGetVersion(int *version) {{ *version = 12040; return 0; }}
int cuInit(unsigned flags) {{ begun = !{init}; return flags ? 1 : {init}; }}
int cuDeviceGetCount(int *found) {{ *found = count; return begun ? 0 : 3; }}
int cuDeviceGet(int *device, int number) {{ *device = number + 40; return begun && number < count ? 0 : 101; }}
int cuDeviceGetName(char *name, int size, int device) {{
  strncpy(name, cards[device - 40].name, size - 1); name[size - 1] = 0; return 0; }}
int cuDeviceGetAttribute(int *value, int attribute, int device) {{
  Card card = cards[device - 40];
  if (attribute != 75 && attribute != 76) return 1;
  *value = attribute == 75 ? card.major : card.minor; return 0; }}
"""


def compiled(folder, *capabilities, init=0):
    """Make such a driver as a shared library in a folder, by gcc; returns its path."""
    rows = [f'{{ "{CARDS[capability]}", {capability.replace(".", ", ")} }}, ' for capability in capabilities]
    source, library = folder / "driver.c", folder / "libcuda.so.1"
    source.write_text(SOURCE.format(cards="".join(rows) + "{ 0, 0, 0 }", init=init))
    subprocess.check_call(["gcc", "-shared", "-fPIC", f"-Wl,-soname,{library.name}", "-o", library, source])
    return library
