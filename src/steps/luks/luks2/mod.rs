//! The LUKS2 format (LUKS2 on-disk format specification 1.1): `header` finds the copy of the header that holds, `json`
//! is the text in it as it is written, `check` makes what it says of it.

pub mod check;
pub mod header;
pub mod json;
