//! A zip archive that is the same, byte for byte, whenever what is in it is the same: no times, no owners, names in
//! order, nothing compressed.

/// 1 January 1980, with which zip's time begins.
const DATE: u16 = 1 << 5 | 1;

/// An archive of files by their names, which are in order.
pub(super) fn zip<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let (mut archive, mut directory, mut count) = (Vec::new(), Vec::new(), 0_u16);
    for (name, bytes) in files {
        let offset = size(archive.len());
        let mut entry = Vec::new();
        // Version 2.0, no flags but that names are UTF-8, stored as it is.
        entry.extend([20_u16, 1 << 11, 0, 0, DATE].iter().flat_map(|number| number.to_le_bytes()));
        entry.extend(
            [checksum(bytes), size(bytes.len()), size(bytes.len())].iter().flat_map(|number| number.to_le_bytes()),
        );
        entry.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
        archive.extend(b"PK\x03\x04");
        archive.extend(&entry);
        archive.extend(0_u16.to_le_bytes());
        archive.extend(name.as_bytes());
        archive.extend(bytes);
        directory.extend(b"PK\x01\x02");
        // Made by Unix, so that the permissions below are read.
        directory.extend((3_u16 << 8 | 0x14).to_le_bytes());
        directory.extend(&entry);
        // No extra field, no comment, the first disk, no inner attributes.
        directory.extend([0_u8; 8]);
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
        count += 1;
    }
    let (start, length) = (size(archive.len()), size(directory.len()));
    archive.extend(directory);
    archive.extend(b"PK\x05\x06");
    archive.extend([0, 0, count, count].iter().flat_map(|number| number.to_le_bytes()));
    archive.extend([length, start].iter().flat_map(|number| number.to_le_bytes()));
    archive.extend(0_u16.to_le_bytes());
    archive
}

/// A template has 500 files of 16 MiB at most; an archive of 4 GiB is none that Python would read.
fn size(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// CRC-32 as zip has it.
fn checksum(bytes: &[u8]) -> u32 {
    let mut table = [0_u32; 256];
    for (index, entry) in (0_u32..).zip(table.iter_mut()) {
        *entry = (0..8).fold(index, |value, _| if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 });
    }
    let step = |sum: u32, byte: &u8| table[usize::from(sum.to_le_bytes()[0] ^ byte)] ^ (sum >> 8);
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_zip() {
        // The check value of CRC-32/ISO-HDLC in "Catalogue of parametrised CRC algorithms".
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
        assert_eq!(checksum(b""), 0);
    }

    #[test]
    fn an_archive_is_made_of_its_files_alone() {
        let files: [(&str, &[u8]); 2] = [("a/__init__.py", b""), ("b.py", b"x = 1\n")];
        assert_eq!(zip(files), zip(files));
        assert_ne!(zip(files), zip([files[0]]));
    }
}
