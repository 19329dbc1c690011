//! `locate`: the light at a disk's bay, so that the right one is pulled. The one write to sysfs.

use anyhow::bail;
use camino::Utf8Path;
use firmware::{Inventory, inventory::Disk, probe, report::bay_name};
use system::System;

use crate::{
    arguments::{self, Light},
    inventory, output,
};

pub fn run(system: &dyn System, options: &arguments::Locate) -> anyhow::Result<u8> {
    let root = Utf8Path::new("/");
    let said = switch(system, root, &inventory::probe(root), options)?;
    output::note(&said);
    Ok(0)
}

/// Switches the light of a disk or of an empty bay; says which.
fn switch(
    system: &dyn System,
    root: &Utf8Path,
    inventory: &Inventory,
    options: &arguments::Locate,
) -> anyhow::Result<String> {
    let name = options.disk.trim();
    let disks: Vec<&Disk> = inventory
        .disks
        .iter()
        .filter(|disk| is_called(disk, name))
        .collect();
    let (files, what) = match disks.as_slice() {
        [disk] => {
            let bay = disk
                .bay
                .as_ref()
                .map_or_else(|| "an unknown bay".to_owned(), bay_name);
            let model = disk.model.as_deref().unwrap_or("disk");
            let serial = disk.serial.as_deref().unwrap_or("unknown");
            (
                probe::locate_files(root, disk),
                format!("{model}, serial {serial}, in {bay}"),
            )
        }
        [] => bail!(
            "no disk is called `{name}`\nhint: give a bay such as `front:3`, a WWN, a serial number or a kernel name; `inventory` lists them"
        ),
        several => bail!(
            "{} disks are called `{name}`: {}\nhint: give a WWN",
            several.len(),
            several
                .iter()
                .map(|disk| disk.id.to_string())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    if files.is_empty() {
        bail!(
            "no enclosure has a light for {what}\nhint: only bays behind an enclosure with SES have one; look for the serial number"
        );
    }
    let (value, state) = match options.light {
        Light::On => ("1", "on"),
        Light::Off => ("0", "off"),
    };
    for file in &files {
        // Sysfs files cannot be replaced, which `write` does; appending is one plain write(2) to them.
        system.append(file, value.as_bytes())?;
    }
    Ok(format!("locate light {state}: {what}"))
}

fn is_called(disk: &Disk, name: &str) -> bool {
    let same = |text: &Option<String>| {
        text.as_deref()
            .is_some_and(|text| text.eq_ignore_ascii_case(name))
    };
    let digits = |text: &str| {
        text.to_ascii_lowercase()
            .trim_start_matches("0x")
            .to_owned()
    };
    let kernel = name.strip_prefix("/dev/").unwrap_or(name);
    same(&disk.serial)
        || disk.id.0 == name
        || disk
            .wwn
            .as_deref()
            .is_some_and(|wwn| digits(wwn) == digits(name))
        || disk.bay.as_ref().is_some_and(|bay| bay_name(bay) == name)
        || disk.paths.iter().any(|path| path.kernel_name == kernel)
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;
    use firmware::fixture::Machine;
    use system::Live;

    use super::*;

    fn switch_by(inventory: &Inventory, root: &Utf8Path, name: &str, light: Light) -> String {
        let options = arguments::Locate {
            disk: name.into(),
            light,
        };
        match switch(&Live, root, inventory, &options) {
            Ok(said) => said,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_name_of_a_disk_lights_its_bay() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        Machine::named("storage").unwrap().write(&root).unwrap();
        let inventory = firmware::probe::inventory(&root, None);
        let disk = inventory
            .disks
            .iter()
            .find(|disk| {
                disk.bay
                    .as_ref()
                    .is_some_and(|bay| bay_name(bay) == "front:3")
            })
            .unwrap();
        let files = probe::locate_files(&root, disk);
        assert!(files.len() >= 2, "one per path: {files:?}");
        let wwn = disk.wwn.clone().unwrap();
        let serial = disk.serial.clone().unwrap();
        let kernel = disk.paths[1].kernel_name.clone();
        let device = format!("/dev/{kernel}");
        for name in [
            "front:3",
            &wwn,
            wwn.trim_start_matches("0x"),
            &serial,
            &kernel,
            &device,
        ] {
            for (light, value, word) in [(Light::On, "1", "on"), (Light::Off, "0", "off")] {
                // A fixture's file keeps what is appended; the kernel's does not.
                for file in &files {
                    std::fs::write(file, "").unwrap();
                }
                assert_eq!(
                    switch_by(&inventory, &root, name, light),
                    format!("locate light {word}: HUH728080AL5204, serial {serial}, in front:3")
                );
                for file in &files {
                    assert_eq!(std::fs::read_to_string(file).unwrap(), value, "{file}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_lit_is_said() {
        let inventory = Machine::named("control").unwrap().inventory().unwrap();
        let root = Utf8Path::new("/nowhere");
        let serial = inventory.disks[0].serial.clone().unwrap();
        assert!(
            switch_by(&inventory, root, &serial, Light::On)
                .starts_with("no enclosure has a light for INTEL SSDSC2BB240G4, serial ")
        );
        assert!(
            switch_by(&inventory, root, "front:99", Light::On)
                .starts_with("no disk is called `front:99`\nhint: ")
        );
        let mut twins = inventory.clone();
        for disk in &mut twins.disks {
            disk.serial = Some("123".into());
        }
        assert!(switch_by(&twins, root, "123", Light::On).contains("disks are called `123`: wwn-"));
    }
}
