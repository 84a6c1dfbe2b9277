#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Process 1 of the lab machine: what an init system would set up, then /payload/command, then the
# results as a tar on the disk lab-results, then power-off. scripts/lab starts it.
export PATH=/payload/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root TERM=dumb LC_ALL=C.UTF-8

mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t securityfs security /sys/kernel/security 2>/dev/null
for name in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
  ln -sfn "/proc/self/${name#*:}" "/dev/${name%%:*}"
done
hostname lab
ip link set lo up
modprobe -aq kvm-amd tun veth bridge loop vhost_net vhost_vsock sch_ingress act_mirred cls_u32 \
  nf_tables virtio_console xfs btrfs
# As udev would: the groups that may use the devices.
getent group kvm >/dev/null || groupadd --system kvm
chgrp kvm /dev/kvm && chmod 660 /dev/kvm
chmod 666 /dev/net/tun /dev/vhost-net /dev/vhost-vsock 2>/dev/null

out=/dev/console
for port in /sys/class/virtio-ports/*; do
  if [[ $(cat "$port/name") == lab-out ]]; then out=/dev/${port##*/}; fi
done

mkdir -p /results /scratch/work /scratch/cache
ln -s /payload/assets /scratch/cache/assets
cd /scratch/work || exit 1
read -r uptime _ </proc/uptime
echo "lab-ready $(uname -r), $(nproc) CPUs, KVM: $(ls /dev/kvm 2>/dev/null || echo none), uptime $uptime s" >/dev/console
setsid bash /payload/command </dev/null > >(tee /results/log >"$out") 2>&1
status=$?
sleep 0.2   # tee has the last lines
echo "$status" >/results/status
dmesg >/results/dmesg 2>&1
for disk in /sys/block/vd*; do
  if [[ $(cat "$disk/serial") == lab-results ]]; then tar -cf "/dev/${disk##*/}" -C /results .; fi
done
sync
echo o >/proc/sysrq-trigger
read -rt 60 <> <(:)
