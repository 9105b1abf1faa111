//! The bytes of D-Bus messages: little-endian, each value at a multiple of its size (D-Bus specification, "Wire Format").

/// The type of a message that is a call.
const CALL: u8 = 1;

/// A call whose arguments are texts.
pub struct Call<'a> {
    pub path: &'a str,
    pub interface: &'a str,
    pub member: &'a str,
    pub arguments: &'a [&'a str],
}

impl Call<'_> {
    /// The message, with the number 1.
    pub fn bytes(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        // What they mean is the first table of "Header Fields".
        let texts = [
            (1, b'o', self.path),
            (2, b's', self.interface),
            (3, b's', self.member),
            (6, b's', "org.freedesktop.systemd1"),
        ];
        for (code, kind, value) in texts {
            fields.resize(fields.len().next_multiple_of(8), 0);
            fields.extend_from_slice(&[code, 1, kind, 0]);
            text(&mut fields, value);
        }
        let mut body = Vec::new();
        self.arguments.iter().for_each(|argument| text(&mut body, argument));
        if !self.arguments.is_empty() {
            fields.resize(fields.len().next_multiple_of(8), 0);
            fields.extend_from_slice(&[8, 1, b'g', 0, u8::try_from(self.arguments.len()).unwrap_or(0)]);
            fields.resize(fields.len() + self.arguments.len(), b's');
            fields.push(0);
        }
        // Little-endian, no flags, version 1.
        let mut message = vec![b'l', CALL, 0, 1];
        number(&mut message, body.len());
        number(&mut message, 1);
        number(&mut message, fields.len());
        message.append(&mut fields);
        message.resize(message.len().next_multiple_of(8), 0);
        message.append(&mut body);
        message
    }
}

fn number(bytes: &mut Vec<u8>, number: usize) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend_from_slice(&u32::try_from(number).unwrap_or(0).to_le_bytes());
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    number(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
}

/// Reads what D-Bus writes.
pub struct Bytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bytes<'_> {
    /// From the beginning.
    pub fn of(bytes: &[u8]) -> Bytes<'_> {
        Bytes { bytes, at: 0 }
    }

    /// To the next multiple.
    pub fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    /// Whether `end` is not reached.
    pub fn before(&self, end: usize) -> bool {
        self.at < end
    }

    /// The length of an array whose elements stand at multiples of `to`; gives where it ends.
    pub fn array(&mut self, to: usize) -> Option<usize> {
        let length = self.u32()? as usize;
        self.align(to);
        self.at.checked_add(length).filter(|end| *end <= self.bytes.len())
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.align(4);
        let bytes = self.bytes.get(self.at..self.at.checked_add(4)?)?;
        self.at += 4;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    pub fn text(&mut self) -> Option<String> {
        let length = self.u32()? as usize;
        let text = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        // And its NUL.
        self.at += length + 1;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// What a variant holds.
    pub fn signature(&mut self) -> Option<Vec<u8>> {
        let length = usize::from(*self.bytes.get(self.at)?);
        let text = self.bytes.get(self.at + 1..self.at + 1 + length)?;
        self.at += length + 2;
        Some(text.to_vec())
    }
}
