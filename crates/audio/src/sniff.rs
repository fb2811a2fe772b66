//! What the first bytes of a stream tell about it.

/// A kind of stream that can be told by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Wav,
    Flac,
    Ogg,
    Webm,
    Mpeg,
}

/// What could be told so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sniffed {
    /// A kind, and how many bytes to drop before its first.
    Found(Kind, usize),
    /// More bytes are needed.
    More,
    /// A tag at the front: drop this many bytes, of which not all may have come, and look again.
    Drop(u64),
    /// None of the kinds, for this reason.
    Unknown(&'static str),
}

/// How far MPEG audio that was declared as such may begin after the front.
const MPEG_SEARCH: usize = 64 * 1024;

/// Looks at the front of a stream. `mpeg`: it was declared to be MPEG audio, so that a first frame
/// is searched for and not only expected at the front. `end`: no more bytes will come.
pub(crate) fn sniff(bytes: &[u8], mpeg: bool, end: bool) -> Sniffed {
    const ID3_HEADER: usize = 10;
    if bytes.len() < 4 {
        return if end { Sniffed::Unknown("too few bytes to be audio") } else { Sniffed::More };
    }
    match &bytes[..4] {
        b"RIFF" | b"RIFX" | b"RF64" | b"BW64" => {
            return match bytes.get(8..12) {
                Some(b"WAVE") => Sniffed::Found(Kind::Wav, 0),
                Some(_) => Sniffed::Unknown("a RIFF file, but not of sound"),
                None if end => Sniffed::Unknown("too few bytes to be audio"),
                None => Sniffed::More,
            };
        }
        b"fLaC" => return Sniffed::Found(Kind::Flac, 0),
        b"OggS" => return ogg(bytes, end),
        [0x1a, 0x45, 0xdf, 0xa3] => return Sniffed::Found(Kind::Webm, 0),
        _ => {}
    }
    if bytes.starts_with(b"ID3") {
        return match bytes.get(..ID3_HEADER) {
            Some(header) => Sniffed::Drop(id3_length(header)),
            None if end => Sniffed::Unknown("nothing but the start of a tag"),
            None => Sniffed::More,
        };
    }
    let search = if mpeg { MPEG_SEARCH } else { 1 };
    for at in 0..bytes.len().min(search) {
        match mpeg_frames(&bytes[at..], end) {
            Some(true) => return Sniffed::Found(Kind::Mpeg, at),
            Some(false) => {}
            None => return Sniffed::More,
        }
    }
    if mpeg && bytes.len() < MPEG_SEARCH && !end {
        return Sniffed::More;
    }
    Sniffed::Unknown("no audio format that can be told by its content")
}

/// Ogg, unless its first stream is video (REC-L11).
fn ogg(bytes: &[u8], end: bool) -> Sniffed {
    const PAGE_HEADER: usize = 27;
    let packet = bytes.get(26).and_then(|&n| bytes.get(PAGE_HEADER + usize::from(n)..));
    match packet {
        Some(packet) if packet.len() >= 8 => {
            let video: [&[u8]; 4] = [b"\x80theora", b"BBCD\0", b"OVP80", b"\x01video"];
            if video.iter().any(|magic| packet.starts_with(magic)) {
                Sniffed::Unknown("video is not accepted")
            } else {
                Sniffed::Found(Kind::Ogg, 0)
            }
        }
        _ if end => Sniffed::Unknown("the data end too early"),
        _ => Sniffed::More,
    }
}

/// Length of an ID3v2 tag with its header, and its footer if it has one.
fn id3_length(header: &[u8]) -> u64 {
    let size = header[6..10].iter().fold(0u64, |size, &b| size << 7 | u64::from(b & 0x7f));
    let footer = if header[5] & 0x10 != 0 { 10 } else { 0 };
    10 + size + footer
}

/// Whether MPEG audio frames begin here: two frames of the same kind in a row and, when more
/// bytes are there, the header of a third. `None`: more bytes are needed to tell. At the end of
/// the stream one whole frame is enough.
fn mpeg_frames(bytes: &[u8], end: bool) -> Option<bool> {
    let header = |at: usize| bytes.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    let undecided = |so_far: bool| if end { Some(so_far) } else { None };
    if bytes[0] != 0xff {
        return Some(false);
    }
    let Some(first) = header(0) else { return undecided(false) };
    let Some(length) = mpeg_frame_length(first) else { return Some(false) };
    let mut at = length;
    for _ in 0..2 {
        let Some(next) = header(at) else { return undecided(bytes.len() >= length) };
        // Version, layer and sampling rate stay the same within a stream.
        match mpeg_frame_length(next) {
            Some(length) if (first ^ next) & 0xfffe_0c00 == 0 => at += length,
            _ => return Some(false),
        }
    }
    Some(true)
}

