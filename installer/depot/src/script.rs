//! What the boot loader (iPXE) is told. Pure. What a machine says of itself decides which script it gets and stands in none:
//! words of a script come from the site file, manifests and settings, and only in letters that iPXE does not read otherwise
//! (`$`, quotes, `#`, white space).

use std::collections::BTreeSet;

use run::node_source::rack::Facts;

use crate::dhcp::{BIOS, UEFI};
use crate::objects::Image;

/// Tries before the local disk is started after all.
const TRIES: u32 = 5;

/// First script: asks again with what iPXE knows of the machine. `smbios/2.7.0` is the serial number of the board (SMBIOS 3.6,
/// 7.3: type 2, offset 7; ipxe.org/cfg/smbios), which has no name of its own in older releases. `:uristring` escapes.
#[must_use]
pub fn first(base: &str) -> String {
    format!(
        "#!ipxe\n\
         chain --replace {base}/boot/machine.ipxe?mac=${{net0/mac}}&mac=${{net1/mac}}&mac=${{net2/mac}}&mac=${{net3/mac}}\
         &serial=${{smbios/2.7.0:uristring}}&platform=${{platform}} ||\n\
         echo The depot does not answer: the local disk is started.\n\
         {}",
        local_disk()
    )
}

/// A card's own iPXE is older (FlexBoot, QEMU's option ROMs) and makes no folders in an initrd: it fetches the depot's, which asks
/// all anew. Only here, not in [`first`]: an iPXE inside another one does not find its way back to the firmware (QEMU 7.2 with
/// OVMF hung until the firmware's watchdog, 2026-11-29), and whoever is not installed has to.
#[must_use]
pub fn newer(host: &str, version: Option<&str>) -> String {
    version
        .filter(|version| is_name(version))
        .map_or_else(String::new, |version| {
            format!(
                "iseq ${{version}} {version} && goto own ||\n\
                 iseq ${{platform}} efi && chain --replace http://{host}/boot/{UEFI} ||\n\
                 iseq ${{platform}} pcbios && chain --replace http://{host}/boot/{BIOS} ||\n\
                 :own\n"
            )
        })
}

/// Version of an iPXE for UEFI, from the line that its builders leave in it for revocations (SBAT, github.com/rhboot/shim,
/// SBAT.md): `ipxe,1,iPXE,ipxe.efi,VERSION,https://ipxe.org`. Absent if there is none.
#[must_use]
pub fn version(loader: &[u8]) -> Option<String> {
    const BEGIN: &[u8] = b"\nipxe,";
    let at = loader
        .windows(BEGIN.len())
        .position(|window| window == BEGIN)?;
    let rest = loader.get(at + 1..)?;
    let line = rest.split(|byte| *byte == b'\n').next()?;
    let text = std::str::from_utf8(line).ok()?;
    let version = text.split(',').nth(4)?;
    is_name(version).then(|| version.to_owned())
}

/// What iPXE says of a machine, as it stands in the query.
#[must_use]
pub fn facts(query: &[(String, String)]) -> Facts {
    let all = |name: &str| -> BTreeSet<String> {
        query
            .iter()
            .filter(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.to_ascii_lowercase())
            .collect()
    };
    Facts {
        serial: query
            .iter()
            .find(|(key, value)| key == "serial" && !value.is_empty())
            .map(|(_, value)| value.clone()),
        bmc_mac: None,
        macs: all("mac"),
    }
}

/// For a machine that nothing is to be done with, and for one that is not known.
#[must_use]
pub fn local() -> String {
    format!("#!ipxe\n{}", local_disk())
}

/// BIOS: the first disk. UEFI: the system partition that an install made, by the label of its file system, on whichever disk. An
/// iPXE that is too old for that and a machine without one go back to the firmware with an error, which then tries what comes
/// next in its order; a success would end there (UEFI 2.10, 3.1.2). That order may hold the network three times more, by HTTP
/// too, where an iPXE started by OVMF never came back (four ports, 2026-11-30): the disk is started here where that is possible.
fn local_disk() -> String {
    "iseq ${platform} pcbios && sanboot --no-describe --drive 0x80 ||\n\
     iseq ${platform} efi && sanboot --no-describe --drive 0x80 --label ESP ||\n\
     exit 1\n"
        .to_owned()
}

