//! The header of a `.npy` file: a magic string, a version, and a Python dictionary as text.
//!
//! Nothing a file says is believed before it was checked against the file's length.
//! Source: NumPy's format specification, `numpy.lib.format`, versions 1.0 to 3.0.

use super::Trouble;
use crate::dtype::{DType, Kind};
use crate::shape::Shape;

const MAGIC: &[u8] = b"\x93NUMPY";
/// A header beyond this is not a header of an array; NumPy has a bound, too.
const HEADER_BYTES_MAX: usize = 1 << 20;
const ALIGNMENT: usize = 64;

/// What a file holds, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) shape: Shape,
    pub(super) dtype: DType,
    /// Whether the first index runs fastest.
    pub(super) fortran: bool,
    /// Whether bytes are in the other order than this machine's.
    pub(super) swapped: bool,
    /// Where the elements begin.
    pub(super) start: u64,
}

/// The number of bytes in front of a header's text, and of the text, from a file's first bytes.
pub(super) fn text_range(front: &[u8]) -> Result<(usize, usize), Trouble> {
    if !front.starts_with(MAGIC) {
        return Err(Trouble::malformed("this is not a .npy file: it does not begin with the magic string \\x93NUMPY"));
    }
    let short = || Trouble::malformed("the file ends within its header");
    let (prefix, length) = match front.get(6).ok_or_else(short)? {
        1 => {
            let bytes = front.get(8..10).ok_or_else(short)?;
            (10, usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
        }
        2 | 3 => {
            let bytes = front.get(8..12).ok_or_else(short)?;
            (12, u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
        }
        version => return Err(Trouble::malformed(format!("version {version} of the .npy format is not known"))),
    };
    if length > HEADER_BYTES_MAX {
        return Err(Trouble::malformed(format!("the header claims {length} bytes; no array's header is so long")));
    }
    Ok((prefix, length))
}

/// Reads a header's text, for a file of `file_bytes` whose elements begin at `start`.
pub(super) fn read(text: &str, start: u64, file_bytes: u64) -> Result<Layout, Trouble> {
    let mut reader = Reader { rest: text };
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    reader.expect('{')?;
    while !reader.takes('}') {
        let key = reader.string()?;
        reader.expect(':')?;
        match key.as_str() {
            "descr" => descr = Some(reader.descr()?),
            "fortran_order" => fortran = Some(reader.truth()?),
            "shape" => shape = Some(reader.lengths()?),
            _ => return Err(Trouble::malformed(format!("the header has an unknown entry '{key}'"))),
        }
        if !reader.takes(',') {
            reader.expect('}')?;
            break;
        }
    }
    let missing = |name| Trouble::malformed(format!("the header has no entry '{name}'"));
    let (dtype, swapped) = element_type(&descr.ok_or_else(|| missing("descr"))?)?;
    let fortran = fortran.ok_or_else(|| missing("fortran_order"))?;
    let shape = shape.ok_or_else(|| missing("shape"))?;
    let shape = Shape::new(&shape).map_err(|_| {
        let lengths = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        Trouble::malformed(format!("the header claims the shape ({lengths}), which no memory holds"))
    })?;
    let expected = (shape.elements() * dtype.bytes()) as u64;
    let there = file_bytes.saturating_sub(start);
    if there < expected {
        return Err(Trouble::malformed(format!(
            "the header promises shape {shape} of {dtype}, {expected} bytes, but {there} bytes follow it"
        )));
    }
    Ok(Layout { shape, dtype, fortran, swapped, start })
}

/// A header for an array in row-major order, with everything in front of the elements.
pub(super) fn write(shape: &Shape, dtype: DType) -> Vec<u8> {
    let order = match dtype.bytes() {
        1 => '|',
        _ if cfg!(target_endian = "big") => '>',
        _ => '<',
    };
    let descr = format!("{order}{}{}", letter(dtype), dtype.bytes());
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let version_1 = (10 + text.len() + 1).next_multiple_of(ALIGNMENT) - 10;
    let mut header = MAGIC.to_vec();
    let (prefix, length) = match u16::try_from(version_1) {
        Ok(length) => {
            header.extend_from_slice(&[1, 0]);
            header.extend_from_slice(&length.to_le_bytes());
            (10, usize::from(length))
        }
        Err(_) => {
            let length = (12 + text.len() + 1).next_multiple_of(ALIGNMENT) - 12;
            header.extend_from_slice(&[2, 0]);
            header.extend_from_slice(&(length as u32).to_le_bytes());
            (12, length)
        }
    };
    header.extend_from_slice(text.as_bytes());
    header.resize(prefix + length - 1, b' ');
    header.push(b'\n');
    header
}

/// The type of elements, and whether their bytes are in the other order.
fn element_type(descr: &str) -> Result<(DType, bool), Trouble> {
    let (order, kind) = descr.split_at(descr.len().min(1));
    let swapped = match order {
        "<" => cfg!(target_endian = "big"),
        ">" => cfg!(target_endian = "little"),
        _ => false,
    };
    let kind = if matches!(order, "<" | ">" | "|" | "=") { kind } else { descr };
    let same = |dtype: &DType| kind.strip_prefix(letter(*dtype)) == Some(&dtype.bytes().to_string());
    if let Some(dtype) = DType::ALL.into_iter().find(same) {
        return Ok((dtype, swapped && dtype.bytes() > 1));
    }
    if kind.starts_with('O') {
        return Err(Trouble::malformed(
            "the file holds Python objects (dtype object), which girih never loads: unpickling runs their code",
        ));
    }
    Err(Trouble::malformed(format!(
        "elements of type '{descr}' are not supported; girih reads bool, integers, float16, float32, float64, \
         complex64 and complex128"
    )))
}

/// NumPy's letter for what values mean.
fn letter(dtype: DType) -> char {
    match dtype.kind() {
        Kind::Bool => 'b',
        Kind::Signed => 'i',
        Kind::Unsigned => 'u',
        Kind::Float => 'f',
        Kind::Complex => 'c',
    }
}

/// Reads the few forms of Python literals that headers consist of.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn takes(&mut self, mark: char) -> bool {
        self.rest = self.rest.trim_start();
        let found = self.rest.strip_prefix(mark);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn expect(&mut self, mark: char) -> Result<(), Trouble> {
        if self.takes(mark) { Ok(()) } else { Err(self.unreadable(&format!("'{mark}'"))) }
    }

    fn unreadable(&self, wanted: &str) -> Trouble {
        let near: String = self.rest.chars().take(20).collect();
        Trouble::malformed(format!("the header cannot be read: expected {wanted} before {near:?}"))
    }

    fn string(&mut self) -> Result<String, Trouble> {
        let quote = if self.takes('\'') { '\'' } else { self.expect('"').map(|()| '"')? };
        let end = self.rest.find(quote).ok_or_else(|| self.unreadable("the end of a string"))?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        Ok(text.to_string())
    }

    /// The type: a string, or a list of fields, which is told apart to be refused clearly.
    fn descr(&mut self) -> Result<String, Trouble> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('[') {
            let text = "the file holds records of several fields, which are not supported; save the fields one by one";
            return Err(Trouble::malformed(text));
        }
        self.string()
    }

    fn truth(&mut self) -> Result<bool, Trouble> {
        match self.word() {
            "True" => Ok(true),
            "False" => Ok(false),
            _ => Err(self.unreadable("True or False")),
        }
    }

    fn lengths(&mut self) -> Result<Vec<usize>, Trouble> {
        let mut lengths = Vec::new();
        self.expect('(')?;
        while !self.takes(')') {
            // Python 2 wrote long integers with a trailing L.
            let digits = self.word().trim_end_matches('L');
            lengths.push(digits.parse().map_err(|_| self.unreadable("a length of the shape"))?);
            if !self.takes(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(lengths)
    }

    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|mark: char| !mark.is_alphanumeric()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Layout, Trouble> {
        read(text, 128, u64::MAX)
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let message = parse(text).unwrap_err().message;
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn what_numpy_writes_is_read() {
        let layout = parse("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }          \n").unwrap();
        assert_eq!((&layout.shape[..], layout.dtype, layout.fortran), (&[3, 4][..], DType::Float64, false));
        let layout = parse("{'shape': (7,), 'fortran_order': True, 'descr': '>i8'}").unwrap();
        assert_eq!(
            (&layout.shape[..], layout.fortran, layout.swapped),
            (&[7][..], true, cfg!(target_endian = "little"))
        );
        let layout = parse("{\"descr\": '|b1', 'fortran_order': False, 'shape': ()}").unwrap();
        assert_eq!((layout.shape.len(), layout.dtype), (0, DType::Bool));
        assert_eq!(&parse("{'descr': 'f4', 'fortran_order': False, 'shape': (2L, 3L)}").unwrap().shape[..], [2, 3]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        check_refused("{'descr': '|O', 'fortran_order': False, 'shape': (3,)}", "Python objects");
        check_refused("{'descr': '<f16', 'fortran_order': False, 'shape': (3,)}", "'<f16' are not supported");
        check_refused("{'descr': '<U4', 'fortran_order': False, 'shape': (3,)}", "'<U4' are not supported");
        check_refused("{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (3,)}", "several fields");
        check_refused("{'fortran_order': False, 'shape': (3,)}", "no entry 'descr'");
        check_refused("{'descr': '<f8', 'fortran_order': 0, 'shape': (3,)}", "True or False");
        check_refused("{'descr': '<f8', 'fortran_order': False, 'shape': (-3,)}", "a length of the shape");
        check_refused(
            "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 99999999999)}",
            "no memory holds",
        );
        check_refused("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}", "a length");
        check_refused("descr", "expected '{'");
        let short = read("{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}", 128, 140).unwrap_err();
        assert_eq!(short.message, "the header promises shape (3,) of float64, 24 bytes, but 12 bytes follow it");
        assert!(text_range(b"PK\x03\x04").unwrap_err().message.contains("not a .npy file"));
        assert!(text_range(b"\x93NUMPY\x09\x00").unwrap_err().message.contains("version 9"));
        assert!(text_range(b"\x93NUMPY\x01").unwrap_err().message.contains("ends within its header"));
        assert!(text_range(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").unwrap_err().message.contains("so long"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(lengths in prop::collection::vec(0_usize..1000, 0..5), kind in 0..DType::ALL.len()) {
            let dtype = DType::ALL[kind];
            let shape = Shape::new(&lengths).unwrap();
            let header = write(&shape, dtype);
            let (prefix, length) = text_range(&header).unwrap();
            prop_assert_eq!(prefix + length, header.len());
            prop_assert_eq!(header.len() % ALIGNMENT, 0);
            let text = std::str::from_utf8(&header[prefix..]).unwrap();
            let layout = read(text, header.len() as u64, u64::MAX).unwrap();
            prop_assert_eq!((layout.shape, layout.dtype, layout.fortran, layout.swapped), (shape, dtype, false, false));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[{}'\":,()\\[\\]a-zA-Z0-9<> \u{e9}-]{0,60}") {
            let _ = parse(&text);
        }
    }
}
