# A machine: what was rendered over the programs of Debian 13, disks of its own, memory that a new start empties.
set -e
name=$1 rendered=$2 programs=$3 disk=$4 merged=$5 binary=$6 roles=$7
hostname "$name"
ip link set lo up
mount -t tmpfs tmpfs "$merged"
mkdir "$merged/upper" "$merged/work" "$merged/root"
mount -t overlay overlay -o "lowerdir=$rendered:$programs,upperdir=$merged/upper,workdir=$merged/work" "$merged/root"
root=$merged/root
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys" || true
for folder in run tmp var/log; do mount -t tmpfs tmpfs "$root/$folder"; done
mount --bind /dev "$root/dev"
mkdir -p "$root/state" "$root/var/lib/mysql" "$root/usr/share/rackwright/roles" "$root/run/units" "$root/run/haproxy"
mount --bind "$disk/state" "$root/state"
mount --bind "$disk/mysql" "$root/var/lib/mysql"
mount --bind "$roles" "$root/usr/share/rackwright/roles"
touch "$root/usr/bin/rackwright-installer"
mount --bind "$binary" "$root/usr/bin/rackwright-installer"
install -m 755 "$disk/systemctl" "$root/usr/bin/systemctl"
cp "$disk"/units/* "$root/run/units/"
install -d -m 700 "$root/run/rackwright/secrets"
cp "$disk"/secrets/* "$root/run/rackwright/secrets/"
install -d -o 101 -g 101 "$root/run/mysqld"
chown 101:101 "$disk/mysql"
ln -sf /bin/bash "$root/usr/bin/sh" 2>/dev/null || true
exec chroot "$root" sleep infinity
