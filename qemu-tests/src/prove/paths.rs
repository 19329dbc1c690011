//! Disks on two paths: one disk each, and in the running system dm-multipath owns them.

use anyhow::{Context as _, ensure};

use super::disks::run_in;
use super::machines::{Test, UEFI_USB, finish};
use crate::images::Image;
use crate::machine::{Attachment, Boot, Builder};
use crate::scenario::Site;

/// SAS disks of the storage server that no mirror of the system is on: sixteen data disks and two log disks.
const SHARED: usize = 18;

/// What the running system must say of them; each line is one promise. `A` alone is also the state of a path group that was
/// used (drivers/md/dm-mpath.c, `multipath_status`).
const LOOK: &str = r#"
set -eu
multipath() { dmsetup status --target multipath; }
echo "state $(grep -o 0x5 /state/multipath.json | wc -l)"
echo "multipathd $(systemctl is-active multipathd.service)"
echo "maps $(multipath | wc -l)"
echo "paths $(multipath | grep -oE ' [0-9]+:[0-9]+ A ' | wc -l)"
echo "members $(zpool status -P tank | grep -c /dev/mapper/35)"
echo "plain $(zpool status -P tank | grep -c '/dev/sd' || true)"
echo "pool $(zpool list -H -o health tank)"
"#;

/// A path of every disk goes; mail is still written.
const LOSE_A_PATH: &str = r#"
set -eu
for map in /sys/block/dm-*; do
  case "$(cat $map/dm/uuid)" in mpath-*) ;; *) continue ;; esac
  first=$(ls $map/slaves | head -1)
  echo offline > /sys/block/$first/device/state
done
dd if=/dev/urandom of=/var/srv/export/mail/letter bs=1M count=8 conv=fsync status=none
zpool sync tank
echo "pool $(zpool list -H -o health tank)"
for second in $(seq 60); do
  rackwright-installer status --json > /tmp/status.json || true
  grep -q '1 of 2' /tmp/status.json && break
  sleep 1
done
grep -o '1 of 2' /tmp/status.json | sort -u
"#;

/// Every SAS disk over two controllers: one disk each, not two, and the loss of a path stops nothing.
pub(super) fn two_paths(test: &Test, image: &Image) -> anyhow::Result<()> {
    let both = |machine: Builder| {
        machine.change_each(|disk| {
            if disk.attachment == Attachment::Sas {
                disk.attachment = Attachment::SasTwoPaths;
            }
        })
    };
    let mut site = Site::new(test.role, image, UEFI_USB, both, |_| {})?;
    finish(&mut site)?;
    let (mut running, _status) = site
        .start(&Boot::default(), &mut |_| {})
        .context("second boot")?;
    let seen = run_in(&site, &mut running, LOOK)?;
    let wanted = format!(
        "state {SHARED}\nmultipathd active\nmaps {SHARED}\npaths {}\nmembers {SHARED}\nplain 0\npool ONLINE\n",
        2 * SHARED
    );
    ensure!(seen == wanted, "expected\n{wanted}but it is\n{seen}");
    let seen = run_in(&site, &mut running, LOSE_A_PATH)?;
    ensure!(
        seen == "pool ONLINE\n1 of 2\n",
        "with one path of each disk gone: {seen}"
    );
    Ok(())
}
