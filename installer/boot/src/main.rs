//! `rackwright-init`: `/init` of the initrd, and the kernel's `/sbin/modprobe` while it runs.

fn main() {
    boot::main();
}
