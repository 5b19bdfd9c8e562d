//! What a file is, by its first bytes, never by its name.

/// How many first bytes decide.
pub(crate) const PEEK: usize = 4096;

/// The first line of a tally CSV.
const TALLY: &[u8] = b"client,name,answered,failed,outcomes,first_seen,last_seen,path,line";

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Lines, and be they of something else.
    Log,
    /// What `kico tally` writes.
    Tally,
    Gzip,
    Zstd,
    /// A Kubernetes object, as JSON or YAML.
    Kubernetes,
    /// Nothing that kico reads, and why, with what to do about it.
    Refused(&'static str),
}

/// Decides.
pub(crate) fn kind(head: &[u8]) -> Kind {
    if let Some(kind) = magic(head) {
        return kind;
    }
    tally(head).unwrap_or_else(|| match is_kubernetes(head) {
        true => Kind::Kubernetes,
        false => Kind::Log,
    })
}

/// Whether the first line is a tally's, as kico or whoever saved it again may have written it: with quotes around the cells,
/// or with another separator, which is not read.
fn tally(head: &[u8]) -> Option<Kind> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let line = text.split(|byte| matches!(byte, b'\n' | b'\r')).next()?;
    let bare = |cell: &[u8]| -> Vec<u8> {
        let cell = cell.trim_ascii();
        let inside = cell.strip_prefix(b"\"").and_then(|cell| cell.strip_suffix(b"\""));
        inside.unwrap_or(cell).to_vec()
    };
    let is_header = |separator: u8| {
        line.split(|byte| *byte == separator)
            .map(bare)
            .eq(TALLY.split(|byte| *byte == b',').map(bare))
    };
    if is_header(b',') {
        return Some(Kind::Tally);
    }
    (is_header(b';') || is_header(b'\t')).then_some(Kind::Refused(
        "a tally that was saved again without commas between its cells; save it as CSV with commas, or give the one that \
         kico wrote",
    ))
}

/// What the very first bytes alone say: sixteen are enough.
pub(crate) fn magic(head: &[u8]) -> Option<Kind> {
    Some(match head {
        [0x1f, 0x8b, 8, ..] => Kind::Gzip,
        // A frame, or one of the frames that hold no data and may come first.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Kind::Zstd,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            Kind::Refused("xz-compressed, which kico does not read; try: xz -dc FILE | kico ... -")
        }
        [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y', ..] => Kind::Refused(
            "bzip2-compressed, which kico does not read; try: bzip2 -dc FILE | kico ... -",
        ),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => {
            Kind::Refused("a zip archive, which kico does not read; unpack it first")
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Kind::Refused(
            "UTF-16 text, as PowerShell's > writes; convert it to UTF-8 first (iconv -f UTF-16 -t UTF-8)",
        ),
        _ => return None,
    })
}

/// Whether this begins as `kubectl get -o json` or `-o yaml` begins. A JSON log line does not: its first key is not
/// `apiVersion`, nor `kind` with an `apiVersion` to follow.
fn is_kubernetes(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text = head.trim_ascii_start();
    let text = text.strip_prefix(b"[").unwrap_or(text).trim_ascii_start();
    if let Some(object) = text.strip_prefix(b"{") {
        let object = object.trim_ascii_start();
        return object.starts_with(b"\"apiVersion\"")
            || (object.starts_with(b"\"kind\"")
                && memchr::memmem::find(object, b"\"apiVersion\"").is_some());
    }
    let first = head.split(|byte| *byte == b'\n').find(|line| {
        let line = line.trim_ascii();
        !(line.is_empty() || line.starts_with(b"#") || line.starts_with(b"---"))
    });
    first.is_some_and(|line| {
        let line = line.strip_prefix(b"- ").unwrap_or(line);
        line.starts_with(b"apiVersion:")
            || (line.starts_with(b"kind:") && memchr::memmem::find(head, b"apiVersion:").is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: impl AsRef<[u8]>, expected: Kind) {
        assert_eq!(kind(head.as_ref()), expected);
    }

    #[test]
    fn first_bytes_decide() {
        check("", Kind::Log);
        check("[INFO] 10.1.0.9:4000 - 7 \"A IN shop.example. udp 30 false 512\"", Kind::Log);
        check([0x1f, 0x8b, 8, 0], Kind::Gzip);
        check([0x28, 0xb5, 0x2f, 0xfd, 0], Kind::Zstd);
        check([0x52, 0x2a, 0x4d, 0x18, 4, 0, 0, 0], Kind::Zstd);
        check("client,name,answered,failed,outcomes,first_seen,last_seen,path,line\n", Kind::Tally);
        check(
            "client,name,answered,failed,outcomes,first_seen,last_seen,path,line\r\n",
            Kind::Tally,
        );
        check("client,name,answered,failed,outcomes,first_seen,last_seen,path,line", Kind::Tally);
        check("client,name,answered,failed,outcomes,first_seen,last_seen,path,lines\n", Kind::Log);
        check("client,name\n", Kind::Log);
        let header = "client,name,answered,failed,outcomes,first_seen,last_seen,path,line";
        let quoted = format!("\"{}\"", header.replace(',', "\",\""));
        check(format!("{quoted}\r\n"), Kind::Tally);
        for separator in [";", "\t"] {
            for header in [header, &quoted] {
                let kind = kind(header.replace(',', separator).as_bytes());
                assert!(matches!(kind, Kind::Refused(_)), "{separator:?} {header}");
            }
        }
        check(
            "\u{feff}client,name,answered,failed,outcomes,first_seen,last_seen,path,line\r\n",
            Kind::Tally,
        );
    }

    #[test]
    fn what_is_refused_is_named() {
        for (head, word) in [
            (&b"\xfd7zXZ\0\0"[..], "xz"),
            (b"BZh91AY&SY", "bzip2"),
            (b"PK\x03\x04\x14", "zip"),
            (b"\xff\xfe[\0", "UTF-16"),
            (b"\xfe\xff\0[", "UTF-16"),
        ] {
            match kind(head) {
                Kind::Refused(why) => assert!(why.contains(word), "{why}"),
                other => panic!("{head:?}: {other:?}"),
            }
        }
        check("BZh is how my log line begins", Kind::Log);
    }

    #[test]
    fn kubernetes_objects_are_known_and_json_logs_are_not() {
        for object in [
            "{\n    \"apiVersion\": \"v1\",\n    \"items\": [",
            "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[",
            "[{\"apiVersion\":\"v1\"}]",
            "apiVersion: v1\nitems:\n- apiVersion: v1\n",
            "# from the cluster\n---\napiVersion: v1\n",
            "\u{feff}kind: Pod\napiVersion: v1\n",
            "- apiVersion: v1\n  kind: Pod\n",
        ] {
            check(object, Kind::Kubernetes);
        }
        for line in [
            "{\"log\":\"[INFO] 10.1.0.9:4000 - 7\",\"stream\":\"stdout\"}\n",
            "{\"kind\":\"log\",\"msg\":\"[INFO]\"}\n",
            "{\"kubernetes\":{\"pod_name\":\"coredns-x\"},\"apiVersion\":1}\n",
            "kind: of a log\n",
            "# apiVersion: v1 in a comment\n[INFO] plugin/reload\n",
        ] {
            check(line, Kind::Log);
        }
    }
}
