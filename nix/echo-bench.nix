# SPDX-License-Identifier: GPL-2.0-only
#
# The echo servers compared, in one VM: messages and megabytes a second for 1, 10,
# 100 and 1000 connections. It is run when it is built, and no two runs are the
# same, so it is no check. Each figure is the middle one of five.
{
  runCommand,
  writeText,
  makeInitrdNG,
  qemu,
  kernel,
  initramfsWith,
  machine,
  modules,
  rust_echo_server,
  rust_echo_threads,
}:
let
  inherit (machine.accelerators) tcg;
  smp = builtins.replaceStrings [ "{cpus}" ] [ (toString machine.cpus) ] machine.smp;

  servers = runCommand "echo-servers" { } ''
    mkdir $out
    cp ${rust_echo_server}/lib/modules/*/extra/*.ko ${rust_echo_threads}/lib/modules/*/extra/*.ko \
      ${modules.inC}/kecho.ko $out/
  '';

  # What the VM's first process does: it prints a line for each measurement.
  init = writeText "bench" ''
    #!/bin/sh
    . /etc/init.d/rcS
    measure() { # SERVER CONNECTIONS KIND
      kind=
      [ $3 = messages ] || kind=bulk
      echo "RESULT $1 $2 $3 $(echo_client connections $2 seconds 2 $kind)"
    }
    for round in 1 2 3 4 5; do
      for server in rust_echo_server rust_echo_threads kecho; do
        insmod /echo/$server.ko
        for connections in 1 10 100 1000; do
          for kind in messages bulk; do
            measure $server $connections $kind
          done
        done
        rmmod $server
      done
    done
    echo DONE
    reboot -f
  '';

  more = makeInitrdNG {
    name = "echo-bench";
    compressor = "cat";
    contents = [
      {
        source = init;
        target = "/bench";
      }
      {
        source = servers;
        target = "/echo";
      }
    ];
  };
in
runCommand "echo-bench" { nativeBuildInputs = [ qemu ]; } ''
  cat ${initramfsWith { }}/initrd ${more}/initrd >initrd
  ${machine.qemu} -machine ${machine.machine} -accel tcg -cpu ${tcg.cpu} -m 512 -smp ${smp} \
    -nodefaults -no-user-config -display none -no-reboot \
    -chardev stdio,id=console ${toString machine.console.arguments} \
    -kernel ${kernel.dev}/${machine.kernel.file} -initrd initrd \
    -append "console=${machine.console.tty} panic=-1 ${tcg.cmdline} quiet rdinit=/bin/sh -- /bench" \
    </dev/null | tee log
  grep -q ^DONE log
  mkdir $out
  tr -d '\r' <log | sed -n 's/^RESULT //p' >$out/lines
  awk '
    # SERVER CONNECTIONS KIND ... MESSAGES messages/s, MEGABYTES MB/s
    { value[$1, $2, $3, ++count[$1, $2, $3]] = $3 == "bulk" ? $(NF - 1) : $(NF - 3) }
    function middle(server, connections, kind,    i, n, list, smaller, j) {
      n = count[server, connections, kind]
      for (i = 1; i <= n; i++) {
        smaller = 0
        for (j = 1; j <= n; j++) {
          list[i] = value[server, connections, kind, i] + 0
          list[j] = value[server, connections, kind, j] + 0
          smaller += list[j] < list[i] || list[j] == list[i] && j < i
        }
        if (smaller == int(n / 2)) return list[i]
      }
    }
    function line(connections, kind) {
      printf "| %d | %s | %s | %s |\n", connections, middle("rust_echo_server", connections, kind), \
        middle("rust_echo_threads", connections, kind), middle("kecho", connections, kind)
    }
    function table(title, kind,    i, n, list) {
      print "| " title " | rust_echo_server | rust_echo_threads | in C |"
      print "| --- | --- | --- | --- |"
      n = split("1 10 100 1000", list, " ")
      for (i = 1; i <= n; i++) line(list[i], kind)
      print ""
    }
    END { table("connections, messages/s", "messages"); table("connections, MB/s", "bulk") }
  ' $out/lines | tee $out/table.md
''