/// For a machine with a permit: kernel, initrd, root image, and kernel and initrd once more for the installer, which keeps them
/// (`rackwright pxe` makes one archive of the latter). Each is fetched by its SHA-256.
///
/// `version`: of the iPXE that the depot serves, if it is known. `host`: where the depot is reached, with its port. `cache`: where the first try fetches files, in place of the depot. `pin`: of
/// the cluster's authority. Absent if the image has not all files, or a word has letters that do not belong into a script.
#[must_use]
pub fn install(
    node: &str,
    image: &Image,
    version: Option<&str>,
    host: &str,
    cache: Option<&str>,
    pin: &str,
    consoles: &[String],
) -> Option<String> {
    let [kernel, initrd, root] = image.boot()?;
    let mut words = vec![
        "initrd=initrd.magic".to_owned(),
        "rackwright=install".to_owned(),
        format!("rackwright.depot={host}"),
        format!("rackwright.pin={pin}"),
    ];
    words.extend(consoles.iter().map(|console| format!("console={console}")));
    let plain = |text: &str| text.chars().all(is_plain);
    if !words.iter().all(|word| plain(word))
        || !cache.is_none_or(plain)
        || !is_name(node)
        || !is_name(&image.role)
        || !is_name(&image.version)
    {
        return None;
    }
    // A cache that fails costs one try.
    let (from, depot, base) = match cache {
        None => (
            String::new(),
            String::new(),
            format!("http://{host}/objects"),
        ),
        Some(cache) => (
            format!("set from http://{cache}\n"),
            format!("set from http://{host}\n"),
            "${from}/objects".to_owned(),
        ),
    };
    let get = |file: &crate::objects::Object| format!("{base}/{}/{}", file.sha256, file.name);
    let (kernel, initrd, root) = (get(kernel), get(initrd), get(root));
    let arguments = words.join(" ");
    let (role, built) = (&image.role, &image.version);
    let newer = newer(host, version);
    Some(format!(
        "#!ipxe\n\
         {newer}\
         echo Rackwright: {node} is installed ({role} {built}).\n\
         set try:int32 0\n\
         {from}\
         :again\n\
         inc try\n\
         imgfree\n\
         kernel {kernel} {arguments} || goto failed\n\
         initrd {initrd} || goto failed\n\
         initrd {root} /root.squashfs mode=644 || goto failed\n\
         initrd {kernel} /rackwright/boot/vmlinuz mkdir=-1 mode=644 || goto failed\n\
         initrd {initrd} /rackwright/boot/initrd.zst mkdir=-1 mode=644 || goto failed\n\
         boot || goto failed\n\
         :failed\n\
         iseq ${{try}} {TRIES} && goto local ||\n\
         echo Rackwright: try ${{try}} of {TRIES} did not work, the next follows.\n\
         sleep ${{try}}\n\
         sleep 5\n\
         {depot}\
         goto again\n\
         :local\n\
         echo Rackwright: nothing was installed, the local disk is started.\n\
         {}",
        local_disk()
    ))
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "=.:,_-/[]".contains(letter)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || ".-_+~".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{BOOT, Object};

    fn image() -> Image {
        let file = |(index, name): (usize, &&str)| Object {
            name: (*name).to_owned(),
            sha256: format!("{index}").repeat(64),
            size: 1,
            path: "x".into(),
        };
        Image {
            role: "galera".into(),
            version: "0.1.0".into(),
            files: BOOT.iter().enumerate().map(file).collect(),
        }
    }

    #[test]
    fn scripts() {
        let consoles = ["tty0".to_owned(), "ttyS1,115200n8".to_owned()];
        let made = |cache| {
            let host = "10.77.10.11:9211";
            let version = Some("1.21.1+git20250501.dad20602+dfsg-1");
            install(
                "db1",
                &image(),
                version,
                host,
                cache,
                "sha256:ab",
                &consoles,
            )
            .unwrap()
        };
        insta::assert_snapshot!("install", made(None));
        insta::assert_snapshot!("install_through_a_cache", made(Some("10.77.12.5:80")));
        let base = "http://10.77.10.11:9211";
        insta::assert_snapshot!("first", first(base));
        assert!(!newer("a:1", None).contains(":own"));
        assert!(!newer("a:1", Some("1\nshell")).contains("shell"));
        insta::assert_snapshot!("local", local());
    }

    #[test]
    fn versions() {
        let line = b"MZ\0sbat,1,SBAT Version,sbat,1,https://x\nipxe,1,iPXE,ipxe.efi,1.21.1+git-1,https://ipxe.org\n\0";
        for (bytes, expected) in [
            (&line[..], Some("1.21.1+git-1")),
            (b"\nipxe,1,iPXE,ipxe.efi,a b,https://ipxe.org\n", None),
            (b"\nipxe,", None),
            (b"", None),
        ] {
            assert_eq!(version(bytes).as_deref(), expected);
        }
    }

    #[test]
    fn no_word_leaves_its_place() {
        for (node, host, pin, console) in [
            ("db1\nshell", "a:1", "p", "tty0"),
            ("db1", "a:1 b", "p", "tty0"),
            ("db1", "a:1", "${x}", "tty0"),
            ("db1", "a:1", "p", "tty0 init=/bin/sh"),
            ("", "a:1", "p", "tty0"),
        ] {
            let made = install(node, &image(), None, host, None, pin, &[console.to_owned()]);
            assert_eq!(made, None, "{node} {host} {pin} {console}");
        }
        let made = install("db1", &image(), None, "a:1", Some("b:1\nshell"), "p", &[]);
        assert_eq!(made, None);
        let mut partial = image();
        partial.files.pop();
        assert_eq!(install("db1", &partial, None, "a:1", None, "p", &[]), None);
    }

    #[test]
    fn what_a_machine_says() {
        let query = [
            ("mac", "0C:C4:7A:00:00:01"),
            ("mac", ""),
            ("serial", "ZM1"),
            ("serial", "ZM2"),
            ("other", "x"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let facts = facts(&query);
        assert_eq!(facts.serial.as_deref(), Some("ZM1"));
        assert_eq!(facts.macs.len(), 1);
        assert!(facts.macs.contains("0c:c4:7a:00:00:01"));
    }
}
