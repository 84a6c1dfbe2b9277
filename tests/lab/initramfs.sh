#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# /init of the lab machine's initramfs: puts the root file system together and hands over to
# machine.sh. The root is an overlay: a read-only EROFS image below, the scratch disk above.
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs dev /dev
while read -r module; do $bb insmod "/modules/$module"; done </modules/order

# Prints the device whose disk has the serial lab-$1.
disk() {
  tries=0
  while [ $tries -lt 500 ]; do
    for entry in /sys/block/vd*; do
      if [ "$($bb cat "$entry/serial" 2>/dev/null)" = "lab-$1" ]; then
        echo "/dev/${entry##*/}"
        return
      fi
    done
    $bb usleep 20000
    tries=$((tries + 1))
  done
  echo "lab: no disk $1" >/dev/console
}

$bb mount -t erofs -o ro "$(disk root)" /lower
$bb mount -t ext4 -o noatime "$(disk scratch)" /scratch
$bb mkdir -p /scratch/.upper /scratch/.work
$bb mount -t overlay -o lowerdir=/lower,upperdir=/scratch/.upper,workdir=/scratch/.work root /machine
$bb mount -t erofs -o ro "$(disk payload)" /machine/payload
$bb mount -o bind /scratch /machine/scratch
for tree in dev proc sys; do $bb mount -o move "/$tree" "/machine/$tree"; done
exec $bb switch_root /machine /bin/bash /payload/tests/lab/machine.sh
