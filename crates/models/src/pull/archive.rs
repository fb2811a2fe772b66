//! Unpacking archives from strangers: regular files and folders with plain names, and no more of them than are expected.
//!
//! An archive with anything else is refused as a whole: an absolute path, `..`, a link, a device, a name twice. Headers
//! of tar are read in their raw form, so that a name of gigabytes is not read into memory on its own word.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tar::EntryType;

use super::error::PullError;

/// Most that an archive may unpack to.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Files and folders.
    pub entries: usize,
    /// Bytes of all files together, and of all that a compressed archive expands to.
    pub bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { entries: 10_000, bytes: 32 << 30 }
    }
}

/// Longest name of an entry, and longest block of extended headers, bytes.
const LONGEST_NAME: u64 = 4096;
const LONGEST_HEADERS: u64 = 1 << 16;
/// Deepest folder.
const DEEPEST: usize = 8;

/// Unpacks `archive` (tar, with gzip or bzip2 or without, or zip: its first bytes tell) into the empty directory `into`.
pub fn unpack(archive: &Path, into: &Path, bounds: &Bounds) -> Result<(), PullError> {
    let mut file = File::open(archive).map_err(PullError::file("read", archive))?;
    let mut magic = [0; 6];
    let count = fill(&mut file, &mut magic).map_err(PullError::file("read", archive))?;
    file.seek(SeekFrom::Start(0)).map_err(PullError::file("read", archive))?;
    let mut out = Out { into, entries: 0, bytes: 0, bounds };
    let plain = BufReader::with_capacity(1 << 16, file);
    let kind = &magic[..count];
    if kind.starts_with(b"PK\x03\x04") {
        unzip(plain, &mut out)
    } else if kind.starts_with(b"BZh") {
        untar(bounded(bzip2::read::MultiBzDecoder::new(plain), bounds), &mut out)
    } else if kind.starts_with(&[0x1f, 0x8b]) {
        untar(bounded(flate2::read::MultiGzDecoder::new(plain), bounds), &mut out)
    } else if kind.starts_with(&[0xfd, b'7', b'z', b'X', b'Z']) || kind.starts_with(b"7z\xbc\xaf") {
        Err(bad("it is packed with xz or 7z; tar.bz2, tar.gz, tar and zip are understood"))
    } else if kind.starts_with(b"<") || kind.starts_with(b"{") {
        Err(bad("it is a page of text, not an archive: the URL may lead to a description of the file"))
    } else {
        untar(bounded(plain, bounds), &mut out)
    }
}

fn bad(problem: impl Into<String>) -> PullError {
    PullError::Archive { problem: problem.into() }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match file.read(&mut buffer[count..])? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}

/// A reader that fails where the expanded archive becomes larger than it may.
struct Bounded<R> {
    inner: R,
    left: u64,
}

/// With room for the headers of all entries.
fn bounded<R: Read>(inner: R, bounds: &Bounds) -> Bounded<R> {
    Bounded { inner, left: bounds.bytes.saturating_add(4 * 512 * bounds.entries as u64) }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left =
            self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other("it expands to more than it may"))?;
        Ok(count)
    }
}

fn untar<R: Read>(reader: R, out: &mut Out) -> Result<(), PullError> {
    let broken = |error: io::Error| bad(format!("it is damaged or no archive ({error})"));
    let mut archive = tar::Archive::new(reader);
    let mut long_name: Option<Vec<u8>> = None;
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        let size = entry.size();
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName | EntryType::XHeader => {
                let most = if kind == EntryType::XHeader { LONGEST_HEADERS } else { LONGEST_NAME };
                if size > most {
                    return Err(bad(format!("a name in it has {size} bytes")));
                }
                let mut content = Vec::new();
                entry.by_ref().take(most).read_to_end(&mut content).map_err(broken)?;
                let told = match kind {
                    EntryType::XHeader => path_of_headers(&content)?,
                    _ => Some(content.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()),
                };
                long_name = told.or(long_name);
            }
            EntryType::XGlobalHeader if size <= LONGEST_HEADERS => {}
            EntryType::Regular | EntryType::Continuous | EntryType::Directory => {
                let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                let name = String::from_utf8(name).map_err(|_| bad("a name in it is no UTF-8"))?;
                match kind {
                    EntryType::Directory => out.folder(&name)?,
                    // Old archives know folders by their name alone.
                    _ if name.ends_with('/') => out.folder(&name)?,
                    _ => out.file(&name, size, &mut entry)?,
                }
            }
            other => {
                let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                let what = match other {
                    EntryType::Symlink | EntryType::Link => "a link",
                    EntryType::Char | EntryType::Block | EntryType::Fifo => "a device",
                    _ => "neither a file nor a folder",
                };
                return Err(bad(format!("{:?} in it is {what}", String::from_utf8_lossy(&name))));
            }
        }
    }
    out.something()
}

