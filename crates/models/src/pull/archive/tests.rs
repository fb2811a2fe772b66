use std::io::Write;

use proptest::prelude::*;
use tar::{Builder, EntryType, Header};
use zip::write::SimpleFileOptions;

use super::*;

fn header(name: &str, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    // As hostile archives write it: without the checks of the library.
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    header
}

fn tar_of(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, content) in entries {
        builder.append(&header(name, *kind, content.len() as u64), *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn bzip2_of(content: &[u8]) -> Vec<u8> {
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

fn gzip_of(content: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

/// What is there after unpacking, by relative path; an error is its text.
fn unpacked(archive: &[u8], bounds: &Bounds) -> Result<Vec<(String, Vec<u8>)>, String> {
    let place = tempfile::tempdir().unwrap();
    let (file, into) = (place.path().join("archive"), place.path().join("into"));
    std::fs::write(&file, archive).unwrap();
    std::fs::create_dir(&into).unwrap();
    let outcome = unpack(&file, &into, bounds);
    let beside: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside.len(), 2, "something was written outside: {beside:?}");
    outcome.map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    let mut folders = vec![into.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(&into).unwrap().to_str().unwrap().to_owned();
                    found.push((name, std::fs::read(&path).unwrap()));
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

const GOOD: [(&str, EntryType, &[u8]); 5] = [
    ("m/", EntryType::Directory, b""),
    ("./m/tokens.txt", EntryType::Regular, b"<blk> 0\n"),
    ("m/model.int8.onnx", EntryType::Regular, b"network"),
    ("m/test_wavs/0.wav", EntryType::Regular, b"RIFF"),
    ("m/._tokens.txt", EntryType::Regular, b"apple"),
];

fn good() -> Vec<(String, Vec<u8>)> {
    vec![("m/model.int8.onnx".to_owned(), b"network".to_vec()), ("m/tokens.txt".to_owned(), b"<blk> 0\n".to_vec())]
}

#[test]
fn every_packing_is_unpacked_without_trial_recordings() {
    let plain = tar_of(&GOOD);
    for archive in [plain.clone(), bzip2_of(&plain), gzip_of(&plain)] {
        assert_eq!(unpacked(&archive, &Bounds::default()).unwrap(), good());
    }
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, _, content) in GOOD.iter().filter(|(_, kind, _)| *kind == EntryType::Regular) {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    assert_eq!(unpacked(&zip.finish().unwrap().into_inner(), &Bounds::default()).unwrap(), good());
}

#[test]
fn long_names_of_both_kinds_are_read() {
    let folder = "a".repeat(120);
    let name = format!("{folder}/tokens.txt");
    let gnu = [(name.as_str(), EntryType::GNULongName, name.as_bytes()), ("cut", EntryType::Regular, b"x".as_slice())];
    let gnu: Vec<_> = gnu.iter().map(|(_, kind, content)| ("cut", *kind, *content)).collect();
    // The decimal length counts itself.
    let record = format!("path={name}\n");
    let record = format!("{} {record}", record.len() + 4);
    let pax = [("pax", EntryType::XHeader, record.as_bytes()), ("cut", EntryType::Regular, b"x".as_slice())];
    for archive in [tar_of(&gnu), tar_of(&pax)] {
        assert_eq!(unpacked(&archive, &Bounds::default()).unwrap(), [(name.clone(), b"x".to_vec())]);
    }
}

#[test]
fn hostile_entries_spoil_the_whole_archive() {
    let escape = b"../../etc/passwd".as_slice();
    let cases: [(&str, EntryType, &[u8], &str); 14] = [
        ("/etc/passwd", EntryType::Regular, b"x", "no path below"),
        ("../outside", EntryType::Regular, b"x", "no path below"),
        ("m/../../outside", EntryType::Regular, b"x", "no path below"),
        ("m\\..\\outside", EntryType::Regular, b"x", "no path below"),
        ("C:outside", EntryType::Regular, b"x", "no path below"),
        ("m/new\nline", EntryType::Regular, b"x", "no path below"),
        ("1/2/3/4/5/6/7/8/9", EntryType::Regular, b"x", "no path below"),
        ("../folder/", EntryType::Directory, b"", "no path below"),
        ("m/link", EntryType::Symlink, b"", "a link"),
        ("m/link", EntryType::Link, b"", "a link"),
        ("m/disk", EntryType::Block, b"", "a device"),
        ("m/pipe", EntryType::Fifo, b"", "a device"),
        ("m/holes", EntryType::GNUSparse, b"", "neither"),
        ("long", EntryType::GNULongName, escape, "no path below"),
    ];
    for (name, kind, content, problem) in cases {
        let mut entries = vec![("m/tokens.txt", EntryType::Regular, b"x".as_slice()), (name, kind, content)];
        entries.push(("m/model.onnx", EntryType::Regular, b"y"));
        let error = unpacked(&tar_of(&entries), &Bounds::default()).unwrap_err();
        assert!(error.contains(problem), "{name}: {error}");
    }
    let twice = [("a", EntryType::Regular, b"x".as_slice()), ("./a", EntryType::Regular, b"y".as_slice())];
    assert!(unpacked(&tar_of(&twice), &Bounds::default()).unwrap_err().contains("twice"));
}

#[test]
fn hostile_entries_of_zip_too() {
    let with = |name: &str, mode: Option<u32>| {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        match mode {
            Some(_) => zip.add_symlink(name, "/etc/passwd", SimpleFileOptions::default()).unwrap(),
            None => zip.start_file(name, SimpleFileOptions::default()).unwrap(),
        }
        if mode.is_none() {
            zip.write_all(b"x").unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    assert!(unpacked(&with("../outside", None), &Bounds::default()).unwrap_err().contains("no path below"));
    assert!(unpacked(&with("/outside", None), &Bounds::default()).unwrap_err().contains("no path below"));
    assert!(unpacked(&with("link", Some(0)), &Bounds::default()).unwrap_err().contains("a link"));
}

#[test]
fn bombs_are_stopped_by_what_they_expand_to() {
    let bounds = Bounds { entries: 3, bytes: 1 << 20 };
    let zeros = vec![0; 4 << 20];
    let bomb = tar_of(&[("m/tokens.txt", EntryType::Regular, &zeros)]);
    assert!(unpacked(&bzip2_of(&bomb), &bounds).unwrap_err().contains("expands to more"));
    // Nothing but zeros has no end of its own.
    assert!(unpacked(&gzip_of(&zeros), &bounds).is_err());
    let many: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| (*name, EntryType::Regular, b"x".as_slice())).collect();
    assert!(unpacked(&tar_of(&many), &bounds).unwrap_err().contains("more than 3 entries"));
    // An announced length of petabytes is not believed, nor is a name of gigabytes read.
    let mut told = header("m/a", EntryType::Regular, 7 << 30).as_bytes().to_vec();
    told.extend([0; 512]);
    assert!(unpacked(&told, &bounds).unwrap_err().contains("expands to more"));
    let mut named = header("m/a", EntryType::GNULongName, 7 << 30).as_bytes().to_vec();
    named.extend([b'a'; 512]);
    assert!(unpacked(&named, &bounds).unwrap_err().contains("a name in it"));
}

#[test]
fn what_is_no_archive_is_called_so() {
    for (content, problem) in [
        (b"<!doctype html><html>".as_slice(), "page of text"),
        (b"\xfd7zXZ\0rest", "xz"),
        (b"", "no file in it"),
        (b"PK\x03\x04broken", "damaged"),
        (b"BZh9broken", "damaged"),
        (b"\x1f\x8bbroken", "damaged"),
    ] {
        let error = unpacked(content, &Bounds::default()).unwrap_err();
        assert!(error.contains(problem), "{content:?}: {error}");
    }
    let cut = bzip2_of(&tar_of(&GOOD));
    assert!(unpacked(&cut[..cut.len() / 2], &Bounds::default()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is flipped in an archive, nothing is written outside, and nothing panics.
    #[test]
    fn flipped_bits_do_no_harm(flips in prop::collection::vec((0_usize..3000, any::<u8>()), 1..6)) {
        let mut archive = tar_of(&GOOD);
        for (at, byte) in flips {
            if let Some(place) = archive.get_mut(at) {
                *place ^= byte;
            }
        }
        let _ = unpacked(&archive, &Bounds { entries: 20, bytes: 1 << 16 });
    }
}
