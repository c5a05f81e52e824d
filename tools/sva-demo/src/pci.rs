// SPDX-License-Identifier: GPL-2.0

//! What a PCI function is: from the files that the kernel has of it.

use crate::Result;
use std::{fs, path::Path};

/// Capabilities that sharing of address spaces takes: where each has its bit for "enabled".
const CAPABILITIES: [(&str, u16, usize, u8); 3] = [
    ("ATS", 0x0f, 7, 0x80),
    ("PRI", 0x13, 4, 0x01),
    ("PASID", 0x1b, 6, 0x01),
];

/// Name, IDs, IOMMU group and capabilities of the function that the device file `path` is named
/// after; `None` if it is no PCI function's.
pub fn describe(path: &Path) -> Result<Option<String>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Some((_, address)) = name.split_once('-') else {
        return Ok(None);
    };
    let function = Path::new("/sys/bus/pci/devices").join(address);

    if !function.exists() {
        return Ok(None);
    }
    let config = fs::read(function.join("config"))?;
    let word = |at: usize| {
        config
            .get(at..at + 2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
    };
    let group = fs::read_link(function.join("iommu_group"))?;
    let group = group.file_name().unwrap_or_default().to_string_lossy();

    Ok(Some(format!(
        "PCI {address} [{:04x}:{:04x}] {}, group {group}",
        word(0).unwrap_or(0),
        word(2).unwrap_or(0),
        capabilities(&config)
    )))
}

/// The capabilities that there are, with + if they are enabled.
fn capabilities(config: &[u8]) -> String {
    let mut names = Vec::new();
    let mut at = 0x100;

    while let Some(header) = config.get(at..at + 4) {
        let header = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);

        for (name, id, control, bit) in CAPABILITIES {
            if header & 0xffff == id.into() {
                let enabled = config.get(at + control).is_some_and(|b| b & bit != 0);

                names.push(format!("{name}{}", if enabled { '+' } else { '-' }));
            }
        }
        // The next is always further on.
        match (header >> 20) as usize {
            next if next > at => at = next,
            _ => break,
        }
    }
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(words: &[(usize, u32)]) -> Vec<u8> {
        let mut config = vec![0; 0x200];

        for &(at, word) in words {
            config[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        config
    }

    #[test]
    fn capabilities_of_a_function() {
        let all = config(&[
            (0x100, 0x1201_000f),
            (0x104, 0x8000_0000),
            (0x120, 0x1401_0013),
            (0x140, 0x0001_001b),
            (0x144, 0x0001_0000),
        ]);

        assert_eq!(capabilities(&all), "ATS+ PRI- PASID+");
    }

    #[test]
    fn no_capabilities() {
        assert_eq!(capabilities(&config(&[])), "");
        assert_eq!(capabilities(&[0; 64]), "");
        // A list that goes in circles ends.
        assert_eq!(capabilities(&config(&[(0x100, 0x1001_000f)])), "ATS-");
    }

    #[test]
    fn no_pci_function() {
        assert!(describe(Path::new("/dev/mock_accel0")).unwrap().is_none());
        assert!(describe(Path::new("/dev/mock_accel-ffffff"))
            .unwrap()
            .is_none());
    }
}