/// The `path` of extended headers (POSIX.1, pax): lines of `LENGTH KEY=VALUE`.
fn path_of_headers(mut content: &[u8]) -> Result<Option<Vec<u8>>, PullError> {
    let odd = || bad("an extended header in it cannot be read");
    let mut path = None;
    while !content.is_empty() {
        let space = content.iter().position(|byte| *byte == b' ').ok_or_else(odd)?;
        let length: usize =
            std::str::from_utf8(&content[..space]).ok().and_then(|digits| digits.parse().ok()).ok_or_else(odd)?;
        let line = content.get(space + 1..length).and_then(|line| line.strip_suffix(b"\n")).ok_or_else(odd)?;
        let equals = line.iter().position(|byte| *byte == b'=').ok_or_else(odd)?;
        match &line[..equals] {
            b"path" => path = Some(line[equals + 1..].to_vec()),
            // A length that only an extended header knows is one of more than 8 GB.
            b"size" => return Err(bad("a file in it is larger than 8 GB")),
            _ => {}
        }
        content = &content[length..];
    }
    Ok(path)
}

fn unzip<R: Read + Seek>(reader: R, out: &mut Out) -> Result<(), PullError> {
    let broken = |error: zip::result::ZipError| bad(format!("it is damaged or no archive ({error})"));
    let mut archive = zip::ZipArchive::new(reader).map_err(broken)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(broken)?;
        let name = entry.name().map_err(broken)?.into_owned();
        // The type of Unix files, where the archive was made on such a system.
        let kind = entry.unix_mode().map_or(0, |mode| mode & 0o170_000);
        match kind {
            0 | 0o100_000 | 0o040_000 => {}
            0o120_000 => return Err(bad(format!("{name:?} in it is a link"))),
            _ => return Err(bad(format!("{name:?} in it is a device"))),
        }
        match entry.is_dir() {
            true => out.folder(&name)?,
            false => {
                let size = entry.size();
                out.file(&name, size, &mut entry)?;
            }
        }
    }
    out.something()
}

/// Where entries go, and how many have gone there.
struct Out<'a> {
    into: &'a Path,
    entries: usize,
    bytes: u64,
    bounds: &'a Bounds,
}

impl Out<'_> {
    fn folder(&mut self, name: &str) -> Result<(), PullError> {
        self.count(name)?;
        let path = self.place(name)?;
        std::fs::create_dir_all(&path).map_err(PullError::file("make", &path))
    }

    /// Writes a file of `size` bytes, as its header says; what comes has to be as long.
    fn file(&mut self, name: &str, size: u64, content: &mut dyn Read) -> Result<(), PullError> {
        self.count(name)?;
        if size > self.bounds.bytes - self.bytes {
            return Err(bad(format!("it expands to more than {} bytes", self.bounds.bytes)));
        }
        let path = self.place(name)?;
        if !is_wanted(&path) {
            return Ok(());
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(PullError::file("make", folder))?;
        }
        let mut file = match std::fs::OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(bad(format!("{name:?} is in it twice")));
            }
            Err(error) => return Err(PullError::file("write", &path)(error)),
        };
        // One byte more than announced is enough to know that it lied.
        let copied = copy(&mut content.take(size.saturating_add(1)), &mut file, name, &path)?;
        if copied != size {
            return Err(bad(format!("{name:?} in it is not as long as announced")));
        }
        self.bytes += copied;
        file.sync_all().map_err(PullError::file("write", &path))
    }

    fn count(&mut self, name: &str) -> Result<(), PullError> {
        self.entries += 1;
        match self.entries > self.bounds.entries {
            true => Err(bad(format!("there are more than {} entries in it, the last {name:?}", self.bounds.entries))),
            false => Ok(()),
        }
    }

    /// The path of an entry: plain names below the directory.
    fn place(&self, name: &str) -> Result<PathBuf, PullError> {
        let refuse = || bad(format!("{name:?} in it is no path below its folder"));
        let mut path = self.into.to_owned();
        let mut depth = 0;
        if name.starts_with('/') || name.len() as u64 > LONGEST_NAME {
            return Err(refuse());
        }
        for part in name.split('/').filter(|part| !part.is_empty() && *part != ".") {
            let odd =
                part == ".." || part.len() > 255 || part.contains(['\\', ':']) || part.chars().any(char::is_control);
            depth += 1;
            if odd || depth > DEEPEST {
                return Err(refuse());
            }
            path.push(part);
        }
        Ok(path)
    }

    /// An archive without a file is none: what is no archive at all often ends at once.
    fn something(&self) -> Result<(), PullError> {
        match self.bytes {
            0 => Err(bad("there is no file in it")),
            _ => Ok(()),
        }
    }
}

fn copy(content: &mut dyn Read, file: &mut File, name: &str, path: &Path) -> Result<u64, PullError> {
    let (mut copied, mut piece) = (0, vec![0; 1 << 16]);
    loop {
        let count = content.read(&mut piece).map_err(|error| bad(format!("{name:?} in it is damaged ({error})")))?;
        if count == 0 {
            return Ok(copied);
        }
        file.write_all(&piece[..count]).map_err(PullError::file("write", path))?;
        copied += count as u64;
    }
}

/// Recordings to try a model with, and what macOS adds to archives, are left out.
fn is_wanted(path: &Path) -> bool {
    let named = |name: &str| path.iter().any(|part| part == name);
    let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    !named("test_wavs") && !named("__MACOSX") && !file.starts_with("._") && file != ".DS_Store"
}

#[cfg(test)]
mod tests;
