# SPDX-License-Identifier: GPL-2.0-only
#
# The VM on x86-64. Another architecture is another file like this one.
{
  architecture = "x86_64";
  qemu = "qemu-system-x86_64";
  machine = "q35";
  memory = 256; # MiB
  # Two, so that races can happen. A kernel without ACPI finds them in the
  # firmware's MP table, which has one CPU for each socket.
  cpus = 2;
  smp = "cpus={cpus},sockets={cpus}";

  # The serial port with the console, and the one with the tests' events.
  console = {
    tty = "ttyS0";
    arguments = [
      "-serial"
      "chardev:console"
    ];
  };
  events = {
    tty = "ttyS1";
    arguments = [
      "-serial"
      "chardev:events"
    ];
  };

  # The memory `files`, where the program in the VM finds the modules.
  files = [
    "-device"
    "ivshmem-plain,memdev=files,master=on"
  ];

  accelerators = {
    kvm = {
      cpu = "host";
      cmdline = "";
    };
    # The plainest model boots fastest under emulation: the kernel then switches
    # nothing on that is expensive to emulate. A VM that gets little of the
    # host's time misses the ticks by which the kernel looks whether the timer
    # works; under KVM it does not look.
    tcg = {
      cpu = "qemu64";
      cmdline = "no_timer_check";
      # Where the guest reads the host's time stamp counter and has no other
      # good clock, it must be told how fast the counter runs, in kHz.
      tscCmdline = "tsc_early_khz={khz} tsc=reliable";
    };
  };

  # What is booted of the kernel's output `dev`, and what its configuration has
  # besides base.config.
  kernel = {
    file = "vmlinux";
    fragments = [ ../kernel/x86_64.config ];
  };

  # The same for the kernel that NixOS boots, and what NixOS gives QEMU and the
  # kernel on such a machine.
  nixos = {
    fragments = [ ../kernel/nixos-x86_64.config ];
    arguments = [
      "-cpu"
      "max"
    ];
    cmdline = "clocksource=acpi_pm";
  };
}