/// Length in bytes of the MPEG audio frame with this header (ISO 11172-3 2.4.2.3), if it is one.
fn mpeg_frame_length(header: u32) -> Option<usize> {
    const KBITS_V1: [[u32; 14]; 3] = [
        [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
        [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
        [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    ];
    const KBITS_V2: [[u32; 14]; 2] = [
        [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
        [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    ];
    if header >> 21 != 0x7ff {
        return None;
    }
    let version = header >> 19 & 3; // 0: 2.5, 1: reserved, 2: 2, 3: 1
    let layer = 4 - (header >> 17 & 3); // 4: reserved
    let rate = [44_100, 48_000, 32_000].get((header >> 10 & 3) as usize)?;
    let bitrate = (header >> 12 & 15).checked_sub(1)? as usize;
    let padding = header >> 9 & 1;
    if version == 1 || layer == 4 || header & 3 == 2 {
        return None;
    }
    let (table, rate) = match version {
        3 => (&KBITS_V1[layer as usize - 1], *rate),
        _ => (&KBITS_V2[usize::from(layer != 1)], if version == 2 { rate / 2 } else { rate / 4 }),
    };
    let bits = table.get(bitrate)? * 1000;
    Some(match (layer, version) {
        (1, _) => (12 * bits / rate + padding) * 4,
        (3, 0 | 2) => 72 * bits / rate + padding,
        _ => 144 * bits / rate + padding,
    } as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A silent MPEG-1 layer III frame of 128 kbit/s, 44.1 kHz.
    fn frame() -> Vec<u8> {
        let mut frame = vec![0xff, 0xfb, 0x90, 0xc4];
        frame.resize(417, 0);
        frame
    }

    #[test]
    fn magic_numbers() {
        assert_eq!(sniff(b"RIFF....WAVEfmt ", false, false), Sniffed::Found(Kind::Wav, 0));
        assert_eq!(sniff(b"RIFX....WAVE", false, false), Sniffed::Found(Kind::Wav, 0));
        assert_eq!(sniff(b"fLaC", false, false), Sniffed::Found(Kind::Flac, 0));
        assert_eq!(sniff(&[0x1a, 0x45, 0xdf, 0xa3], false, false), Sniffed::Found(Kind::Webm, 0));
        assert_eq!(sniff(b"RIFF....AVI LIST", false, false), Sniffed::Unknown("a RIFF file, but not of sound"));
        assert_eq!(sniff(b"RIFF...", false, false), Sniffed::More);
        assert!(matches!(sniff(b"RIF", false, true), Sniffed::Unknown(_)));
        assert!(matches!(sniff(b"\0\0\0\x20ftypisom", false, false), Sniffed::Unknown(_)));
    }

    #[test]
    fn rec_l11_ogg_video_is_refused() {
        let mut page = b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\x02\x03\x04\x01\x2a".to_vec();
        page.extend(b"\x80theora\x03\x02\x01");
        assert_eq!(sniff(&page, false, false), Sniffed::Unknown("video is not accepted"));
        page.truncate(30);
        assert_eq!(sniff(&page, false, false), Sniffed::More);
        page.truncate(28);
        page.extend(b"OpusHead\x01\x01");
        assert_eq!(sniff(&page, false, false), Sniffed::Found(Kind::Ogg, 0));
    }

    #[test]
    fn mpeg_needs_frames_in_a_row() {
        let frames = [frame(), frame(), frame()].concat();
        assert_eq!(sniff(&frames, false, false), Sniffed::Found(Kind::Mpeg, 0));
        assert_eq!(sniff(&frames[..500], false, false), Sniffed::More);
        assert_eq!(sniff(&frames[..500], false, true), Sniffed::Found(Kind::Mpeg, 0));
        assert!(matches!(sniff(&frames[..300], false, true), Sniffed::Unknown(_)));
        let late = [&[0xff, 0xfb, 0x90, 0xc4, 1, 2, 3][..], &frames].concat();
        assert!(matches!(sniff(&late, false, false), Sniffed::Unknown(_)));
        assert_eq!(sniff(&late, true, false), Sniffed::Found(Kind::Mpeg, 7));
        let noise = vec![0xff; 70_000];
        assert!(matches!(sniff(&noise, true, false), Sniffed::Unknown(_)));
    }

    #[test]
    fn id3_tags_are_dropped() {
        assert_eq!(sniff(b"ID3\x04\0\x10\0\0\x02\x01", true, false), Sniffed::Drop(10 + 257 + 10));
        assert_eq!(sniff(b"ID3\x04", true, false), Sniffed::More);
    }

    #[test]
    fn frame_lengths() {
        assert_eq!(mpeg_frame_length(0xfffb_90c4), Some(417)); // MPEG-1 III 128k 44.1k
        assert_eq!(mpeg_frame_length(0xfffb_92c4), Some(418)); // the same, padded
        assert_eq!(mpeg_frame_length(0xfff3_40c4), Some(104)); // MPEG-2 III 32k 22.05k
        assert_eq!(mpeg_frame_length(0xffe3_18c4), Some(72)); // MPEG-2.5 III 8k 8k
        assert_eq!(mpeg_frame_length(0xfffd_70c4), Some(365)); // MPEG-1 II 112k 44.1k
        assert_eq!(mpeg_frame_length(0xfff1_4c80), None); // AAC (ADTS)
    }
}
