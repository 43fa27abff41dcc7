# SPDX-License-Identifier: GPL-2.0-only
#
# A driver that gets no CPU for a while still hears all that a command prints,
# though QEMU drops what its socket cannot take.
import time

soon = machine._answer
pauses = [2, 1, 1]


def late():
    if pauses:
        time.sleep(pauses.pop())
    return soon()


machine.start()
machine._answer = late
numbers = machine.succeed("seq 1 100000", timeout=60)
assert numbers == "".join(f"{n}\n" for n in range(1, 100001)), len(numbers)
assert not pauses
