//! A sample photo: a small landscape, drawn and stored as an uncompressed PNG.

const WIDTH: u32 = 320;
const HEIGHT: u32 = 200;

/// The picture of a seed; the same seed draws the same.
pub(crate) fn sample(seed: u64) -> Vec<u8> {
    let mut rows = Vec::new();
    for y in 0..HEIGHT {
        rows.push(0); // filter: none
        for x in 0..WIDTH {
            rows.extend(pixel(x, y, seed));
        }
    }
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::new();
    header.extend(WIDTH.to_be_bytes());
    header.extend(HEIGHT.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]); // 8 bits, RGB
    chunk(&mut file, *b"IHDR", &header);
    chunk(&mut file, *b"IDAT", &stored(&rows));
    chunk(&mut file, *b"IEND", &[]);
    file
}

/// Sky, a sun, and two lines of hills.
fn pixel(x: u32, y: u32, seed: u64) -> [u8; 3] {
    // Ids end in a sequence that is mostly 0; the milliseconds above it differ.
    let mood = u32::try_from((seed >> 22 ^ seed) % 64).unwrap_or(0);
    let channel = |value: u32| u8::try_from(value.min(255)).unwrap_or(u8::MAX);
    let sun = (60 + mood * 3, 52);
    if x.abs_diff(sun.0).pow(2) + y.abs_diff(sun.1).pow(2) < 26 * 26 {
        return [255, 226, 138];
    }
    let wave = |length: u32, height: u32, shift: u32| {
        let at = (x + shift) % length;
        at.min(length - at) * height * 2 / length
    };
    if y + wave(220, 44, mood * 5) > 180 {
        return [channel(38 + mood / 2), 94, 84];
    }
    if y + wave(150, 40, 40 + mood * 7) > 152 {
        return [channel(74 + mood / 2), 130, 128];
    }
    [
        channel(120 + y / 2 + mood),
        channel(170 + y / 4),
        channel(230 - y / 4),
    ]
}

/// zlib with stored blocks.
fn stored(data: &[u8]) -> Vec<u8> {
    let mut zlib = vec![0x78, 0x01];
    let mut blocks = data.chunks(0xFFFF).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        zlib.push(u8::from(blocks.peek().is_none()));
        zlib.extend(length.to_le_bytes());
        zlib.extend((!length).to_le_bytes());
        zlib.extend(block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    zlib.extend((b << 16 | a).to_be_bytes());
    zlib
}

fn chunk(file: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    file.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    let start = file.len();
    file.extend(kind);
    file.extend(data);
    let crc = crc32(&file[start..]);
    file.extend(crc.to_be_bytes());
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b"IEND"), 0xAE42_6082);
    }

    #[test]
    fn a_seed_draws_one_picture() {
        assert_eq!(sample(5), sample(5));
        assert_ne!(sample(5), sample(6));
    }
}
