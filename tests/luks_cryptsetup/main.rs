//! The LUKS step against headers that the real cryptsetup makes, in plain files: the volume key must be the one that
//! cryptsetup finds, and `diskless luks test` must say what `cryptsetup open --test-passphrase` says. Needs neither
//! root nor device-mapper.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod image;
mod luks1;
mod luks2;
mod mutation;
mod mutation_luks2;

use std::fs;

use diskless::error::{Code, Error};
use diskless::steps::luks::{Unlocked, Volume};
use image::Image;

const PBKDF2: &[&str] = &["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
const ARGON2: &[&str] = &["--pbkdf", "argon2id", "--pbkdf-memory", "32768", "--pbkdf-force-iterations", "4"];

/// What is decrypted here, with the key sizes in bits that cryptsetup takes.
const CIPHERS: &[(&str, &[&str])] = &[
    ("aes-xts-plain64", &["256", "512"]),
    ("aes-xts-plain", &["256", "512"]),
    ("aes-cbc-essiv:sha256", &["128", "192", "256"]),
    ("aes-cbc-plain64", &["128", "192", "256"]),
    ("aes-cbc-plain", &["128", "192", "256"]),
];

/// The error of something that must not open.
fn refused(opened: Result<(Volume, Unlocked), Error>) -> Error {
    opened.err().expect("it opened")
}
