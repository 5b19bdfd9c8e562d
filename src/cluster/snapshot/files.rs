//! What `--snapshot` names → files and their text: directories walked, gzip and zstd unpacked. What is compressed or
//! encoded in another way is named, not guessed at.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::documents::Fault;

/// The most that one file may hold, unpacked: some 300,000 pods. An endless pipe or a zip bomb ends here.
const LARGEST: u64 = 1 << 30;

/// The files under a directory, in byte order of their paths: hidden ones left out, links followed, none twice.
pub(super) fn walk(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut files, mut seen) = (Vec::new(), BTreeSet::new());
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        if !seen.insert(directory.canonicalize()?) {
            continue;
        }
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            match fs::metadata(&path)? {
                about if about.is_dir() => directories.push(path),
                about if about.is_file() => files.push(path),
                // A pipe that a walk finds may have no writer.
                _ => {}
            }
        }
    }
    files.sort_unstable_by(|a, b| {
        a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes())
    });
    Ok(files)
}

/// A file's text, unpacked.
pub(super) fn text(path: &Path) -> Result<String, Fault> {
    let failed = |error: io::Error| Fault::Broken(error.to_string());
    let about = fs::metadata(path).map_err(failed)?;
    if is_device(&about) {
        return Err(Fault::Foreign("is a device, and no snapshot".to_owned()));
    }
    let file = File::open(path).map_err(failed)?;
    let bytes = match read(file, about.len()) {
        Ok(bytes) => bytes?,
        Err(error) => return Err(failed(error)),
    };
    let bytes = unpack(bytes)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let why = format!("is no UTF-8 text at byte {at}");
        match memchr::memmem::find(error.as_bytes(), b"apiVersion") {
            Some(_) => Fault::Broken(why),
            None => Fault::Foreign(why),
        }
    })
}

/// Reads to the end, which must come; `size` is what to expect. Of what is no snapshot only the beginning.
fn read(source: impl Read, size: u64) -> io::Result<Result<Vec<u8>, Fault>> {
    let room = usize::try_from(size.min(LARGEST)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(room + 1);
    let mut source = source.take(LARGEST + 1);
    source.by_ref().take(64 << 10).read_to_end(&mut bytes)?;
    if let Some(what) = foreign(&bytes) {
        return Ok(Err(Fault::Foreign(what.to_owned())));
    }
    source.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        let why = "holds more than 1 GiB: give it in parts, such as a file for each kind";
        return Ok(Err(Fault::Broken(why.to_owned())));
    }
    Ok(Ok(bytes))
}

fn unpack(bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
    const GZIP: &[u8] = b"\x1f\x8b";
    const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
    let unpacked = if bytes.starts_with(GZIP) {
        read(flate2::read::MultiGzDecoder::new(bytes.as_slice()), 0)
    } else if bytes.starts_with(ZSTD) {
        zstd::stream::read::Decoder::new(bytes.as_slice()).and_then(|source| read(source, 0))
    } else {
        return Ok(bytes);
    };
    unpacked.unwrap_or_else(|error| {
        Err(Fault::Broken(match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "is compressed and ends too early: is the file cut?".to_owned()
            }
            _ => format!("is compressed and cannot be unpacked: {error}"),
        }))
    })
}

/// What a file is that begins so, if somebody took it for a snapshot: none that begins like one.
fn foreign(head: &[u8]) -> Option<&'static str> {
    const UTF_16: &str =
        "is UTF-16, as PowerShell's `>` writes it: write it with `| Out-File -Encoding utf8`";
    const TABLE: &str = "is kubectl's table: add `-o json`";
    const ERROR: &str = "is kubectl's error message, and no snapshot";
    const KNOWN: [(&[u8], &str); 15] = [
        (b"\xfd7zXZ\0", "is compressed with xz: unpack it first"),
        (b"BZh", "is compressed with bzip2: unpack it first"),
        (b"PK\x03\x04", "is a zip archive: unpack it first"),
        (b"\xff\xfe", UTF_16),
        (b"\xfe\xff", UTF_16),
        (b"{\0", UTF_16),
        (b"\0{", UTF_16),
        (b"a\0p\0i\0", UTF_16),
        (b"NAME ", TABLE),
        (b"NAMESPACE ", TABLE),
        (b"error: ", ERROR),
        (b"Error from server", ERROR),
        (b"The connection to", ERROR),
        (b"Unable to connect", ERROR),
        (b"No resources found", "says that kubectl found nothing"),
    ];
    let has = |word: &str| memchr::memmem::find(head, word.as_bytes()).is_some();
    let known = KNOWN.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what);
    let is_log = || has(" IN ") && (has(" udp ") || has(" tcp ")) && !has("apiVersion");
    known.or_else(|| {
        is_log().then_some("is a CoreDNS log: give it as an input, not with --snapshot")
    })
}

#[cfg(unix)]
fn is_device(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let kind = about.file_type();
    kind.is_char_device() || kind.is_block_device()
}

#[cfg(not(unix))]
fn is_device(_: &fs::Metadata) -> bool {
    false
}
